"""Row of the journal: a decision about one recipient."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from accounts.address import fold_local_part
from gatepost.journal.record import JournalRecord
from msgauth.mail_address import MailAddress

AHEAD: Final = 60.0
"""Seconds that the clock of another host may be ahead."""
BEHIND: Final = 3600.0
"""Seconds by which a decision may be older than its arrival."""


class JournalRow(NamedTuple):
    """A decision about one recipient; the fields of `JournalRecord`, and those for the search.

    `base` and `sender_base` are the addresses as they are searched for. `domain` is that of the
    recipient, `owner_domain` that of the login.
    """

    id: int
    at: float
    daemon: str
    action: str
    reason: str
    queue_id: str
    instance: str
    message_id: str
    client: str
    client_name: str
    helo: str
    sender: str
    sender_base: str
    login: str
    owner_domain: str
    recipient: str
    base: str
    domain: str
    size: int
    total: int
    details: Mapping[str, str]


COLUMNS: Final = tuple(name for name in JournalRow._fields if name != "id")


@lru_cache(maxsize=8192)
def base_of(address: str, delimiter: str) -> str:
    """Return an address in the form that is searched for.

    It is in lower case, without an extension, and has A-labels. A text that is no address is only
    made lower case.
    """
    found = MailAddress.parse(address)
    local = fold_local_part(found.unquoted_local)
    if not found.domain or not local:
        return address.strip().lower()
    for place, char in enumerate(local):
        if place and char in delimiter:
            local = local[:place]
            break
    return f"{local}@{found.domain}"


def rows_of(record: JournalRecord, delimiter: str, now: float) -> Iterator[dict[str, Any]]:
    """Yield the values of the rows of a record, one for each recipient.

    `now` is the time of arrival, which replaces a time that cannot be right.
    """
    at = record.at if now - BEHIND <= record.at <= now + AHEAD else now
    login = base_of(record.login, "")
    details = dict(record.details)
    if final := details.get("final"):
        details["final"] = base_of(final, delimiter)
    values: dict[str, Any] = {
        "at": at,
        "login": login,
        "sender_base": base_of(record.sender, delimiter),
        "owner_domain": _domain(login),
        "details": json.dumps(details),
    }
    for name in COLUMNS:
        if name in JournalRecord._fields and name not in values:
            values[name] = getattr(record, name)
    for recipient in record.recipients or ("",):
        base = base_of(recipient, delimiter)
        yield {**values, "recipient": recipient, "base": base, "domain": _domain(base)}


def read_row(values: tuple[Any, ...]) -> JournalRow:
    """Return the row with these values, in the order of the fields."""
    row = JournalRow(*values)
    try:
        details = json.loads(values[-1])
    except ValueError:  # a damaged file
        details = {}
    return row._replace(details=details if isinstance(details, dict) else {})


def _domain(base: str) -> str:
    return base.rpartition("@")[2] if "@" in base else ""
