"""Mailboxes in domains, and databases filled with them, through the real tables.

This module and load/socketmap.c make the same addresses.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg

from accounts.sources.postgres import connect_arguments
from accounts.store import migrate
from accounts.store.settings import DatabaseSettings

NOW = 1_800_000_000
"""When all of it was made, in seconds since the epoch."""

ALIAS = "alias-"
"""Prefix of an alias before the address of its mailbox."""

ALIAS_EVERY = 10
"""One mailbox of so many has an alias, the first one too."""


class Rows:
    """Mailboxes in domains, and an alias for some of them.

    `password` is the hash that all mailboxes have.
    """

    def __init__(self, domains: int, mailboxes: int, password: str = "x" * 120) -> None:
        self.domains = domains
        self.mailboxes = mailboxes
        self._password = password

    def address(self, number: int) -> str:
        """Return the address of a mailbox, from 1."""
        return f"user{number}@d{number % self.domains}.example"

    def some(self, count: int) -> list[int]:
        """Return the numbers of so many mailboxes, the same ones each time, in any order."""
        return random.Random(count).sample(range(1, self.mailboxes + 1), count)

    def tables(self) -> Iterator[tuple[str, list[str], Iterator[tuple[Any, ...]]]]:
        """Yield tables in the order of their references: name, columns and rows."""
        numbers = range(1, self.mailboxes + 1)
        aliases = range(1, self.mailboxes + 1, ALIAS_EVERY)
        times = (NOW, NOW)
        yield (
            "domain",
            ["id", "name", "created", "changed"],
            ((number + 1, f"d{number}.example", *times) for number in range(self.domains)),
        )
        yield (
            "name",
            ["address", "kind", "domain_id"],
            itertools.chain(
                ((self.address(n), "mailbox", n % self.domains + 1) for n in numbers),
                ((ALIAS + self.address(n), "alias", n % self.domains + 1) for n in aliases),
            ),
        )
        yield (
            "mailbox",
            ["id", "domain_id", "address", "password", "created", "changed"],
            ((n, n % self.domains + 1, self.address(n), self._password, *times) for n in numbers),
        )
        yield (
            "alias",
            ["id", "domain_id", "address", "created", "changed"],
            ((n, n % self.domains + 1, ALIAS + self.address(n), *times) for n in aliases),
        )
        yield (
            "alias_target",
            ["alias_id", "position", "target"],
            ((n, 0, self.address(n)) for n in aliases),
        )


def fill_sqlite(path: Path, rows: Rows) -> None:
    """Make the file."""
    migrate.upgrade(DatabaseSettings(url=f"sqlite:///{path}"))
    db = sqlite3.connect(path)
    db.execute("PRAGMA synchronous = OFF")
    for table, columns, values in rows.tables():
        marks = ", ".join("?" * len(columns))
        names = ", ".join(columns)
        db.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", values)  # noqa: S608
    db.commit()
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


def fill_postgres(url: str, rows: Rows) -> None:
    """Make the tables in an empty database."""
    migrate.upgrade(DatabaseSettings(url=url))
    asyncio.run(_copy(url, rows))


async def _copy(url: str, rows: Rows) -> None:
    connection = await asyncpg.connect(**connect_arguments(url))
    for table, columns, values in rows.tables():
        await connection.copy_records_to_table(table, records=values, columns=columns, timeout=900)
    await connection.execute("VACUUM ANALYZE", timeout=900)
    await connection.execute("CHECKPOINT", timeout=900)
    await connection.close()


def fill_lmdb(folder: Path, rows: Rows) -> Path:
    """Make a table of Postfix with the mailboxes, by its own postmap(1)."""
    configuration = folder / "lmdb"
    configuration.mkdir()
    (configuration / "main.cf").write_text("lmdb_map_size = 1073741824\ninet_protocols = ipv4\n")
    table = configuration / "mailboxes"
    with table.open("w") as file:
        for number in range(1, rows.mailboxes + 1):
            file.write(f"{rows.address(number)} {rows.address(number)}\n")
    subprocess.run(["postmap", "-c", configuration, f"lmdb:{table}"], check=True)
    return table
