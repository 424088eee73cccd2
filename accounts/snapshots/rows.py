"""Rows for the rules of `accounts.lookup`, read in the transaction of a snapshot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, literal, select

from accounts.lookup.ask import AliasRow, Ask, DomainRow, MailboxRow, RowAnswer, Unresolvable
from accounts.sources.source import MAX_ROWS, is_storable
from accounts.store import schema

PAGE = 500
"""Rows of a page."""


class TransactionRows:
    """Answers from one transaction. The domains are read at the start, other rows when needed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.domains = _read_domains(connection)

    def ask(self, asks: Sequence[Ask]) -> tuple[RowAnswer, ...]:
        """Answer questions about domains, names and wildcards; raises `Unresolvable`."""
        names = self._names(sorted({one.key for one in asks if one.table == "name"}))
        return tuple(
            names.get(one.key) if one.table == "name" else self._answer(one) for one in asks
        )

    def wildcards(self, domain: str) -> tuple[AliasRow, ...]:
        """Return the aliases of a domain that have a wildcard; raises `Unresolvable`."""
        table, owner = schema.alias, schema.domain
        rows = self._connection.execute(
            select(table)
            .join(owner, owner.c.id == table.c.domain_id)
            .where(owner.c.name == domain, is_set(table.c.is_wildcard))
            .order_by(table.c.address)
            .limit(MAX_ROWS + 1)
        ).all()
        if len(rows) > MAX_ROWS:
            raise Unresolvable(f"{domain} has more than {MAX_ROWS} aliases with a wildcard")
        return tuple(self.aliases(rows))

    def aliases(self, rows: Sequence[Any]) -> list[AliasRow]:
        """Return rows of the table `alias` with their targets."""
        if not rows:
            return []
        target = schema.alias_target
        targets: dict[int, list[str]] = {row.id: [] for row in rows}
        found = (
            select(target.c.alias_id, target.c.target)
            .where(target.c.alias_id.in_(list(targets)))
            .order_by(target.c.alias_id, target.c.position)
        )
        for alias, text in self._connection.execute(found):
            targets[alias].append(text)
        return [
            AliasRow(
                row.address, row.enabled, row.expires, row.members_may_send, tuple(targets[row.id])
            )
            for row in rows
        ]

    def _answer(self, ask: Ask) -> RowAnswer:
        if ask.table == "domain":
            return self.domains.get(ask.key)
        if ask.table == "wildcards":
            return self.wildcards(ask.key)
        raise ValueError(ask.table)

    def _names(self, addresses: Sequence[str]) -> dict[str, MailboxRow | AliasRow]:
        found: dict[str, MailboxRow | AliasRow] = {}
        # no row has a NUL, and PostgreSQL refuses it
        wanted = [one for one in addresses if is_storable(one)]
        box, alias = schema.mailbox, schema.alias
        columns = [box.c[name] for name in MailboxRow._fields if name in box.c]
        for start in range(0, len(wanted), PAGE):
            some = wanted[start : start + PAGE]
            for row in self._connection.execute(select(*columns).where(box.c.address.in_(some))):
                found[row.address] = MailboxRow(**row._asdict())
            rows = self._connection.execute(select(alias).where(alias.c.address.in_(some))).all()
            found |= {one.address: one for one in self.aliases(rows)}
        return found


def is_set(flag: ColumnElement[bool], value: bool = True) -> ColumnElement[bool]:
    """Return the condition that a flag has a value; "IS" takes no parameter in PostgreSQL."""
    return flag == literal(value, flag.type)


def pages(
    connection: Connection,
    statement: Select[Any],
    key: ColumnElement[Any],
    value: Callable[[Any], Any] = lambda row: row[0],
) -> Iterator[Sequence[Any]]:
    """Yield the rows of a statement in pages, in the order of the unique `key`.

    `value` returns the key of a row. The memory and the time of each step are bounded.
    """
    after: Any = None
    while True:
        page = statement if after is None else statement.where(key > after)
        rows = connection.execute(page.order_by(key).limit(PAGE)).all()
        if rows:
            yield rows
        if len(rows) < PAGE:
            return
        after = value(rows[-1])


def _read_domains(connection: Connection) -> dict[str, DomainRow]:
    own = schema.domain
    other = schema.domain.alias("other")
    rows = connection.execute(
        select(
            own.c.name,
            other.c.name.label("alias_of"),
            own.c.catch_all,
            own.c.enabled,
            own.c.transport,
            own.c.is_relay,
        ).join_from(own, other, own.c.alias_of == other.c.id, isouter=True)
    )
    return {row.name: DomainRow(*row) for row in rows}
