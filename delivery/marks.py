"""Header fields that the proxy writes on top of a message for one recipient.

| field | value |
|---|---|
| X-Spam-Status | ``Yes``, ``No``, ``Unchecked`` or ``Skipped``, then facts |
| X-Spam-Score | the score with one decimal, if the message was scanned |
| X-Spam-Level | one ``*`` for each full point, at most 50 |
| X-Spam-Flag | ``YES`` for Junk; else the field is not there |
| X-Virus-Status | ``Clean``, ``Unchecked`` or ``Infected (NAME)``, if the proxy checks |

Names are those of SpamAssassin, so that Sieve scripts of other sites work.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from delivery.decision import SpamDecision, SpamVerdict

MAX_LEVEL: Final = 50
MAX_WIDTH: Final = 76
"""Octets of a line of a list of rules (RFC 5322 section 2.1.1 recommends 78)."""

_WORDS: Final = {
    SpamVerdict.HAM: "No",
    SpamVerdict.JUNK: "Yes",
    SpamVerdict.UNCHECKED: "Unchecked",
    SpamVerdict.SKIPPED: "Skipped",
}


def spam_fields(decision: SpamDecision, *, scanned: int = 0) -> bytes:
    """Return the X-Spam fields of a message that is delivered.

    `scanned` is the number of octets that the scanner got, if these were not all.
    """
    result = decision.result
    facts = []
    if result is not None:
        facts.append(f"score={result.score:.1f}")
    if decision.threshold is not None:
        facts.append(f"required={decision.threshold:.1f}")
    if decision.cause:
        facts.append(f"reason={decision.cause}")
    if scanned:
        facts.append(f"scanned={scanned}")
    lines = [f"X-Spam-Status: {_WORDS[decision.verdict]}, {' '.join(facts)}"]
    if result is not None:
        lines += _folded(result.symbols or ("none",))
    fields = ["\r\n\t".join(lines)]
    if result is not None:
        fields.append(f"X-Spam-Score: {result.score:.1f}")
        if stars := "*" * max(0, min(MAX_LEVEL, int(result.score))):
            fields.append(f"X-Spam-Level: {stars}")
    if decision.verdict is SpamVerdict.JUNK:
        fields.append("X-Spam-Flag: YES")
    return "".join(f"{field}\r\n" for field in fields).encode("ascii")


def virus_field(status: str) -> bytes:
    """Return the X-Virus-Status field."""
    return f"X-Virus-Status: {status}\r\n".encode("ascii", "replace")


def _folded(symbols: tuple[str, ...]) -> Iterator[str]:
    """Yield the lines of the list of rules."""
    line = "tests="
    for number, symbol in enumerate(symbols, 1):
        word = symbol + ("," if number < len(symbols) else "")
        if len(line) + len(word) > MAX_WIDTH:
            yield line
            line = ""
        line += word
    yield line
