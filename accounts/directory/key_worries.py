"""DKIM keys that somebody should look at, as far as the datastore knows.

DNS is another matter: see `accounts.directory.domain_checks`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, func, literal, select

from accounts.directory.paging import within
from accounts.store import schema

OLD: Final = 365 * 86_400
"""Seconds for which a key signs until it should be replaced."""
WAITING: Final = 7 * 86_400
"""Seconds for which a new key waits until it looks forgotten."""

_KEY, _DOMAIN = schema.dkim_key, schema.domain


class KeyWorry(StrEnum):
    """Reason why a key needs attention."""

    OLD = "old"
    """It has signed for more than a year."""
    WAITING = "waiting"
    """It was made more than a week ago, and does not sign yet."""
    MISSING = "missing"
    """The domain has no key that signs."""


@dataclass(frozen=True, slots=True)
class WorryingKey:
    """A key, or a domain without one; then the selector is empty.

    `since` is when it was made or activated, in seconds since the epoch.
    """

    domain: str
    selector: str
    worry: KeyWorry
    since: int | None


def find(
    connection: Connection, now: int, *, limit: int, administrator: int | None = None
) -> list[WorryingKey]:
    """Return the keys of an administrator's domains, or of all, the missing ones first.

    Without any key in the datastore, none is missing: the milter has its own files.
    """
    own = within(administrator, _DOMAIN.c.id)
    found = []
    if connection.execute(select(_KEY.c.id).limit(1)).first() is not None:
        found += _run(connection, _missing(own), KeyWorry.MISSING, limit)
    activated = func.coalesce(_KEY.c.activated, _KEY.c.created)
    for worry, condition, since in (
        (KeyWorry.OLD, (_KEY.c.state == "active") & (activated < now - OLD), activated),
        (
            KeyWorry.WAITING,
            (_KEY.c.state == "new") & (_KEY.c.created < now - WAITING),
            _KEY.c.created,
        ),
    ):
        statement = (
            select(_DOMAIN.c.name, _KEY.c.selector, since)
            .join(_DOMAIN, _DOMAIN.c.id == _KEY.c.domain_id)
            .where(condition, *own)
            .order_by(since, _DOMAIN.c.name)
        )
        found += _run(connection, statement, worry, limit)
    return found[:limit]


def _missing(own: list[ColumnElement[bool]]) -> Select[Any]:
    signing = select(_KEY.c.id).where(_KEY.c.domain_id == _DOMAIN.c.id, _KEY.c.state == "active")
    return (
        select(_DOMAIN.c.name, literal(""), literal(None))
        .where(
            ~signing.exists(),
            _DOMAIN.c.alias_of.is_(None),
            # "IS" takes no parameter in PostgreSQL
            _DOMAIN.c.enabled == literal(True, _DOMAIN.c.enabled.type),
            *own,
        )
        .order_by(_DOMAIN.c.name)
    )


def _run(
    connection: Connection, statement: Select[Any], worry: KeyWorry, limit: int
) -> list[WorryingKey]:
    rows = connection.execute(statement.limit(limit))
    return [WorryingKey(domain, selector, worry, since) for domain, selector, since in rows]
