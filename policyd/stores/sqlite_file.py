"""The SQLite file of a store, and the index of its rows in memory. One thread at a time.

Rows are only ever appended, so that writing costs the same however many there are: new rows share
their page with others as new, and neither the WAL nor the copy into the file jumps about. Which row
belongs to a key is known by an index in memory (a second SQLite, without a file: some 25 bytes a
row), made at the start, in a second or two for a million rows. A key that nobody has seen is then
answered without a look into the file.

A key is found by its 63-bit keyed hash. Two keys with one hash would be taken for one (with a
million entries, once in ten trillion), and nobody outside knows the hash key.

Other processes may write to the same file: `begin()` notices, and reads what they have added.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from policyd.stores import Entry, StoreStartError

T = TypeVar("T")

BUSY_TIMEOUT = 0.25
"""Seconds to wait for another process's write; then the update fails and is not answered late."""
STEP = 1_000
"""Rows that one step of a scan or sweep looks at: about a millisecond."""
CACHE_KIB = 16 * 1024
"""Memory for pages of the file; the operating system keeps the rest."""
CHECKPOINT_PAGES = 16_384
"""Pages (4 KiB each) in the WAL at which a commit copies them into the file after all, to bound the
WAL; a thread of its own does it long before."""
SCHEMA_VERSION = 1
_CHUNKS = (256, 64, 16, 4, 1)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entry (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    hash INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    value TEXT NOT NULL,
    key TEXT NOT NULL
);
"""


def _marks(count: int) -> str:
    return ",".join("?" * count)


_FIND = {n: f"SELECT row, hash FROM place WHERE hash IN ({_marks(n)})" for n in _CHUNKS}  # noqa: S608
_SEARCH = {n: f"SELECT row, hash FROM entry WHERE hash IN ({_marks(n)})" for n in _CHUNKS}  # noqa: S608
_PLACE = {
    n: "INSERT OR REPLACE INTO place (hash, row) VALUES (?,?)" + ",(?,?)" * (n - 1) for n in _CHUNKS
}
_READ = {
    n: f"SELECT row, hash, value, expires FROM entry WHERE row IN ({_marks(n)})"  # noqa: S608
    for n in _CHUNKS
}
_APPEND = {
    n: "INSERT INTO entry (hash, expires, value, key) VALUES (?,?,?,?)" + ",(?,?,?,?)" * (n - 1)
    for n in _CHUNKS
}


class EntryFile:
    """The file `path`. Raises `sqlite3.Error`, `OSError` or `StoreStartError`.

    Without the index (`indexed`) each `read()` looks through all rows: right for a command that
    reads once and ends.
    """

    def __init__(self, path: Path, *, indexed: bool = True) -> None:
        self._path = path
        self._indexed = indexed
        self._db = _open(path)
        try:
            self._hash_key = _hash_key(self._db)
            self._inode = path.stat().st_ino
            self._places = _places()
            self._last_row = 0
            self._version = -1
            self._known: dict[int, int] = {}
            self._new_places: dict[int, int] = {}
            self._swept_to = 0
            if indexed:
                self._read_index()
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()
        self._places.close()

    @property
    def is_replaced(self) -> bool:
        """Whether the path leads to another file by now, or to none."""
        try:
            return self._path.stat().st_ino != self._inode
        except OSError:
            return True

    def begin(self) -> None:
        """Begin a transaction: from here on nobody else writes, and all is known."""
        self._db.execute("BEGIN IMMEDIATE")
        if not self._indexed:
            return
        (version,) = self._db.execute("PRAGMA data_version").fetchone()
        if version != self._version:
            self._version = version
            self._catch_up()

    def _read_index(self) -> None:
        """Take up the rows that are there; in the order of their hashes, which is faster."""
        self._places.execute("ATTACH ? AS file", (str(self._path),))
        self._places.execute(
            "INSERT OR REPLACE INTO place (hash, row) "
            "SELECT hash, max(row) FROM file.entry GROUP BY hash"
        )
        (last,) = self._places.execute("SELECT max(row) FROM place").fetchone()
        self._last_row = last or 0
        self._places.execute("DETACH file")

    def _catch_up(self) -> None:
        """Take up the rows that others have appended."""
        found = self._db.execute(
            "SELECT hash, row FROM entry WHERE row > ? ORDER BY row", (self._last_row,)
        )
        while rows := found.fetchmany(10_000):
            self._last_row = rows[-1][1]
            self._places.executemany("INSERT OR REPLACE INTO place (hash, row) VALUES (?,?)", rows)

    def read(self, keys: Iterable[str]) -> dict[str, Entry | None]:
        """The entries of keys, expired ones too; those that are not there are left out."""
        hashes = {self._hash(key): key for key in keys}
        rows: dict[int, int] = {}
        for chunk in _chunks(list(hashes)):
            if self._indexed:
                rows.update(self._places.execute(_FIND[len(chunk)], chunk))
            else:
                rows.update(self._db.execute(_SEARCH[len(chunk)], chunk))
        known: dict[str, Entry | None] = {}
        self._known = {}
        for chunk in _chunks(list(rows)):
            for row, number, value, expires in self._db.execute(_READ[len(chunk)], chunk):
                # what another process has deleted may be another's row by now
                if rows[row] == number:
                    self._known[number] = row
                    known[hashes[number]] = Entry(value, expires)
        return known

    def write(self, entries: Mapping[str, Entry | None]) -> None:
        """Write entries that were read before within this transaction; None deletes."""
        changed: list[tuple[int, str, int]] = []
        deleted: list[tuple[int]] = []
        appended: list[tuple[int, int, str, str]] = []
        for key, entry in entries.items():
            number = self._hash(key)
            row = self._known.get(number)
            if entry is None:
                if row is not None:
                    deleted.append((row,))
            elif row is None:
                appended.append((number, entry.expires, entry.value, key))
            else:
                changed.append((entry.expires, entry.value, row))
        if changed:
            self._db.executemany("UPDATE entry SET expires = ?, value = ? WHERE row = ?", changed)
        if deleted:
            self._db.executemany("DELETE FROM entry WHERE row = ?", deleted)
        for chunk in _chunks(appended):
            flat = [value for one in chunk for value in one]
            last = self._db.execute(_APPEND[len(chunk)], flat).lastrowid
            if last is None:
                raise sqlite3.OperationalError("no row was appended")
            # within the transaction, rows are numbered without a gap
            for n, one in enumerate(reversed(chunk)):
                self._new_places[one[0]] = last - n

    def commit(self) -> None:
        """Keep what was written."""
        self._db.execute("COMMIT")
        places = list(self._new_places.items())
        self._new_places = {}
        if places and self._indexed:
            self._last_row = max(self._last_row, max(row for _, row in places))
            for chunk in _chunks(places):
                flat = [value for one in chunk for value in one]
                self._places.execute(_PLACE[len(chunk)], flat)

    def rollback(self) -> None:
        """Forget what was written."""
        self._new_places = {}
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def scan(self, after: int) -> list[tuple[int, str, str, int]]:
        """The next rows behind row `after`: row, key, value, expires; none at the end."""
        return self._db.execute(
            "SELECT row, key, value, expires FROM entry WHERE row > ? ORDER BY row LIMIT ?",
            (after, STEP),
        ).fetchall()

    def sweep(self, now: float) -> int:
        """Remove what has expired of the next rows; returns how many, and begins anew at the end.

        Called outside of a transaction.
        """
        rows = self._db.execute(
            "SELECT row, hash, expires FROM entry WHERE row > ? ORDER BY row LIMIT ?",
            (self._swept_to, STEP),
        ).fetchall()
        expired = [(row, number) for row, number, expires in rows if expires <= now]
        if expired:
            self._db.execute("BEGIN IMMEDIATE")
            # the row may have been refreshed since
            removed = self._db.executemany(
                "DELETE FROM entry WHERE row = ? AND expires <= ?",
                [(row, int(now)) for row, _ in expired],
            ).rowcount
            self._db.execute("COMMIT")
            self._places.executemany(
                "DELETE FROM place WHERE hash = ? AND row = ?",
                [(number, row) for row, number in expired],
            )
        else:
            removed = 0
        self._swept_to = rows[-1][0] if len(rows) == STEP else 0
        return removed

    def truncate_wal(self) -> None:
        """Copy the whole WAL into the file and empty it."""
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _hash(self, key: str) -> int:
        digest = hashlib.blake2b(key.encode(), digest_size=8, key=self._hash_key).digest()
        return int.from_bytes(digest, "big", signed=True)


def checkpoint(path: Path) -> None:
    """Copy what others have left in the WAL into the file, waiting for nobody."""
    db = sqlite3.connect(path, timeout=0, isolation_level=None)
    try:
        db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    finally:
        db.close()


def _chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Portions of a few fixed sizes, so that SQLite compiles few statements."""
    at = 0
    for size in _CHUNKS:
        while len(items) - at >= size:
            yield items[at : at + size]
            at += size


def _open(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
    try:
        for pragma in (
            "journal_mode = WAL",
            "synchronous = NORMAL",
            f"cache_size = -{CACHE_KIB}",
            f"wal_autocheckpoint = {CHECKPOINT_PAGES}",
        ):
            db.execute(f"PRAGMA {pragma}")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise StoreStartError(  # noqa: TRY301
                f"the store {path} was written by a later version of Gatepost (schema {version})"
            )
        if version < SCHEMA_VERSION:
            db.executescript(_SCHEMA)
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    except BaseException:
        db.close()
        raise
    return db


def _places() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA journal_mode = OFF")
    db.execute("CREATE TABLE place (hash INTEGER PRIMARY KEY, row INTEGER NOT NULL)")
    return db


def _hash_key(db: sqlite3.Connection) -> bytes:
    """The key of the hash, drawn when the file is made."""
    found = db.execute("SELECT value FROM meta WHERE name = 'hash key'").fetchone()
    if found is None:
        db.execute(
            "INSERT OR IGNORE INTO meta (name, value) VALUES ('hash key', ?)",
            (secrets.token_bytes(16),),
        )
        found = db.execute("SELECT value FROM meta WHERE name = 'hash key'").fetchone()
    return bytes(found[0])
