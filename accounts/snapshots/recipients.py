"""Snapshot `recipients`: preferences of domains and mailboxes that differ from the defaults.

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
_DOMAIN, _DOMAIN_WISHES = schema.domain, schema.domain_preference
_DOMAIN_LISTED = schema.domain_listed_sender
_PREFERENCE, _LISTED, _TARGET = schema.preference, schema.listed_sender, schema.alias_target


def recipient_records(connection: Connection, terms: LookupTerms) -> Iterator[SnapshotRecord]:
    """Yield the records in the order of their keys."""
    yield from _domain_wishes(connection)
    yield "delimiter", terms.delimiter
    yield from domain_records(TransactionRows(connection))
    for page in pages(connection, select(_NAME.c.address, _NAME.c.kind), _NAME.c.address):
        values = _of_mailboxes(connection, [row.address for row in page if row.kind == "mailbox"])
        named = [row.address for row in page if row.kind == "alias"]
        values |= {address: {"greylist": False} for address in _of_aliases(connection, named)}
        for row in page:
            if values.get(row.address):
                yield f"name:{row.address}", values[row.address]


def _domain_wishes(connection: Connection) -> Iterator[SnapshotRecord]:
    values: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    preferences = select(_DOMAIN.c.name, _DOMAIN_WISHES).join(
        _DOMAIN_WISHES, _DOMAIN_WISHES.c.domain_id == _DOMAIN.c.id
    )
    for row in connection.execute(preferences):
        values[row.name] |= _filter_wishes(row)
    listed = (
        select(_DOMAIN.c.name, _DOMAIN_LISTED.c.kind, _DOMAIN_LISTED.c.pattern)
        .join(_DOMAIN_LISTED, _DOMAIN_LISTED.c.domain_id == _DOMAIN.c.id)
        .order_by(_DOMAIN.c.name, _DOMAIN_LISTED.c.kind, _DOMAIN_LISTED.c.pattern)
    )
    for name, kind, pattern in connection.execute(listed):
        values[name].setdefault(kind, []).append(pattern)
    for name in sorted(values, key=str.encode):
        if values[name]:
            yield f"defaults:{name}", values[name]


def _filter_wishes(row: Any) -> dict[str, Any]:
    """Return the preferences that mailboxes and domains have, without the unset ones."""
    found: dict[str, Any] = {}
    if row.spam_junk_score is not None:
        found["spam_junk_score"] = row.spam_junk_score
    if row.languages:
        found["languages"] = row.languages.split()
    if row.subject_tag is not None:
        found["subject_tag"] = row.subject_tag
    if row.rule_scores:
        found["rule_scores"] = row.rule_scores
    return found


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
        value |= _filter_wishes(row)
        if row.spam_reject_score is not None:
            value["spam_reject_score"] = row.spam_reject_score
    listed = (
        select(_BOX.c.address, _LISTED.c.kind, _LISTED.c.pattern)
        .join(_LISTED, _LISTED.c.mailbox_id == _BOX.c.id)
        .where(_BOX.c.address.in_(addresses))
        .order_by(_BOX.c.address, _LISTED.c.kind, _LISTED.c.pattern)
    )
    for address, kind, pattern in connection.execute(listed):
        values[address].setdefault(kind, []).append(pattern)
    return values
