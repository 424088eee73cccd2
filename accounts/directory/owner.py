"""Owner of a login: a row of an administrator or of a mailbox."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict

from sqlalchemy import ColumnElement, Connection, Table, select

from accounts.store import schema
from accounts.store.errors import NoSuchObject


class OwnerName(TypedDict, total=False):
    """The name of an owner; the other name is None or missing."""

    administrator: str | None
    mailbox: str | None


@dataclass(frozen=True, slots=True)
class LoginOwner:
    """An owner, as tables refer to it: `column` is ``administrator_id`` or ``mailbox_id``."""

    column: str
    row: int
    name: str

    def of(self, table: Table) -> ColumnElement[bool]:
        """Return the condition that a row of a table is theirs."""
        condition: ColumnElement[bool] = table.c[self.column] == self.row
        return condition

    @property
    def values(self) -> dict[str, Any]:
        """The column of a new row."""
        return {self.column: self.row}


def find_login_owner(
    connection: Connection, administrator: str | None = None, mailbox: str | None = None
) -> LoginOwner:
    """Return the owner with a name; raises `NoSuchObject`."""
    if administrator is not None:
        table, name = schema.administrator, administrator
        found = select(table.c.id).where(table.c.login == administrator)
    else:
        table, name = schema.mailbox, mailbox or ""
        found = select(table.c.id).where(table.c.address == mailbox)
    row = connection.scalar(found)
    if row is None:
        raise NoSuchObject("The account was removed.")
    return LoginOwner(f"{table.name}_id", int(row), name)
