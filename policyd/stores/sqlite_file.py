"""The SQLite file of a store, and the index of its rows in memory. One thread at a time.

Rows are only ever appended, so that writing costs the same however many there are: new rows share
their page with others as new, and neither the WAL nor the copy into the file jumps about. Which row
belongs to a key is known by an index in memory (a table of an attached database without a file):
25 bytes a row, made at the start in two seconds for a million. A key that nobody has seen is then
answered without a look into the file, and both are written in one transaction.

The index has Python's hash of a key: fast, keyed anew in each process, and never kept. Two keys
with one hash are told apart by the row, which has the key; the older is then forgotten (with a
million entries, once in forty million stores).

Other processes may write to the same file: `begin()` notices, and reads what they have added. Rows
above the last one that it has seen are all there is to read, so a number is never used again: what
is deleted is marked as expired, and the sweep leaves the last row alone.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gatepost.folder import OpenFolder
from policyd.stores import Entry, StoreStartError

BUSY_TIMEOUT = 0.25
"""Seconds to wait for another process's write; then the update fails and is not answered late."""
STEP = 1_000
"""Rows that one step of a scan looks at: about a millisecond."""
SWEEP_STEP = 500
"""Rows that one step of a sweep looks at and may have to delete: a millisecond or two, in which no
request is answered."""
CACHE_KIB = 16 * 1024
"""Memory for pages of the file; the operating system keeps the rest."""
CHECKPOINT_PAGES = 16_384
"""Pages (4 KiB each) in the WAL at which a commit copies them into the file after all, to bound the
WAL; a thread of its own does it long before."""
SCHEMA_VERSION = 2
MAX_APPENDED = 32
"""Rows that one statement appends: there is one for each number up to this."""
MAX_READ = 256
"""Keys that one statement looks for: there is one for each power of two up to this."""

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
"""What makes a file of the present schema of one of an earlier; 0 is an empty file."""

_SIDE_FILES = ("-wal", "-shm", "-journal")
"""Endings that SQLite adds to the name of a file for the files beside it."""

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

    Without the index (`indexed`) each `read()` looks through all rows: right for a command that
    reads once and ends.
    """

    def __init__(self, path: Path, *, indexed: bool = True) -> None:
        self._path = path
        self._indexed = indexed
        self._db, self.is_new = _open(path)
        self.read_only = not is_writable(path)
        """Whether it can only be looked at, as on a file system that is read-only."""
        self._version = -1
        self._last_row = 0
        """The highest number of a row that is in the index, or was."""
        self._appended_to = 0
        """The same with the rows of the transaction under way."""
        self._rows: dict[str, int] = {}
        """The rows of the keys that were read in the transaction under way."""
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
        """Let go of the file."""
        self._db.close()

    @property
    def is_replaced(self) -> bool:
        """Whether the path leads to another file by now, or to none."""
        try:
            return self._path.stat().st_ino != self._inode
        except OSError:
            return True

    def begin(self) -> None:
        """Begin a transaction: from here on nobody else writes, and all is known."""
        self._db.execute("BEGIN" if self.read_only else "BEGIN IMMEDIATE")
        (version,) = self._db.execute("PRAGMA main.data_version").fetchone()
        self._appended_to = self._last_row
        if version != self._version:
            self._version = version
            self._catch_up()

    def _make_index(self) -> None:
        """Make it, and take up the rows that are there."""
        self._db.execute("ATTACH ':memory:' AS memory")
        self._db.execute("CREATE TABLE memory.place (hash INTEGER PRIMARY KEY, row INTEGER)")
        self._db.create_function("hash", 1, hash, deterministic=True)
        self.begin()
        self.commit()

    def _catch_up(self) -> None:
        """Take up the rows that others have appended."""
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

    def read(self, keys: Collection[str]) -> dict[str, Entry | None]:
        """Return the entries of keys, expired ones too; those that are not there are left out."""
        known: dict[str, Entry | None] = {}
        rows = self._rows = {}
        for found in self._find(keys):
            for row, key, value, expires in found:
                if key in keys:  # another key may have its hash
                    rows[key] = row
                    known[key] = Entry(value, expires)
        return known

    def _find(self, keys: Collection[str]) -> Iterator[sqlite3.Cursor]:
        wanted: list[Any] = [hash(key) for key in keys] if self._indexed else [*keys]
        statement = _find if self._indexed else _search
        for start in range(0, len(wanted), MAX_READ):
            some = wanted[start : start + MAX_READ]
            size = 1 << (len(some) - 1).bit_length()
            some += some[-1:] * (size - len(some))
            yield self._db.execute(statement(size), some)

    def write(self, entries: Mapping[str, Entry | None]) -> None:
        """Write entries that were read before within this transaction; None deletes."""
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
        """Keep what was written."""
        self._db.execute("COMMIT")
        self._last_row = self._appended_to

    def rollback(self) -> None:
        """Forget what was written, and what was learned of others' rows."""
        self._version = -1  # SQLite may have rolled back by itself, as on a full disk
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def scan(self, after: int) -> list[tuple[int, str, str, int]]:
        """Return the next rows behind row `after`: row, key, value, expires; none at the end."""
        return self._db.execute(
            f"SELECT {_COLUMNS} FROM entry WHERE row > ? ORDER BY row LIMIT ?",  # noqa: S608
            (after, STEP),
        ).fetchall()

    def sweep(self, now: float) -> int:
        """Remove what has expired of the next rows; returns how many, and begins anew at the end.

        Called outside of a transaction. The rows that others have appended are taken up, too, so
        that they are never many.
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
    """Copy what others have left in the WAL into the file, waiting for nobody."""
    db = sqlite3.connect(path, timeout=0, isolation_level=None)
    try:
        db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    finally:
        db.close()


def _create(path: Path) -> None:
    """Make the file where there is none: who wrote to whom is not for everybody to read.

    SQLite gives its WAL the mode and the owner of the file. Made by root, it belongs to whom its
    folder belongs to: the daemon is to write to it.
    """
    with OpenFolder.open(path.parent) as folder:
        if os.geteuid() == 0:
            _insist_on_files(folder, path)
        _insist_on_no_fifo(path)
        status = folder.status()
        owner = (status.st_uid, status.st_gid) if os.geteuid() == 0 else (-1, -1)
        with suppress(FileExistsError):
            folder.add_file(path.name, 0o640, *owner)


def _insist_on_files(folder: OpenFolder, path: Path) -> None:
    """Raise `StoreStartError` for what could lead root, in another user's folder, elsewhere."""
    if folder.status().st_uid == 0:
        return
    for name in (path.name, *(f"{path.name}{suffix}" for suffix in _SIDE_FILES)):
        status = folder.find(name)
        if status is not None and (not stat.S_ISREG(status.st_mode) or status.st_nlink > 1):
            raise StoreStartError(
                f"the store {path.with_name(name)} is a link or no file, in a folder of uid "
                f"{folder.status().st_uid}: root does not follow it"
            )


def _insist_on_no_fifo(path: Path) -> None:
    """Raise `StoreStartError` for what is there and no file: to read a FIFO is to wait for ever."""
    for name in (path.name, *(f"{path.name}{suffix}" for suffix in _SIDE_FILES)):
        with suppress(FileNotFoundError):
            if not stat.S_ISREG(path.with_name(name).stat().st_mode):
                raise StoreStartError(f"the store {path.with_name(name)} is no regular file")


def is_writable(path: Path) -> bool:
    """Return whether the file can be written to.

    It is not opened to find out: to close it again would take away the locks that SQLite has on it.
    """
    return os.access(path, os.W_OK)


def _is_meant_so(path: Path) -> bool:
    """Tell whether the file is read-only for everybody, and not for want of a permission: its file
    system is, or root, who has every permission, may not write to it (chattr +i)."""
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY) or os.geteuid() == 0


def _open(path: Path) -> tuple[sqlite3.Connection, bool]:
    """Return the connection, and whether the file was made for it."""
    _create(path)
    try:
        return _connect(path)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CANTOPEN or not path.exists():
            raise
        # SQLite makes a WAL even to read, and cannot where nothing can be made. Without one there
        # is nothing but the file, and nobody changes it.
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
    """Make the tables, or make them as this schema has them; whether there were none."""
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
