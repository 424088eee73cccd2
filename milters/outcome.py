"""What became of one message: what the MTA is told, and what log and metrics say of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from gatepost.reply import Reply
from milters.actions import Action, Refuse
from msgauth.results import Finding

SECOND_FIELD: Final = "dkim-second-field"
"""The reason id for a field that was added to a signed one, whatever the policy does about it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of one message.

    `action` is what was decided: one of `milters.settings.Action`. `reason` is the reason id for
    it, empty when nothing spoke against the message. `results` has the status of each method that
    was run, `signatures` the algorithm of each signature that was made, `unsigned` the reason id
    why a message that was to be signed was not. `facts` are the values of the log line.
    """

    actions: tuple[Action, ...]
    origin: str
    action: str
    reason: str = ""
    results: tuple[tuple[str, str], ...] = ()
    signatures: tuple[str, ...] = ()
    unsigned: str = ""
    seal: str = ""
    """The fate of the ARC seal: `sealed`, or the reason id why there is no new one; empty where
    none is wanted."""
    forged: int = 0
    """Fields that claimed to be ours and were removed."""
    proxied: bool = False
    """Whether the checks of the client's address were off, because it is a proxy's."""
    second_field: bool = False
    """True if a field was added to one that a signature covers (`SECOND_FIELD`)."""
    fragile: tuple[str, ...] = ()
    """Reason ids for what was signed or sealed and is likely to be changed behind the milter."""
    facts: Mapping[str, object] = field(default_factory=dict)


def refused(reply: Reply, origin: str, facts: Mapping[str, object], unsigned: str = "") -> Outcome:
    """Return the end of a message that is not taken, now or ever."""
    action = "reject" if reply.code >= 500 else "defer"
    return Outcome(
        (Refuse(reply),), str(origin), action, reply.reason, unsigned=unsigned, facts=facts
    )


def shown(findings: Iterable[Finding]) -> dict[str, list[str]]:
    """Return every result with its reason, by method, for the log."""
    texts: dict[str, list[str]] = {}
    for finding in findings:
        text = f"{finding.status.value} {finding.reason}".rstrip()
        texts.setdefault(finding.method, []).append(text)
    return texts
