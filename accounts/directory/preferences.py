"""Preferences of a mailbox about greylisting, spam and viruses."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, TypedDict, Unpack

from sqlalchemy import Connection, Table, insert, select, update

from accounts.address import AccountAddress
from accounts.directory import fields, mailboxes
from accounts.directory.changes import differences, expect, told
from accounts.store import schema
from accounts.store.errors import Invalid
from accounts.store.transaction import Write

_TABLE = schema.preference


@dataclass(frozen=True, slots=True)
class Preferences:
    """Preferences. A score of None means the default of the domain or of the service; version 0 was
    never changed."""

    greylist: bool = True
    spam_check: bool = True
    spam_junk_score: float | None = None
    """Score from which a message goes to the spam folder."""
    spam_reject_score: float | None = None
    """Score from which a message is refused."""
    virus_check: bool = True
    languages: tuple[str, ...] = ()
    """Languages that mail may have, or ``all``; none: as in the domain."""
    subject_tag: str | None = None
    """Text before the subject of spam; empty for none, None: as in the domain."""
    rule_scores: dict[str, float] = field(default_factory=dict)
    """Scores of rules of the spam filter; those of other rules are as in the domain."""
    version: int = 0


class PreferenceFields(TypedDict, total=False):
    """The fields that `change` sets."""

    greylist: bool
    spam_check: bool
    spam_junk_score: float | None
    spam_reject_score: float | None
    virus_check: bool
    languages: tuple[str, ...]
    subject_tag: str | None
    rule_scores: dict[str, float]


SHARED_CHECKS: dict[str, fields.FieldCheck] = {
    "spam_junk_score": fields.optional(fields.score),
    "languages": fields.languages,
    "subject_tag": fields.optional(fields.subject_tag),
    "rule_scores": fields.rule_scores,
}
"""Checks of the preferences that domains have, too."""

_CHECKS: dict[str, fields.FieldCheck] = {
    **SHARED_CHECKS,
    "greylist": fields.flag,
    "spam_check": fields.flag,
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
        store(write, _TABLE, {"mailbox_id": owner.id}, after)
        write.audit("preferences.change", owner.address, **told(before, checked))
        return Preferences(**after)


def store(write: Write, table: Table, owner: dict[str, int], values: dict[str, Any]) -> None:
    """Write preferences of an owner, which is a column with its value, to their table."""
    row = {**values, "languages": " ".join(values["languages"])}
    if row["version"] > 1:
        condition = [table.c[column] == value for column, value in owner.items()]
        write.connection.execute(update(table).where(*condition).values(row))
    else:
        write.connection.execute(insert(table).values(**owner, **row))


def fetch(connection: Connection, table: Table, column: str, owner: int) -> dict[str, Any]:
    """Return the values of an owner in a table, or nothing if there is no row."""
    columns = [one for one in table.c if one.name != column]
    row = connection.execute(select(*columns).where(table.c[column] == owner)).one_or_none()
    if row is None:
        return {}
    return {**row._asdict(), "languages": tuple(row.languages.split())}


def _get(connection: Connection, mailbox: int) -> Preferences:
    return Preferences(**fetch(connection, _TABLE, "mailbox_id", mailbox))
