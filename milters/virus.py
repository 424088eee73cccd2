"""Virus scan of a message: its finding, and the consequence for the message."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Literal, NamedTuple

from gatepost.reply import Reply
from milters.actions import DeleteHeader, InsertHeader, Refuse
from milters.outcome import MessageOutcome

STATUS: Final = "X-Virus-Status"
"""The field with the result. Those of others are removed."""

_AWAY: Final = Reply(
    451, "4.3.0", "the virus scanner does not answer, please try again later", "virus-scanner-away"
)
_INCOMPLETE: Final = Reply(
    451, "4.7.1", "the message is too large to be scanned for viruses", "virus-scan-incomplete"
)
_NO_SPACE: Final = Reply(
    452, "4.3.1", "no space for the message, please try again later", "no-space"
)
AWAY: Final = _AWAY.reason
INCOMPLETE: Final = _INCOMPLETE.reason
NO_SPACE: Final = _NO_SPACE.reason

_LATER: Final = {one.reason: one for one in (_AWAY, _INCOMPLETE, _NO_SPACE)}


class VirusFinding(NamedTuple):
    """The finding about one message: a virus, a reason id why it is not known, or neither."""

    virus: str = ""
    reason: str = ""
    """`AWAY`, `INCOMPLETE` or `NO_SPACE`; empty if the whole message was scanned."""
    problem: str = ""
    """The text behind the reason, for the log."""

    @property
    def result(self) -> str:
        """Return one word for log and metrics."""
        return "found" if self.virus else self.reason or "clean"


def apply_finding(
    outcome: MessageOutcome, finding: VirusFinding, on_error: Literal["defer", "accept"]
) -> MessageOutcome:
    """Return the outcome of a message that was to be accepted."""
    facts = {**outcome.facts, "virus_scan": finding.result}
    if finding.virus:
        facts["virus"] = finding.virus
    if finding.problem:
        facts["virus_problem"] = finding.problem
    if finding.virus:
        text = f"the message has a virus: {finding.virus}"
        return _refuse(outcome, Reply(550, "5.7.1", text, "virus"), facts)
    if finding.reason and on_error == "defer":
        return _refuse(outcome, _LATER[finding.reason], facts)
    status = f" Unchecked ({finding.reason})" if finding.reason else " Clean"
    # below the other fields that we insert, and so outside of what they cover
    place = sum(isinstance(action, DeleteHeader) for action in outcome.actions)
    actions = list(outcome.actions)
    actions.insert(place, InsertHeader(STATUS, status))
    return replace(outcome, actions=tuple(actions), facts=facts)


def _refuse(outcome: MessageOutcome, reply: Reply, facts: dict[str, object]) -> MessageOutcome:
    return replace(
        outcome,
        actions=(Refuse(reply),),
        action="reject" if reply.code >= 500 else "defer",
        reason=reply.reason,
        # nothing of this happens to a message that is refused
        signatures=(),
        seal="",
        fragile=(),
        forged=0,
        facts=facts,
    )
