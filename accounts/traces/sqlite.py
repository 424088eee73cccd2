"""Traces in a file of SQLite, in plain SQL and in a thread of their own."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Self, TypeVar

from accounts.directory.fields import hashed
from accounts.store.errors import DatastoreUnavailable, Invalid
from accounts.store.file import OpenedFile, connect, explain
from accounts.store.noted import clean
from accounts.store.revisions import VERSION_TABLE, insist_on_revision
from accounts.traces.trace import (
    ACTIONS,
    AT_ONCE,
    RESTORED,
    AccountChanges,
    LoginTraces,
    Mark,
    read_changes,
)
from gatepost.errors import StartError

T = TypeVar("T")

POLL = 0.25
"""Seconds between two checks whether another process has written."""

_GENERATION = "SELECT generation FROM state"
# as `accounts.store.transaction.IS_REFUSAL`: a refusal is no change
_IS_CHANGE = """details NOT LIKE '{"refused"%'"""
_WHOLE = f"SELECT id, at, actor, action, object FROM audit WHERE {_IS_CHANGE}"  # noqa: S608
_LAST = f"{_WHOLE} ORDER BY id DESC LIMIT 1"
_OF_ACCOUNTS = (*ACTIONS, RESTORED)
_CHANGES = (
    f"{_WHOLE} AND id >= ?1 AND (id = ?1 OR action IN ({', '.join('?' * len(_OF_ACCOUNTS))}))"
    f" ORDER BY id LIMIT {AT_ONCE + 1}"
)


class SqliteTraces:
    """Traces in an existing file. Use it in one event loop, and `close()` it there.

    `timeout`: seconds to wait while another process writes.
    """

    def __init__(self, file: OpenedFile, timeout: float) -> None:
        self._file = file
        self._timeout = timeout
        self._db: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, "accounts-traces")
        self._generation = 0

    @classmethod
    def open(cls, file: OpenedFile, timeout: float) -> Self:
        """Open the file; raises `StartError` if its data do not have the revision of this code."""
        traces = cls(file, timeout)
        try:
            traces._generation = traces._do(_check)
        except DatastoreUnavailable as error:
            raise StartError(f"cannot open the datastore: {error}") from None
        return traces

    @property
    def generation(self) -> int:
        """The latest generation that was seen."""
        return self._generation

    async def wait_for_change(self, after: int, timeout: float) -> int:
        """Return the generation as soon as it is not `after`, or after `timeout` seconds."""
        end = time.monotonic() + timeout
        while True:
            self._generation = await self._run(_read_generation)
            if self._generation != after or time.monotonic() >= end:
                return self._generation
            await asyncio.sleep(POLL)

    async def last_change(self) -> Mark:
        """Return the last change in the audit log."""
        return await self._run(_read_last)

    async def changes(self, after: Mark) -> AccountChanges | None:
        """Return the next changes of accounts; None if all data were replaced since then."""
        found = await self._run(
            lambda db: db.execute(_CHANGES, (after.id, *_OF_ACCOUNTS)).fetchall()
        )
        return read_changes(after, [Mark(*row) for row in found])

    async def note(self, traces: LoginTraces) -> list[str]:
        """Write the effects of logins; returns the mailboxes that have a new hash.

        It finishes even if its caller is cancelled.
        """
        return await self._run(lambda db: _note(db, traces))

    async def close(self) -> None:
        """Finish the work in progress and close the file."""
        await asyncio.to_thread(self._thread.shutdown)
        self._let_go()

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._do, work)

    def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` with the connection, which is closed with its transaction after an error."""
        self._file.insist()
        try:
            if self._db is None:
                self._db = connect(self._file.path, self._timeout)
            return work(self._db)
        except sqlite3.IntegrityError as error:
            self._let_go()
            raise Invalid("", f"The database refuses it: {error}.") from error
        except sqlite3.Error as error:
            self._let_go()
            raise DatastoreUnavailable(f"{self._file.path}: {explain(error)}") from error
        except BaseException:
            self._let_go()
            raise

    def _let_go(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            db.close()


def _check(db: sqlite3.Connection) -> int:
    found = None
    tables = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?"
    if db.execute(tables, (VERSION_TABLE,)).fetchone():
        row = db.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()  # noqa: S608
        found = None if row is None else str(row[0])
    insist_on_revision(found)
    return _read_generation(db)


def _read_generation(db: sqlite3.Connection) -> int:
    return int(db.execute(_GENERATION).fetchone()[0])


def _read_last(db: sqlite3.Connection) -> Mark:
    row = db.execute(_LAST).fetchone()
    return Mark() if row is None else Mark(*row)


def _note(db: sqlite3.Connection, traces: LoginTraces) -> list[str]:
    db.execute("BEGIN IMMEDIATE")
    for address, at in traces.logins.items():
        db.execute("UPDATE mailbox SET last_login = ? WHERE address = ?", (at, address))
    for row, (at, client) in traces.app_passwords.items():
        told = None if client is None else clean(client)
        db.execute(
            "UPDATE app_password SET last_used = ?, last_client = ? WHERE id = ?", (at, told, row)
        )
    upgraded = []
    for address, (before, after) in traces.hashed.items():
        done = db.execute(
            "UPDATE mailbox SET password = ? WHERE address = ? AND password = ?",
            (hashed("password", after), address, before),
        )
        if done.rowcount == 1:
            upgraded.append(address)
    db.execute("COMMIT")
    return upgraded
