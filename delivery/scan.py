"""Result of a scanner, the same for all engines."""

from __future__ import annotations

from typing import NamedTuple


class RuleHit(NamedTuple):
    """A rule that hit, as a scanner describes it; `description` may be empty."""

    name: str
    points: float
    description: str = ""


class ScanResult(NamedTuple):
    """A scanner's opinion about a message."""

    score: float
    required: float | None
    """The score from which the scanner itself calls a message spam, if it has one."""
    symbols: tuple[str, ...] = ()
    """Names of the rules that hit."""
    is_spam: bool = False
    """The scanner's own verdict, which counts where nobody has set a threshold."""
    is_skipped: bool = False
    """True if the scanner did not look at the message, by its own configuration."""
    is_forced: bool = False
    """True if a rule of the scanner has decided that it is spam, whatever the score."""
    must_wait: bool = False
    """True if the scanner wants to see the message again later."""
    hits: tuple[RuleHit, ...] = ()
    """The rules with their points, if these were asked for."""
