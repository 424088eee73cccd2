"""Reader of the audit log, which only transactions write, and nobody changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from accounts.directory import fields
from accounts.directory.paging import MAX_PAGE, PAGE
from accounts.store import schema

_TABLE = schema.audit


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """An entry: at this time (seconds since the epoch), `actor` performed `action` on `object`.

    The `details` of a change have the values of each field before and after; those of a refusal
    have its reason as ``refused``. `client` is the network address of the actor, if there is one.
    """

    id: int
    at: int
    actor: str
    client: str | None
    action: str
    object: str
    details: dict[str, Any]


def find(
    connection: Connection,
    *,
    object: str | None = None,  # noqa: A002  # the name of the column, and of the API
    actor: str | None = None,
    since: int | None = None,
    before: int | None = None,
    limit: int = PAGE,
) -> list[AuditEntry]:
    """Return entries, the latest first, before the one with the id `before`.

    `object` and `actor` are full names, `since` is a time.
    """
    fields.number("limit", limit, 1, MAX_PAGE)
    statement = select(_TABLE).order_by(_TABLE.c.id.desc()).limit(limit)
    if object is not None:
        statement = statement.where(_TABLE.c.object == fields.text("object", object))
    if actor is not None:
        statement = statement.where(_TABLE.c.actor == fields.text("actor", actor))
    if since is not None:
        statement = statement.where(_TABLE.c.at >= fields.time("since", since))
    if before is not None:
        statement = statement.where(_TABLE.c.id < fields.number("before", before))
    return [AuditEntry(**row._asdict()) for row in connection.execute(statement)]
