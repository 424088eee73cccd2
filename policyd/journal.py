"""Record of an answer to Postfix for the journal of accounts."""

from __future__ import annotations

from typing import Final

from gatepost.journal.record import JournalRecord
from policyd.action import Action
from policyd.engine import Decision
from policyd.request import Request

_EFFECTS: Final = {"HOLD": "hold", "DISCARD": "discard", "REDIRECT": "redirect"}


def journal_record(request: Request, decision: Decision, now: float) -> JournalRecord:
    """Return the record of a request; `now` is in seconds since the epoch."""
    details = {"check": decision.check, "findings": "; ".join(decision.findings)}
    if request.state != "RCPT":
        details["state"] = request.state
    if decision.action.text:
        details["reply"] = str(decision.action)
    return JournalRecord(
        at=now,
        daemon="policyd",
        action=_effect(decision.action),
        reason=decision.reason,
        queue_id=request.attributes.get("queue_id", ""),
        instance=request.instance,
        client=request.client_address,
        client_name=request.client_name,
        helo=request.helo_name,
        sender=request.sender,
        login=request.sasl_username,
        recipients=(request.recipient,) if request.recipient else (),
        details={name: text for name, text in details.items() if text},
    )


def _effect(action: Action) -> str:
    if action.temporary:
        return "defer"
    if action.permanent:
        return "reject"
    return _EFFECTS.get(action.verb, "pass")
