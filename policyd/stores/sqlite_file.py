"""The SQLite file of a store, and the index of its rows in memory. One thread at a time.

Rows are only appended, so that the cost of writing does not depend on their number: new rows share
their page with other new ones, and writes to the WAL and to the file stay sequential. An index in
memory (a table of an attached database without a file) maps keys to rows: 25 bytes per row, built
at the start in two seconds for a million. An unknown key is then answered without reading the file,
and both are written in one transaction.

The index contains Python's hash of a key: fast, keyed differently in each process, and never
stored. The row has the key, so keys with the same hash are not confused; the older one is then
forgotten (with a million entries, once in forty million stores).

Other processes may write to the same file: `begin()` notices, and reads the rows that they have
added. It only reads rows above the last one seen, so row numbers are never reused: a deleted row is
marked as expired, and the sweep never removes the last row.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gatepost.errors import StartError
from gatepost.store_file import is_writable, make_store_file
from policyd.stores import StoreEntry, StoreStartError

BUSY_TIMEOUT = 0.25
"""Seconds to wait for another process's write; then the update fails instead of being late."""
STEP = 1_000
"""Rows that one step of a scan reads: about a millisecond."""
SWEEP_STEP = 500
"""Rows that one step of a sweep reads and may delete: a millisecond or two, in which no request is
answered."""
CACHE_KIB = 16 * 1024
"""Memory for pages of the file; the operating system caches the rest."""
CHECKPOINT_PAGES = 16_384
"""Pages (4 KiB each) in the WAL at which a commit copies them into the file, to limit the WAL;
normally a separate thread does it long before."""
SCHEMA_VERSION = 2
MAX_APPENDED = 32
"""Maximum rows that one statement appends; there is a statement for each number up to this."""
MAX_READ = 256
"""Maximum keys that one statement looks up; there is a statement for each power of two up to
this."""

_CREATE = """
CREATE TABLE entry (
    row INTEGER PRIMARY KEY,
    expires INTEGER NOT NULL,
    value TEXT NOT NULL,
    key TEXT NOT NULL
)
"""
_UPGRADE: dict[int, Sequence[str]] = {
    0: (_CREATE,),
    1: (  # rows had a hash that was the same in all processes
        "ALTER TABLE entry RENAME TO old",
        _CREATE,
        "INSERT INTO entry SELECT row, expires, value, key FROM old",
        "DROP TABLE old",
        "DROP TABLE meta",
    ),
    SCHEMA_VERSION: (),
}
"""Statements that upgrade a file from an earlier schema; 0 is an empty file."""

_COLUMNS = "entry.row, entry.key, entry.value, entry.expires"


def _marks(count: int) -> str:
    return ",".join("?" * count)


@cache
def _find(count: int) -> str:
    # CROSS JOIN: the index first, whatever SQLite thinks of it
    return (
        f"SELECT {_COLUMNS} FROM place CROSS JOIN entry ON entry.row = place.row "  # noqa: S608
        f"WHERE place.hash IN ({_marks(count)})"
    )


@cache
def _search(count: int) -> str:
    return f"SELECT {_COLUMNS} FROM entry WHERE key IN ({_marks(count)}) ORDER BY row"  # noqa: S608


@cache
def _append(count: int) -> str:
    rows = ",".join(["(?,?,?,?)"] * count)
    return f"INSERT INTO entry (row, expires, value, key) VALUES {rows}"  # noqa: S608


@cache
def _place(count: int) -> str:
    rows = ",".join(["(?,?)"] * count)
    return f"INSERT OR REPLACE INTO place (hash, row) VALUES {rows}"  # noqa: S608


class EntryFile:
    """The file `path`. Raises `sqlite3.Error`, `OSError` or `StoreStartError`.

    Without the index (`indexed`), each `read()` scans all rows: suitable for a command that reads
    once and ends.
    """

    def __init__(self, path: Path, *, indexed: bool = True) -> None:
        self._path = path
        self._indexed = indexed
        self._db, self.is_new = _open(path)
        self.read_only = not is_writable(path)
        """Whether it can only be read, as on a read-only file system."""
        self._version = -1
        self._last_row = 0
        """The highest row number that is or was in the index."""
        self._appended_to = 0
        """The same including the rows of the current transaction."""
        self._rows: dict[str, int] = {}
        """The rows of the keys read in the current transaction."""
        self._swept_to = 0
        try:
            if indexed and self.read_only and not _is_meant_so(path):
                raise StoreStartError(  # noqa: TRY301
                    f"the store {path} belongs to uid {path.stat().st_uid}, and uid {os.geteuid()} "
                    "may not write to it"
                )
            self._inode = path.stat().st_ino
            if indexed:
                self._make_index()
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @property
    def is_replaced(self) -> bool:
        """Return whether the path now leads to another file or to none."""
        try:
            return self._path.stat().st_ino != self._inode
        except OSError:
            return True

    def begin(self) -> None:
        """Begin a transaction: from now on nobody else can write, and the index is complete."""
        self._db.execute("BEGIN" if self.read_only else "BEGIN IMMEDIATE")
        (version,) = self._db.execute("PRAGMA main.data_version").fetchone()
        self._appended_to = self._last_row
        if version != self._version:
            self._version = version
            self._catch_up()

    def _make_index(self) -> None:
        """Create the index, and add the existing rows."""
        self._db.execute("ATTACH ':memory:' AS memory")
        self._db.execute("CREATE TABLE memory.place (hash INTEGER PRIMARY KEY, row INTEGER)")
        self._db.create_function("hash", 1, hash, deterministic=True)
        self.begin()
        self.commit()

    def _catch_up(self) -> None:
        """Add the rows that others have appended."""
        self._appended_to = max(self._last_row, self._highest_row())
        if self._indexed and self._appended_to > self._last_row:
            self._db.execute(
                "INSERT OR REPLACE INTO place (hash, row) "
                "SELECT hash(key), row FROM entry WHERE row > ? ORDER BY row",
                (self._last_row,),
            )

    def _highest_row(self) -> int:
        (row,) = self._db.execute("SELECT coalesce(max(row), 0) FROM entry").fetchone()
        return int(row)

    def read(self, keys: Collection[str]) -> dict[str, StoreEntry | None]:
        """Return the entries of keys, including expired ones; missing keys are left out."""
        known: dict[str, StoreEntry | None] = {}
        rows = self._rows = {}
        for found in self._find(keys):
            for row, key, value, expires in found:
                if key in keys:  # another key may have its hash
                    rows[key] = row
                    known[key] = StoreEntry(value, expires)
        return known

    def _find(self, keys: Collection[str]) -> Iterator[sqlite3.Cursor]:
        wanted: list[Any] = [hash(key) for key in keys] if self._indexed else [*keys]
        statement = _find if self._indexed else _search
        for start in range(0, len(wanted), MAX_READ):
            some = wanted[start : start + MAX_READ]
            size = 1 << (len(some) - 1).bit_length()
            some += some[-1:] * (size - len(some))
            yield self._db.execute(statement(size), some)

    def write(self, entries: Mapping[str, StoreEntry | None]) -> None:
        """Write entries that were read earlier in this transaction; None deletes."""
        changed: list[tuple[int, str, int]] = []
        appended: list[int | str] = []
        places: list[int] = []
        for key, entry in entries.items():
            row = self._rows.get(key)
            if row is not None:
                expires, value = (0, "") if entry is None else (entry.expires, entry.value)
                changed.append((expires, value, row))
            elif entry is not None:
                self._appended_to += 1
                appended += (self._appended_to, entry.expires, entry.value, key)
                places += (hash(key), self._appended_to)
        if changed:
            self._db.executemany("UPDATE entry SET expires = ?, value = ? WHERE row = ?", changed)
        self._insert(_append, 4, appended)
        if self._indexed:
            self._insert(_place, 2, places)

    def _insert(self, statement: Any, columns: int, values: Sequence[int | str]) -> None:
        for start in range(0, len(values), columns * MAX_APPENDED):
            some = values[start : start + columns * MAX_APPENDED]
            self._db.execute(statement(len(some) // columns), some)

    def commit(self) -> None:
        """Commit the transaction."""
        self._db.execute("COMMIT")
        self._last_row = self._appended_to

    def rollback(self) -> None:
        """Roll back the transaction, and forget the rows of others that it added to the index."""
        self._version = -1  # SQLite may have rolled back by itself, as on a full disk
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def scan(self, after: int) -> list[tuple[int, str, str, int]]:
        """Return the next rows after row `after`: row, key, value, expires; none at the end."""
        return self._db.execute(
            f"SELECT {_COLUMNS} FROM entry WHERE row > ? ORDER BY row LIMIT ?",  # noqa: S608
            (after, STEP),
        ).fetchall()

    def sweep(self, now: float) -> int:
        """Remove expired rows among the next ones and return how many; starts over at the end.

        Called outside a transaction. It also adds the rows that others have appended, so that they
        are never many.
        """
        if self.read_only:
            return 0
        self.begin()
        rows = self._db.execute(
            "SELECT row, key, expires FROM entry WHERE row > ? ORDER BY row LIMIT ?",
            (self._swept_to, SWEEP_STEP),
        ).fetchall()
        expired = [
            (row, key) for row, key, expires in rows if expires <= now and row < self._appended_to
        ]
        if expired:
            self._db.executemany("DELETE FROM entry WHERE row = ?", [(row,) for row, _ in expired])
            if self._indexed:
                self._db.executemany(
                    "DELETE FROM place WHERE hash = ? AND row = ?",
                    [(hash(key), row) for row, key in expired],
                )
        self.commit()
        self._swept_to = rows[-1][0] if len(rows) == SWEEP_STEP else 0
        return len(expired)

    def truncate_wal(self) -> None:
        """Copy the whole WAL into the file and empty it."""
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def checkpoint(path: Path) -> None:
    """Copy the WAL into the file without waiting for other processes."""
    db = sqlite3.connect(path, timeout=0, isolation_level=None)
    try:
        db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    finally:
        db.close()


def _create(path: Path) -> None:
    """Create the file if it is missing, unreadable for others: it records who wrote to whom."""
    try:
        make_store_file(path, 0o640)
    except StartError as error:
        raise StoreStartError(str(error)) from None


def _is_meant_so(path: Path) -> bool:
    """Return whether the file is read-only for everybody, not just for lack of permission: its file
    system is read-only, or even root may not write to it (chattr +i)."""
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY) or os.geteuid() == 0


def _open(path: Path) -> tuple[sqlite3.Connection, bool]:
    """Return the connection, and whether the file was made for it."""
    _create(path)
    try:
        return _connect(path)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CANTOPEN or not path.exists():
            raise
        # SQLite creates a WAL even to read, which fails on a read-only file system. If there is
        # none, the file alone is complete, and nobody changes it.
        return _connect(path, "?immutable=1")


def _connect(path: Path, query: str = "") -> tuple[sqlite3.Connection, bool]:
    db = sqlite3.connect(
        f"file:{quote(str(path))}{query}",
        uri=True,
        timeout=BUSY_TIMEOUT,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        for pragma in (
            "journal_mode = WAL",
            "synchronous = NORMAL",
            "temp_store = MEMORY",  # sorting at the start; there may be no folder for it
            f"cache_size = -{CACHE_KIB}",
            f"wal_autocheckpoint = {CHECKPOINT_PAGES}",
        ):
            db.execute(f"PRAGMA {pragma}")
        is_new = _upgrade(db, path)
    except BaseException:
        db.close()
        raise
    return db, is_new


def _upgrade(db: sqlite3.Connection, path: Path) -> bool:
    """Create the tables, or upgrade them to this schema; return whether there were none."""
    if (version := _version(db)) > SCHEMA_VERSION:
        raise StoreStartError(
            f"the store {path} was written by a later version of Gatepost (schema {version})"
        )
    if version < SCHEMA_VERSION:
        db.execute("BEGIN IMMEDIATE")
        for statement in _UPGRADE[_version(db)]:  # another process may have been faster
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        db.execute("COMMIT")
    return version == 0


def _version(db: sqlite3.Connection) -> int:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    return int(version)
