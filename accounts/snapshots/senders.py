"""Snapshot `senders`: the logins that may send as an address (`accounts.lookup.postfix.senders`).

`gatepost.snapshots.senders` reads it. The rules of look-ups find the members of an alias, so that
both give the same answer. An address without an answer, because its aliases contradict each other,
has ``false``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, TypeAlias

from sqlalchemy import Connection, func, select

from accounts.lookup import wildcard
from accounts.lookup.ask import AliasRow, MailboxRow, RowLookup, Unresolvable, solve, together
from accounts.lookup.find import AddressKind, AddressMeaning
from accounts.lookup.spread import members
from accounts.lookup.terms import LookupTerms
from accounts.snapshots.rows import TransactionRows, is_set, pages
from accounts.sources.source import MAX_ROWS
from accounts.store import schema

SnapshotRecord: TypeAlias = tuple[str, Any]

_BOX, _ALIAS, _DOMAIN, _RIGHT = schema.mailbox, schema.alias, schema.domain, schema.sender_right


def sender_records(connection: Connection, terms: LookupTerms) -> Iterator[SnapshotRecord]:
    """Yield the records in the order of their keys."""
    rows = TransactionRows(connection)
    yield "delimiter", terms.delimiter
    yield from domain_records(rows)
    yield from _names(connection, rows, terms)
    yield from _rights(connection)
    for name in sorted(rows.domains, key=str.encode):
        yield from _wildcards(rows, name, terms)


def domain_records(rows: TransactionRows) -> Iterator[SnapshotRecord]:
    """Yield a record for each domain: whether it is in force, and the target of an alias domain."""
    for name in sorted(rows.domains, key=str.encode):
        row = rows.domains[name]
        value: dict[str, Any] = {}
        if row.alias_of is not None:
            value["alias_of"] = row.alias_of
        final = row if row.alias_of is None else rows.domains.get(row.alias_of)
        if final is None or not (row.enabled and final.enabled):
            value["off"] = True
        yield f"domain:{name}", value


def next_expiry(connection: Connection, now: int) -> int | None:
    """Return when the next alias expires, in seconds since the epoch."""
    statement = select(func.min(_ALIAS.c.expires)).where(_ALIAS.c.expires > now)
    found: int | None = connection.execute(statement).scalar_one()
    return found


def _names(
    connection: Connection, rows: TransactionRows, terms: LookupTerms
) -> Iterator[SnapshotRecord]:
    table = schema.name
    statement = select(table.c.address, table.c.kind)
    for page in pages(connection, statement, table.c.address):
        logins = _of_mailboxes(connection, [row.address for row in page if row.kind == "mailbox"])
        named = [row.address for row in page if row.kind == "alias"]
        found = connection.execute(select(_ALIAS).where(_ALIAS.c.address.in_(named))).all()
        logins |= _of_aliases(rows.aliases(found), rows, terms)
        for row in page:
            yield f"name:{row.address}", logins[row.address]


def _of_mailboxes(connection: Connection, addresses: list[str]) -> dict[str, Any]:
    statement = select(_BOX.c.address, _BOX.c.enabled, _BOX.c.may_send)
    rows = connection.execute(statement.where(_BOX.c.address.in_(addresses)))
    return {row.address: [row.address] if row.enabled and row.may_send else [] for row in rows}


def _of_aliases(
    aliases: Sequence[AliasRow], rows: TransactionRows, terms: LookupTerms
) -> dict[str, Any]:
    """Return the logins of the members of aliases; False if they cannot be determined."""
    logins: dict[str, Any] = {alias.address: [] for alias in aliases}
    open_to_members = [
        alias
        for alias in aliases
        if alias.members_may_send and wildcard.is_in_force(alias, terms.now)
    ]
    try:
        found = solve(together([_members(alias, terms) for alias in open_to_members]), rows.ask)
    except Unresolvable:
        # one alias causes the error, and must not affect the others
        found = [_alone(alias, rows, terms) for alias in open_to_members]
    for alias, boxes in zip(open_to_members, found, strict=True):
        logins[alias.address] = (
            False
            if boxes is None
            else [box.address for box in boxes if box.enabled and box.may_send]
        )
    return logins


def _members(alias: AliasRow, terms: LookupTerms) -> RowLookup[tuple[MailboxRow, ...] | None]:
    return members(AddressMeaning(AddressKind.ALIAS, alias=alias), terms)


def _alone(
    alias: AliasRow, rows: TransactionRows, terms: LookupTerms
) -> tuple[MailboxRow, ...] | None:
    try:
        return solve(_members(alias, terms), rows.ask)
    except Unresolvable:
        return None


def _rights(connection: Connection) -> Iterator[SnapshotRecord]:
    """Yield the rights of mailboxes that are enabled and may send, in domains that are enabled."""
    statement = (
        select(_RIGHT.c.sender)
        .join(_BOX, _BOX.c.id == _RIGHT.c.mailbox_id)
        .join(_DOMAIN, _DOMAIN.c.id == _BOX.c.domain_id)
        .where(is_set(_BOX.c.enabled), is_set(_BOX.c.may_send), is_set(_DOMAIN.c.enabled))
    )
    for page in pages(connection, statement.distinct(), _RIGHT.c.sender):
        found = connection.execute(
            statement.add_columns(_BOX.c.address)
            .where(_RIGHT.c.sender.in_([row.sender for row in page]))
            .order_by(_RIGHT.c.sender, _BOX.c.address)
        )
        for sender, group in groupby(found, key=lambda row: str(row.sender)):
            logins = [row.address for row in group]
            yield f"right:{sender}", logins if len(logins) <= MAX_ROWS else False


def _wildcards(rows: TransactionRows, domain: str, terms: LookupTerms) -> Iterator[SnapshotRecord]:
    try:
        aliases = rows.wildcards(domain)
    except Unresolvable:
        yield f"wildcards:{domain}", False
        return
    in_force = [alias for alias in aliases if wildcard.is_in_force(alias, terms.now)]
    logins = _of_aliases(in_force, rows, terms)
    if in_force:
        yield (
            f"wildcards:{domain}",
            [
                [alias.address.rpartition("@")[0], logins[alias.address]]
                for alias in sorted(in_force, key=wildcard.rank)
            ],
        )
