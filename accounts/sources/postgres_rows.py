"""Queries to PostgreSQL, each for any number of keys, and the readers of their rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from accounts.lookup.ask import (
    AliasRow,
    AppPasswordRow,
    DomainRow,
    LoginRow,
    MailboxRow,
    RowAnswer,
    RuleRow,
    RulesRow,
    Table,
)
from accounts.sources.source import MAX_ROWS

Rows: TypeAlias = Sequence[Sequence[Any]]

GENERATION = "SELECT generation FROM state"

_TARGETS = "ARRAY(SELECT target FROM alias_target WHERE alias_id = a.id ORDER BY position)"


class TooManyRowsError(Exception):
    """There are more rows for one key than `MAX_ROWS`."""


class Query(NamedTuple):
    """A query whose only parameter is the keys; `read` makes an answer for each key."""

    sql: str
    read: Callable[[Sequence[str], Rows], Mapping[str, RowAnswer]]


def _read_domains(keys: Sequence[str], rows: Rows) -> dict[str, RowAnswer]:
    return dict.fromkeys(keys) | {row[0]: DomainRow(*row) for row in rows}


def _read_names(keys: Sequence[str], rows: Rows) -> dict[str, RowAnswer]:
    answers: dict[str, RowAnswer] = dict.fromkeys(keys)
    for is_alias, address, enabled, second, third, keep_copy, store, number, *more in rows:
        home, locked_until, targets = more
        if is_alias:
            answers[address] = AliasRow(address, enabled, number, second, tuple(targets))
        else:
            shared = (enabled, second, third, keep_copy, store)
            answers[address] = MailboxRow(
                address, *shared, tuple(targets), number, home, locked_until
            )
    return answers


def _read_wildcards(keys: Sequence[str], rows: Rows) -> dict[str, RowAnswer]:
    found: dict[str, list[AliasRow]] = {}
    for domain, address, enabled, expires, members_may_send, targets in rows:
        alias = AliasRow(address, enabled, expires, members_may_send, tuple(targets))
        found.setdefault(domain, []).append(alias)
    for domain, aliases in found.items():
        if len(aliases) > MAX_ROWS:
            raise TooManyRowsError(f"{domain} has more than {MAX_ROWS} aliases with a wildcard")
    return {key: tuple(found.get(key, ())) for key in keys}


def _read_rights(keys: Sequence[str], rows: Rows) -> dict[str, RowAnswer]:
    found: dict[str, list[str]] = {}
    for sender, login in rows:
        found.setdefault(sender, []).append(login)
    for sender, logins in found.items():
        if len(logins) > MAX_ROWS:
            raise TooManyRowsError(f"more than {MAX_ROWS} logins have a right to {sender}")
    return {key: tuple(found.get(key, ())) for key in keys}


def _read_logins(keys: Sequence[str], rows: Rows) -> dict[str, RowAnswer]:
    answers: dict[str, RowAnswer] = dict.fromkeys(keys)
    for *columns, app_passwords, home, locked_until in rows:
        passwords = tuple(AppPasswordRow(*one) for one in json.loads(app_passwords or "[]"))
        answers[columns[1]] = LoginRow._make((*columns, passwords, home, locked_until))
    return answers


def _read_rules(keys: Sequence[str], rows: Rows) -> dict[str, RowAnswer]:
    answers: dict[str, RowAnswer] = dict.fromkeys(keys)
    for address, rules in rows:
        read = tuple(RuleRow(*one) for one in json.loads(rules or "[]"))
        answers[address] = RulesRow(address, read)
    return answers


QUERIES: Mapping[Table, Query] = {
    "domain": Query(
        "SELECT d.name, t.name, d.catch_all, d.enabled, d.transport, d.is_relay"
        " FROM domain d LEFT JOIN domain t ON t.id = d.alias_of WHERE d.name = ANY($1::text[])",
        _read_domains,
    ),
    # one statement for both, so that it sees one state of the data
    "name": Query(
        "SELECT false, address, enabled, may_send, may_receive, keep_copy, store,"  # noqa: S608
        " quota, home, locked_until,"
        " ARRAY(SELECT target FROM forward WHERE mailbox_id = m.id ORDER BY position)"
        " FROM mailbox m WHERE address = ANY($1::text[])"
        " UNION ALL "
        "SELECT true, address, enabled, members_may_send, NULL, NULL, NULL, expires, NULL, NULL,"
        f" {_TARGETS} FROM alias a WHERE address = ANY($1::text[])",
        _read_names,
    ),
    # LATERAL, so that one domain with a million rows costs no more than MAX_ROWS of them
    "wildcards": Query(
        "SELECT d.name, w.* FROM domain d, LATERAL ("  # noqa: S608
        f"SELECT a.address, a.enabled, a.expires, a.members_may_send, {_TARGETS}"
        f" FROM alias a WHERE a.domain_id = d.id AND a.is_wildcard LIMIT {MAX_ROWS + 1}) w"
        " WHERE d.name = ANY($1::text[])",
        _read_wildcards,
    ),
    "rights": Query(
        "SELECT k.sender, w.address FROM unnest($1::text[]) AS k(sender), LATERAL ("  # noqa: S608
        "SELECT m.address FROM sender_right r JOIN mailbox m ON m.id = r.mailbox_id"
        " JOIN domain d ON d.id = m.domain_id"
        " WHERE r.sender = k.sender AND m.enabled AND m.may_send AND d.enabled"
        f" ORDER BY m.address LIMIT {MAX_ROWS + 1}) w",
        _read_rights,
    ),
    "login": Query(
        "SELECT m.id, m.address, m.display_name, m.password, m.quota, m.enabled AND d.enabled,"
        " m.may_login, m.may_send, m.may_receive, m.store,"
        " (SELECT json_agg(json_build_array(p.id, p.name, p.password, p.protocols, p.expires)"
        " ORDER BY p.id) FROM app_password p WHERE p.mailbox_id = m.id), m.home,"
        " m.locked_until"
        " FROM mailbox m JOIN domain d ON d.id = m.domain_id WHERE m.address = ANY($1::text[])",
        _read_logins,
    ),
    "rules": Query(
        "SELECT m.address,"
        " (SELECT json_agg(json_build_array(r.name, r.enabled, r.rule::text)"
        " ORDER BY r.position, r.id) FROM sieve_rule r WHERE r.mailbox_id = m.id)"
        " FROM mailbox m WHERE m.address = ANY($1::text[])",
        _read_rules,
    ),
}
