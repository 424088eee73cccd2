"""Table of the journal, and the statements about it.

It is no part of the schema of the datastore, and has no migrations: a later form gets another name,
and the old table is removed with what it has.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Double,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    text,
)
from sqlalchemy import Column as Col

from accounts.journal.row import JournalRow, read_row

STEP: Final = 2000
"""Rows that are added or removed at once: it takes some ten milliseconds."""
MAX_TIMES: Final = 50
"""Times of younger addresses in one condition: SQLite takes no endless ones."""
_LOCK: Final = 0x6761_7465_6A6F_7572
"""Number of the advisory lock under which PostgreSQL makes the table."""

metadata: Final = MetaData()
# SQLite gives only INTEGER PRIMARY KEY its own numbers
_ID: Final = BigInteger().with_variant(Integer, "sqlite")


def _text(name: str) -> Col[str]:
    # equality and LIKE need no language
    return Col(name, Text().with_variant(Text(collation="C"), "postgresql"), nullable=False)


JOURNAL: Final = Table(
    "mail_journal_1",
    metadata,
    Col("id", _ID, primary_key=True, autoincrement=True),
    Col("at", Double, nullable=False),
    *map(
        _text,
        (
            "daemon",
            "action",
            "reason",
            "queue_id",
            "instance",
            "message_id",
            "client",
            "client_name",
            "helo",
            "sender",
            "sender_base",
            "login",
            "owner_domain",
            "recipient",
            "base",
            "domain",
        ),
    ),
    Col("size", BigInteger, nullable=False),
    Col("total", BigInteger, nullable=False),
    _text("details"),
    sqlite_autoincrement=True,
)
# not a parameter: both databases use a partial index only for a condition that they can read
_EMPTY: Final = text("''")
_SEARCHED: Final = ("base", "sender_base", "queue_id", "message_id", "reason", "instance")
_SEEN: Final = ("domain", "owner_domain", "base", "login")
# the latest rows that somebody may see: SQLite reads only the index of those that it passes over
Index("mail_journal_1_seen", JOURNAL.c.at, *(JOURNAL.c[_name] for _name in _SEEN))
_OLD: Final = ("mail_journal_1_at",)
"""Indexes that the table had before."""
for _name in _SEARCHED:
    _column = JOURNAL.c[_name]
    # most rows have no reason, and those of the policy server no queue id
    Index(
        f"mail_journal_1_{_name}",
        _column,
        JOURNAL.c.at,
        sqlite_where=_column != _EMPTY,
        postgresql_where=_column != _EMPTY,
    )


class JournalView(NamedTuple):
    """Rows that somebody may see: those about these recipients, or of these logins.

    None for both: all rows. `domains` are those of recipients and logins; `addresses` are in the
    form of `base_of`, and `login` is that of a mailbox, which did not exist before `since`, in
    seconds since the epoch: the mail of one that had the address before is not its own. Nor is the
    mail to one of `younger` before the time with it.
    """

    domains: frozenset[str] | None = None
    addresses: frozenset[str] | None = None
    login: str = ""
    since: float = 0.0
    younger: tuple[tuple[str, float], ...] = ()

    def condition(self) -> ColumnElement[bool] | None:
        """Return the condition for a row."""
        if self.domains is not None:
            return or_(JOURNAL.c.domain.in_(self.domains), JOURNAL.c.owner_domain.in_(self.domains))
        if self.addresses is not None:
            own = or_(
                JOURNAL.c.base.in_(self.addresses),
                and_(JOURNAL.c.login == self.login, JOURNAL.c.login != ""),
                *(
                    and_(JOURNAL.c.base.in_(names), JOURNAL.c.at >= since)
                    for since, names in self._young()
                ),
            )
            return and_(own, JOURNAL.c.at >= self.since)
        return None

    def _young(self) -> Iterator[tuple[float, list[str]]]:
        """Yield times, and the younger addresses from then on; the oldest ones share a time."""
        by_time: defaultdict[float, list[str]] = defaultdict(list)
        for address, since in self.younger:
            by_time[since].append(address)
        times = sorted(by_time, reverse=True)
        for since in times[:MAX_TIMES]:
            yield since, by_time[since]
        if rest := times[MAX_TIMES:]:
            yield rest[0], [address for since in rest for address in by_time[since]]


def equals(column: ColumnElement[str], value: str) -> ColumnElement[bool]:
    """Return the condition that a searched column has this value."""
    return and_(column == value, column != _EMPTY)


def is_one_of(column: ColumnElement[str], values: Iterable[str]) -> ColumnElement[bool]:
    """Return the condition that a searched column has one of these values."""
    return and_(column.in_(list(values)), column != _EMPTY)


def create(connection: Connection) -> None:
    """Make the table where it is missing."""
    if connection.dialect.name == "postgresql":
        # several processes may start at the same time
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
    metadata.create_all(connection)
    # a table that was there may lack an index
    for index in sorted(JOURNAL.indexes, key=lambda one: str(one.name)):
        index.create(connection, checkfirst=True)
    for name in _OLD:
        connection.execute(text(f"DROP INDEX IF EXISTS {name}"))


def append(connection: Connection, rows: Iterable[dict[str, Any]]) -> int:
    """Add rows, with at most `STEP` of them in memory; return their number."""
    remaining, count = iter(rows), 0
    while step := list(islice(remaining, STEP)):
        connection.execute(insert(JOURNAL), step)
        count += len(step)
    return count


def find(
    connection: Connection, view: JournalView, conditions: Iterable[ColumnElement[bool]], limit: int
) -> list[JournalRow]:
    """Return the latest rows that meet all conditions."""
    statement = select(JOURNAL).order_by(JOURNAL.c.at.desc(), JOURNAL.c.id.desc()).limit(limit)
    for condition in conditions:
        statement = statement.where(condition)
    if (seen := view.condition()) is not None:
        statement = statement.where(seen)
    return [read_row(tuple(row)) for row in connection.execute(statement)]


def erase(connection: Connection, base: str) -> int:
    """Remove all rows about an address, also as a login; return their number."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete = ON")
    named = [column == base for column in (JOURNAL.c.base, JOURNAL.c.sender_base, JOURNAL.c.login)]
    # the target of an alias, in the form of `json.dumps`
    target = f'"final": {json.dumps(base)}'
    named.append(
        (JOURNAL.c.daemon == "postfix") & JOURNAL.c.details.contains(target, autoescape=True)
    )
    gone = delete(JOURNAL).where(or_(*named))
    return int(connection.execute(gone).rowcount)


def prune(connection: Connection, before: float, keep: int) -> int:
    """Remove some rows that are older than `before` or beyond the newest `keep`; return how many.

    The oldest ones go first, at most `STEP` of each kind.
    """
    oldest = select(JOURNAL.c.id).where(JOURNAL.c.at < before).order_by(JOURNAL.c.at).limit(STEP)
    removed = connection.execute(delete(JOURNAL).where(JOURNAL.c.id.in_(oldest))).rowcount
    # the numbers are given in order, so that this needs no count of all rows
    first, last = connection.execute(select(func.min(JOURNAL.c.id), func.max(JOURNAL.c.id))).one()
    if first is not None and (excess := last - first + 1 - keep) > 0:
        end = first + min(excess, STEP)
        removed += connection.execute(delete(JOURNAL).where(JOURNAL.c.id < end)).rowcount
    return int(removed)
