"""Snapshot `recipients`: preferences of mailboxes that differ from the defaults.

An alias has a record if all its targets are mailboxes without greylisting: mail to it is not
delayed either. `gatepost.snapshots.recipients` reads it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, select

from accounts.lookup.terms import LookupTerms
from accounts.snapshots.rows import TransactionRows, is_set, pages
from accounts.snapshots.senders import SnapshotRecord, domain_records
from accounts.store import schema

_NAME, _BOX, _ALIAS = schema.name, schema.mailbox, schema.alias
_PREFERENCE, _LISTED, _TARGET = schema.preference, schema.listed_sender, schema.alias_target


def recipient_records(connection: Connection, terms: LookupTerms) -> Iterator[SnapshotRecord]:
    """Yield the records in the order of their keys."""
    yield "delimiter", terms.delimiter
    yield from domain_records(TransactionRows(connection))
    for page in pages(connection, select(_NAME.c.address, _NAME.c.kind), _NAME.c.address):
        values = _of_mailboxes(connection, [row.address for row in page if row.kind == "mailbox"])
        named = [row.address for row in page if row.kind == "alias"]
        values |= {address: {"greylist": False} for address in _of_aliases(connection, named)}
        for row in page:
            if values.get(row.address):
                yield f"name:{row.address}", values[row.address]


def _of_aliases(connection: Connection, addresses: Sequence[str]) -> list[str]:
    """Return the aliases whose targets are all mailboxes without greylisting."""
    rows = connection.execute(
        select(_ALIAS.c.address, _TARGET.c.target, _PREFERENCE.c.greylist)
        .join(_TARGET, _TARGET.c.alias_id == _ALIAS.c.id)
        .join(_BOX, _BOX.c.address == _TARGET.c.target, isouter=True)
        .join(_PREFERENCE, _PREFERENCE.c.mailbox_id == _BOX.c.id, isouter=True)
        .where(
            _ALIAS.c.address.in_(addresses),
            is_set(_ALIAS.c.enabled),
            is_set(_ALIAS.c.is_wildcard, False),
        )
    )
    wishes: defaultdict[str, list[bool]] = defaultdict(list)
    for address, _, greylist in rows:
        wishes[address].append(greylist is not False)
    return [address for address, several in wishes.items() if not any(several)]


def _of_mailboxes(connection: Connection, addresses: Sequence[str]) -> dict[str, dict[str, Any]]:
    values: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    preferences = (
        select(_BOX.c.address, _PREFERENCE)
        .join(_PREFERENCE, _PREFERENCE.c.mailbox_id == _BOX.c.id)
        .where(_BOX.c.address.in_(addresses))
    )
    for row in connection.execute(preferences):
        value = values[row.address]
        for flag in ("greylist", "spam_check", "virus_check"):
            if not getattr(row, flag):
                value[flag] = False
        for score in ("spam_junk_score", "spam_reject_score"):
            if (number := getattr(row, score)) is not None:
                value[score] = number
    listed = (
        select(_BOX.c.address, _LISTED.c.kind, _LISTED.c.pattern)
        .join(_LISTED, _LISTED.c.mailbox_id == _BOX.c.id)
        .where(_BOX.c.address.in_(addresses))
        .order_by(_BOX.c.address, _LISTED.c.kind, _LISTED.c.pattern)
    )
    for address, kind, pattern in connection.execute(listed):
        values[address].setdefault(kind, []).append(pattern)
    return values
