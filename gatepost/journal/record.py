"""Record of a decision, and its form on the way to accounts: one JSON object in a line.

Both sides bound each value and make it printable, because senders choose most of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

DAEMONS: Final = ("policyd", "milters", "delivery", "postfix")
ACTIONS: Final = (
    "pass",
    "accept",
    "tag",
    "quarantine",
    "hold",
    "defer",
    "reject",
    "discard",
    "redirect",
    "deliver",
)
"""The effects of a decision. `pass`: the policy server has no objection. `deliver`: the mail store
has taken the mail."""
MAX_RECIPIENTS: Final = 100
"""Recipients of a record; the number of all is another value."""
MAX_DETAILS: Final = 16
MAX_DETAIL: Final = 400
"""Characters of a detail."""
MAX_SIZE: Final = 1 << 50
MAX_TIME: Final = 1 << 50
"""Seconds since the epoch. A wrong clock is another matter: accounts then takes its own time."""
MAX_LINE: Final = 48_000
"""Octets of a line: 100 addresses of 320 characters, and the rest."""

_LENGTHS: Final = {
    "daemon": 16,
    "action": 16,
    "reason": 64,
    "queue_id": 64,
    "instance": 64,
    "message_id": 250,  # RFC 5322 section 2.1.1 allows a line of 998; real ones have below 100
    "client": 64,
    "client_name": 255,
    "helo": 255,
    "sender": 320,
    "login": 320,
}
"""Characters of each text."""
_RECIPIENT: Final = 320


class RecordError(ValueError):
    """A line is not a record."""


class JournalRecord(NamedTuple):
    """One decision about a message, or about one recipient of it. Empty values are not known.

    `at` is in seconds since the epoch, `size` in octets. `total` is the number of recipients, of
    which `recipients` has at most `MAX_RECIPIENTS`. `details` are texts by name: the results of
    checks, the reply, and so on.
    """

    at: float
    daemon: str
    action: str
    reason: str = ""
    queue_id: str = ""
    instance: str = ""
    message_id: str = ""
    client: str = ""
    client_name: str = ""
    helo: str = ""
    sender: str = ""
    login: str = ""
    size: int = 0
    total: int = 0
    recipients: tuple[str, ...] = ()
    details: Mapping[str, str] = {}


def clean(text: str, length: int) -> str:
    """Return a text on one line, printable, without direction controls, and not longer."""
    text = text[: length + 1]
    if not text.isprintable():
        text = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return text if len(text) <= length else text[: length - 1] + "…"


def encode(record: JournalRecord) -> bytes:
    """Return the line of a record, with its line feed; empty values are left out."""
    shown: dict[str, Any] = {"at": round(record.at, 3)}
    for name, length in _LENGTHS.items():
        if value := getattr(record, name):
            shown[name] = clean(value, length)
    if record.size:
        shown["size"] = record.size
    if record.recipients:
        shown["recipients"] = [clean(one, _RECIPIENT) for one in record.recipients[:MAX_RECIPIENTS]]
    if record.total:
        shown["total"] = record.total
    if record.details:
        shown["details"] = _details(record.details.items())
    return json.dumps(shown, separators=(",", ":")).encode("ascii") + b"\n"


def decode(line: bytes) -> JournalRecord:
    """Return the record of a line, again bounded and printable; raises `RecordError`."""
    if len(line) > 8 * MAX_LINE:
        raise RecordError("the line is too long")
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        raise RecordError("the line is not JSON") from None
    if not isinstance(found, dict):
        raise RecordError("the line is not an object")
    texts = {name: _text(found.get(name, ""), length) for name, length in _LENGTHS.items()}
    if texts["daemon"] not in DAEMONS or texts["action"] not in ACTIONS:
        raise RecordError("it names no daemon, or no action")
    recipients, details = found.get("recipients", []), found.get("details", {})
    if not isinstance(recipients, list) or not isinstance(details, dict):
        raise RecordError("recipients or details have another form")
    return JournalRecord(
        at=_time(found.get("at")),
        **texts,
        size=_number(found.get("size", 0)),
        total=_number(found.get("total", 0)),
        recipients=tuple(_text(one, _RECIPIENT) for one in recipients[:MAX_RECIPIENTS]),
        details=_details((name, _text(value, MAX_DETAIL)) for name, value in details.items()),
    )


def _details(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    kept: dict[str, str] = {}
    for name, value in pairs:
        if value and len(kept) < MAX_DETAILS:
            kept[clean(name, 32)] = clean(value, MAX_DETAIL)
    return kept


def _text(value: Any, length: int) -> str:
    if not isinstance(value, str):
        raise RecordError("a value that should be a text is none")
    # JSON may have lone surrogates, which no database takes
    return clean(value, length)


def _time(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RecordError("it has no time")
    # math.isfinite() fails for a whole number beyond the range of float
    if not abs(value) <= MAX_TIME:
        raise RecordError("its time is out of range")
    return float(value)


def _number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_SIZE:
        raise RecordError("a value that should be a number is none")
    return value
