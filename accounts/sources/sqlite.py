"""Answers from a file of SQLite, read in the thread of the event loop.

A question takes a few microseconds, less than handing it to a thread. Readers and writers do not
wait for one another (WAL). The next question sees committed writes of all processes.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from accounts.lookup.ask import (
    AliasRow,
    AppPasswordRow,
    Ask,
    DomainRow,
    LoginRow,
    MailboxRow,
    RowAnswer,
    RuleRow,
    RulesRow,
    Table,
    Unavailable,
    Unresolvable,
)
from accounts.sources.source import MAX_ROWS, is_storable

WAIT = 0.05
"""Seconds that a question waits for a lock. Readers of a WAL meet a lock only while another process
opens or closes the database. Everything else in this process waits as well."""

RETRY = 0.2
"""Seconds after an error before the file is tried again: a long lock must not stop the event loop
for every question."""

LOOK = 0.5
"""Seconds between two checks of the generation, and of the path: a restored backup replaces the
file."""

KEPT_DOMAINS = 20_000
"""Domains whose rows are kept until somebody writes to the file: each look-up needs one."""

# changes with each commit of another connection; costs a third of a query
_VERSION = "PRAGMA data_version"
# Targets have no line feed: they are printable.
_TARGETS = (
    "(SELECT group_concat(target, char(10)) FROM"
    " (SELECT target FROM alias_target WHERE alias_id = a.id ORDER BY position))"
)
_DOMAIN = (
    "SELECT d.name, t.name, d.catch_all, d.enabled, d.transport, d.is_relay"
    " FROM domain d LEFT JOIN domain t ON t.id = d.alias_of WHERE d.name = ?"
)
# One statement for both, so that it sees one state of the data. The indexes have all columns: with
# a million rows, each page that need not be read saves a fifth of the statement's time.
_NAME = (
    "SELECT 0, address, enabled, may_send, may_receive, keep_copy, store,"  # noqa: S608
    " (SELECT group_concat(target, char(10)) FROM"
    " (SELECT target FROM forward WHERE mailbox_id = m.id ORDER BY position)), quota, home,"
    " locked_until"
    " FROM mailbox m INDEXED BY ix_mailbox_lookup WHERE address = ?1"
    " UNION ALL "
    f"SELECT 1, address, enabled, expires, members_may_send, {_TARGETS}, NULL, NULL, NULL, NULL,"
    " NULL"
    " FROM alias a INDEXED BY ix_alias_lookup WHERE address = ?1"
    " LIMIT 1"  # so that no alias is looked for when there is a mailbox
)
_WILDCARDS = (
    f"SELECT a.address, a.enabled, a.expires, a.members_may_send, {_TARGETS}"  # noqa: S608
    " FROM alias a WHERE a.domain_id = (SELECT id FROM domain WHERE name = ?)"
    f" AND a.is_wildcard = 1 LIMIT {MAX_ROWS + 1}"
)
_RIGHTS = (
    "SELECT m.address FROM sender_right r JOIN mailbox m ON m.id = r.mailbox_id"  # noqa: S608
    " JOIN domain d ON d.id = m.domain_id"
    " WHERE r.sender = ? AND m.enabled = 1 AND m.may_send = 1 AND d.enabled = 1"
    f" ORDER BY m.address LIMIT {MAX_ROWS + 1}"
)
_LOGIN = (
    "SELECT m.id, m.address, m.display_name, m.password, m.quota, m.enabled AND d.enabled,"
    " m.may_login, m.may_send, m.may_receive, m.store,"
    " (SELECT json_group_array(json_array(p.id, p.name, p.password, p.protocols, p.expires))"
    " FROM app_password p WHERE p.mailbox_id = m.id), m.home, m.locked_until"
    " FROM mailbox m JOIN domain d ON d.id = m.domain_id WHERE m.address = ?"
)
_RULES = (
    "SELECT (SELECT json_group_array(json_array(name, enabled, rule)) FROM"
    " (SELECT name, enabled, rule FROM sieve_rule WHERE mailbox_id = m.id ORDER BY position, id))"
    " FROM mailbox m WHERE m.address = ?"
)
_GENERATION = "SELECT generation FROM state"


class SqliteSource:
    """The file `path`, which is opened for the first question, and again after an error."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._connection: sqlite3.Connection | None = None
        self._version = 0
        self._domains: dict[str, DomainRow | None] = {}
        self._file: tuple[int, int] | None = None
        self._look_at = 0.0
        self._retry_at = 0.0
        self._away = ""
        self._generation = 0
        self._is_closed = False
        self._readers: dict[Table, Callable[[sqlite3.Connection, str], RowAnswer]] = {
            "domain": self._read_domain,
            "name": _read_name,
            "wildcards": _read_wildcards,
            "rights": _read_rights,
            "login": _read_login,
            "rules": _read_rules,
        }

    @property
    def generation(self) -> int:
        """The latest generation that was seen."""
        return self._generation

    def start(self) -> None:
        """Do nothing: the file is opened by the first question."""

    def ask(self, asks: Sequence[Ask]) -> tuple[RowAnswer, ...]:
        """Answer questions immediately; raises `Unavailable` and `Unresolvable`."""
        readers = self._readers
        try:
            connection = self._connection
            if connection is None or self._clock() >= self._look_at:
                connection = self._look()
            (version,) = connection.execute(_VERSION).fetchone()
            if version != self._version:
                self._version = version
                self._domains.clear()
            return tuple(
                [
                    readers[table](connection, key) if is_storable(key) else _nothing(table)
                    for table, key in asks
                ]
            )
        except (sqlite3.Error, OSError) as error:
            self._drop()
            self._away = f"{self._path}: {error}"
            self._retry_at = self._clock() + RETRY
            raise Unavailable(self._away) from error

    async def close(self) -> None:
        """Close the file."""
        self._is_closed = True
        self._drop()

    def _look(self) -> sqlite3.Connection:
        """Return a connection to the file that is at the path now."""
        if self._is_closed:
            raise Unavailable(f"{self._path} is closed")
        if self._clock() < self._retry_at:
            raise Unavailable(self._away)
        status = os.stat(self._path)
        file = (status.st_dev, status.st_ino)
        if file != self._file:
            self._drop()
        if self._connection is None:
            self._connection = _connect(self._path)
            self._file = file
        (self._generation,) = self._connection.execute(_GENERATION).fetchone()
        self._look_at = self._clock() + LOOK
        return self._connection

    def _read_domain(self, connection: sqlite3.Connection, key: str) -> DomainRow | None:
        domains = self._domains
        if key in domains:
            return domains[key]
        row = connection.execute(_DOMAIN, (key,)).fetchone()
        found = None
        if row is not None:
            name, alias_of, catch_all, enabled, transport, is_relay = row
            found = DomainRow(name, alias_of, catch_all, enabled == 1, transport, is_relay == 1)
        if len(domains) >= KEPT_DOMAINS:
            domains.clear()
        domains[key] = found
        return found

    def _drop(self) -> None:
        connection, self._connection, self._file = self._connection, None, None
        self._domains.clear()
        if connection is not None:
            connection.close()


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        # not "mode=ro": a reader of a WAL may have to create its index
        f"file:{quote(str(path))}?mode=rw",
        uri=True,
        timeout=WAIT,
        isolation_level=None,
        cached_statements=16,
    )
    try:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
    except BaseException:
        connection.close()
        raise
    return connection


def _nothing(table: Table) -> RowAnswer:
    return () if table in ("wildcards", "rights") else None


def _read_name(connection: sqlite3.Connection, key: str) -> MailboxRow | AliasRow | None:
    row = connection.execute(_NAME, (key,)).fetchone()
    if row is None:
        return None
    if row[0]:
        return _alias(row[1:6])
    _, address, enabled, may_send, may_receive, keep_copy, store, forwards, *more = row
    quota, home, locked_until = more
    return MailboxRow(
        address,
        enabled == 1,
        may_send == 1,
        may_receive == 1,
        keep_copy == 1,
        store,
        tuple(forwards.split("\n")) if forwards else (),
        quota,
        home,
        locked_until,
    )


def _alias(row: tuple[Any, ...]) -> AliasRow:
    address, enabled, expires, members_may_send, targets = row
    listed = tuple(targets.split("\n")) if targets else ()
    return AliasRow(address, enabled == 1, expires, members_may_send == 1, listed)


def _read_wildcards(connection: sqlite3.Connection, key: str) -> tuple[AliasRow, ...]:
    rows = connection.execute(_WILDCARDS, (key,)).fetchall()
    if len(rows) > MAX_ROWS:
        raise Unresolvable(f"{key} has more than {MAX_ROWS} aliases with a wildcard")
    return tuple(_alias(row) for row in rows)


def _read_rights(connection: sqlite3.Connection, key: str) -> tuple[str, ...]:
    rows = connection.execute(_RIGHTS, (key,)).fetchall()
    if len(rows) > MAX_ROWS:
        raise Unresolvable(f"more than {MAX_ROWS} logins have a right to {key}")
    return tuple(login for (login,) in rows)


def _read_login(connection: sqlite3.Connection, key: str) -> LoginRow | None:
    row = connection.execute(_LOGIN, (key,)).fetchone()
    if row is None:
        return None
    number, address, shown, password, quota, *flags, store, app_passwords, home, locked_until = row
    enabled, may_login, may_send, may_receive = (flag == 1 for flag in flags)
    return LoginRow(
        number,
        address,
        shown,
        password,
        quota,
        enabled,
        may_login,
        may_send,
        may_receive,
        store,
        tuple(AppPasswordRow(*one) for one in json.loads(app_passwords)),
        home,
        locked_until,
    )


def _read_rules(connection: sqlite3.Connection, key: str) -> RulesRow | None:
    row = connection.execute(_RULES, (key,)).fetchone()
    if row is None:
        return None
    rules = json.loads(row[0])
    return RulesRow(key, tuple(RuleRow(name, on == 1, text) for name, on, text in rules))
