"""State of a queue of Postfix in a report, and its form on the way to accounts.

Both sides bound each value and make it printable: senders choose the domains, and other servers the
reasons.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from gatepost.journal.record import MAX_TIME, clean

QUEUES: Final = ("incoming", "active", "deferred", "hold", "maildrop")
"""The queues of Postfix that showq(8) lists."""
MAX_DESTINATIONS: Final = 8
"""Destinations of a report: those with the most recipients."""
MAX_DOMAIN: Final = 255
MAX_REASON: Final = 300
"""Characters of a reason."""
MAX_COUNT: Final = 1 << 40


class QueueStateError(ValueError):
    """A JSON object is not the state of a queue."""


class QueueDestination(NamedTuple):
    """A domain for whose recipients mail waits; `reason` is one that Postfix has told, or empty.

    `oldest` is when the oldest of this mail arrived, in seconds since the epoch.
    """

    domain: str
    recipients: int
    oldest: int
    reason: str


class QueueState(NamedTuple):
    """The queue of a Postfix.

    `at` is when it was read; `mails` counts by queue. `oldest` is when the oldest mail arrived that
    is not on hold; 0 if there is none. `is_partial`: there was more than the reader had time for.
    """

    at: int
    mails: dict[str, int]
    oldest: int = 0
    destinations: tuple[QueueDestination, ...] = ()
    is_partial: bool = False


def encode_queue(state: QueueState) -> dict[str, Any]:
    """Return the JSON object of a state."""
    return {
        "at": state.at,
        "mails": {name: state.mails.get(name, 0) for name in QUEUES},
        "oldest": state.oldest,
        "destinations": [
            {
                "domain": clean(one.domain, MAX_DOMAIN),
                "recipients": one.recipients,
                "oldest": one.oldest,
                "reason": clean(one.reason, MAX_REASON),
            }
            for one in state.destinations[:MAX_DESTINATIONS]
        ],
        "partial": state.is_partial,
    }


def decode_queue(found: Any) -> QueueState | None:
    """Return the state in a JSON object; None for null. Raises `QueueStateError`."""
    if found is None:
        return None
    if not isinstance(found, dict):
        raise QueueStateError("a queue is not an object")
    mails, destinations = found.get("mails", {}), found.get("destinations", [])
    if not isinstance(mails, dict) or not isinstance(destinations, list):
        raise QueueStateError("a queue has another form")
    return QueueState(
        _number(found.get("at"), MAX_TIME),
        {name: _number(mails.get(name, 0), MAX_COUNT) for name in QUEUES},
        _number(found.get("oldest", 0), MAX_TIME),
        tuple(_destination(one) for one in destinations[:MAX_DESTINATIONS]),
        found.get("partial") is True,
    )


def _destination(found: Any) -> QueueDestination:
    if not isinstance(found, dict):
        raise QueueStateError("a destination is not an object")
    domain, reason = found.get("domain"), found.get("reason", "")
    if not isinstance(domain, str) or not isinstance(reason, str):
        raise QueueStateError("a destination has another form")
    return QueueDestination(
        clean(domain, MAX_DOMAIN),
        _number(found.get("recipients", 0), MAX_COUNT),
        _number(found.get("oldest", 0), MAX_TIME),
        clean(reason, MAX_REASON),
    )


def _number(value: Any, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise QueueStateError("a value that should be a number is none")
    return value
