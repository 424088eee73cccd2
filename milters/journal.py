"""Record of a message for the journal of accounts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gatepost.journal.record import JournalRecord
from milters.outcome import MessageOutcome

_RESULTS: Final = (
    "iprev",
    "spf",
    "dkim",
    "arc",
    "dmarc",
    "overlooked",
    "vouched_by",
    "signed",
    "virus",
    "virus_problem",
)
"""Facts of the log line that become details."""


def journal_record(queue_id: str, outcome: MessageOutcome, now: float) -> JournalRecord:
    """Return the record of a message; `now` is in seconds since the epoch."""
    facts = outcome.facts
    details = {name: _text(facts.get(name)) for name in _RESULTS}
    details |= {"origin": outcome.origin, "unsigned": outcome.unsigned, "seal": outcome.seal}
    details["header_from"] = _text(facts.get("header_from"))
    size, total = facts.get("size"), facts.get("recipients")
    return JournalRecord(
        at=now,
        daemon="milters",
        action=outcome.action,
        reason=outcome.reason,
        queue_id=queue_id,
        message_id=_text(facts.get("message_id")),
        client=_client(facts),
        helo=_text(facts.get("helo")),
        sender=_text(facts.get("sender")),
        login=_text(facts.get("sasl_username")),
        size=size if isinstance(size, int) else 0,
        total=total if isinstance(total, int) else 0,
        recipients=outcome.listed,
        details={name: text for name, text in details.items() if text},
    )


def _client(facts: Mapping[str, object]) -> str:
    client = _text(facts.get("client"))
    return "" if client == "unknown" else client


def _text(value: object) -> str:
    if value is None:
        return ""
    return "; ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
