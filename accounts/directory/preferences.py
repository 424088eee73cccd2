"""Preferences of a mailbox about greylisting, spam and viruses."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TypedDict, Unpack

from sqlalchemy import Connection, insert, select, update

from accounts.address import AccountAddress
from accounts.directory import fields, mailboxes
from accounts.directory.changes import differences, expect, told
from accounts.store import schema
from accounts.store.errors import Invalid
from accounts.store.transaction import Write

_TABLE = schema.preference


@dataclass(frozen=True, slots=True)
class Preferences:
    """Preferences. A score of None means the default of the service; version 0 was never
    changed."""

    greylist: bool = True
    spam_check: bool = True
    spam_junk_score: float | None = None
    """Score from which a message goes to the spam folder."""
    spam_reject_score: float | None = None
    """Score from which a message is refused."""
    virus_check: bool = True
    version: int = 0


class PreferenceFields(TypedDict, total=False):
    """The fields that `change` sets."""

    greylist: bool
    spam_check: bool
    spam_junk_score: float | None
    spam_reject_score: float | None
    virus_check: bool


_CHECKS: dict[str, fields.FieldCheck] = {
    "greylist": fields.flag,
    "spam_check": fields.flag,
    "spam_junk_score": fields.optional(fields.score),
    "spam_reject_score": fields.optional(fields.score),
    "virus_check": fields.flag,
}


def get(connection: Connection, mailbox: str | AccountAddress) -> Preferences:
    """Return the preferences of a mailbox, the defaults where it has none; raises `NotFound`."""
    return _get(connection, mailboxes.id_of(connection, mailbox))


def change(
    write: Write,
    mailbox: str | AccountAddress,
    version: int | None,
    /,
    **values: Unpack[PreferenceFields],
) -> Preferences:
    """Change preferences."""
    with write.attempt("preferences.change", mailbox):
        owner = mailboxes.get(write.connection, mailbox)
        before = _get(write.connection, owner.id)
        expect(before.version, version)
        checked = differences(before, fields.checked(values, _CHECKS))
        if not checked:
            return before
        after = asdict(before) | checked
        junk, reject = after["spam_junk_score"], after["spam_reject_score"]
        if junk is not None and reject is not None and reject < junk:
            raise Invalid("spam_reject_score", f"It is below spam_junk_score, which is {junk:g}.")
        after["version"] = before.version + 1
        if before.version:
            write.connection.execute(
                update(_TABLE).where(_TABLE.c.mailbox_id == owner.id).values(after)
            )
        else:
            write.connection.execute(insert(_TABLE).values(mailbox_id=owner.id, **after))
        write.audit("preferences.change", owner.address, **told(before, checked))
        return Preferences(**after)


def _get(connection: Connection, mailbox: int) -> Preferences:
    columns = [column for column in _TABLE.c if column.name != "mailbox_id"]
    row = connection.execute(select(*columns).where(_TABLE.c.mailbox_id == mailbox)).one_or_none()
    return Preferences() if row is None else Preferences(**row._asdict())
