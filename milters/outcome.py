"""The outcome of one message: for the MTA, the log and the metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from gatepost.reply import Reply
from milters.actions import MessageAction, Refuse
from msgauth.results import Finding

SECOND_FIELD: Final = "dkim-second-field"
"""The reason id for a field added to a signed one, whatever the policy does about it."""


@dataclass(frozen=True, slots=True)
class MessageOutcome:
    """The outcome of one message.

    `action` is the decision: a `PolicyAction` of `milters.policy_settings`. `reason` is its reason
    id, empty if there was no objection. `results` has the status of each method that ran,
    `signatures` the algorithm of each signature added, `unsigned` the reason id why a message that
    should be signed was not. `facts` are the values of the log line.
    """

    actions: tuple[MessageAction, ...]
    origin: str
    action: str
    reason: str = ""
    results: tuple[tuple[str, str], ...] = ()
    signatures: tuple[str, ...] = ()
    unsigned: str = ""
    seal: str = ""
    """The ARC seal: `sealed`, or the reason id why there is no new one; empty if none is
    configured."""
    forged: int = 0
    """Fields that claimed to be ours and were removed."""
    proxied: bool = False
    """Whether checks of the client's address were skipped because it is a proxy's."""
    second_field: bool = False
    """Whether a second field was added to a signed one (`SECOND_FIELD`)."""
    fragile: tuple[str, ...] = ()
    """Reason ids for signed or sealed content that is likely to change after the milter."""
    facts: Mapping[str, object] = field(default_factory=dict)
    listed: tuple[str, ...] = ()
    """The first recipients, for the journal."""

    @property
    def is_refused(self) -> bool:
        """Return whether the message is not accepted, now or at all."""
        return self.action in ("defer", "reject")


def refused(
    reply: Reply, origin: str, facts: Mapping[str, object], unsigned: str = ""
) -> MessageOutcome:
    """Return the outcome of a message that is refused, temporarily or permanently."""
    action = "reject" if reply.code >= 500 else "defer"
    return MessageOutcome(
        (Refuse(reply),), str(origin), action, reply.reason, unsigned=unsigned, facts=facts
    )


def shown(findings: Iterable[Finding]) -> dict[str, list[str]]:
    """Return every result with its reason, by method, for the log."""
    texts: dict[str, list[str]] = {}
    for finding in findings:
        text = f"{finding.status.value} {finding.reason}".rstrip()
        texts.setdefault(finding.method, []).append(text)
    return texts
