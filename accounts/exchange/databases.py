"""Tables of another system, read from its database."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import asyncpg

from accounts.exchange.files import LARGEST_FILE, read_file
from accounts.exchange.notes import SourceError, SourcePlace
from accounts.exchange.sql_dump import read_dump
from accounts.exchange.tables import TableRow, Tables

TIMEOUT = 60.0
"""Seconds for each answer of a database."""

_AT_ONCE = 1000
_SQLITE = b"SQLite format 3\0"
_MYSQL = (
    "MySQL and MariaDB are read from a dump only: write one with "
    "`mysqldump --single-transaction --complete-insert --hex-blob DATABASE > dump.sql` and "
    "give that file"
)


def read_tables(
    source: str, layouts: dict[str, list[list[str]]], password: str | None = None
) -> Tables:
    """Return the tables that `layouts` names, from a dump, a file of SQLite, or a database.

    `source` is the path of a file, `sqlite:///PATH`, or `postgresql://USER@HOST/DATABASE`. Nothing
    is written. Raises `SourceError` if the source cannot be read; its text has no password.
    """
    scheme = urlsplit(source).scheme.partition("+")[0] if "://" in source else ""
    if scheme in ("mysql", "mariadb", "mysqli"):
        raise SourceError(_MYSQL)
    if scheme in ("postgresql", "postgres", "pgsql"):
        return asyncio.run(_postgresql(source, layouts, password))
    if scheme == "sqlite":
        return _sqlite(Path(unquote(source.partition("://")[2].removeprefix("/"))), layouts)
    if scheme:
        raise SourceError("expected a file, sqlite:///PATH or postgresql://USER@HOST/DATABASE")
    path = Path(source)
    try:
        with path.open("rb") as file:
            head = file.read(len(_SQLITE)) if path.is_file() else b""
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from None
    if head == _SQLITE:
        return _sqlite(path, layouts)
    return read_dump(path.name, read_file(path, LARGEST_FILE), layouts)


def _sqlite(path: Path, tables: Iterable[str]) -> Tables:
    found = Tables()
    try:
        connection = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=TIMEOUT
        )
    except sqlite3.Error as error:
        raise SourceError(f"{path}: {error}") from None
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
        query = "SELECT lower(name), name FROM sqlite_master WHERE type = 'table'"
        there = dict(connection.execute(query).fetchall())
        for table in tables:
            if table in there:
                quoted = there[table].replace('"', '""')
                rows = connection.execute(f'SELECT * FROM "{quoted}"')  # noqa: S608
                names = [column[0] for column in rows.description]
                _add(found, path.name, table, names, rows)
    except sqlite3.Error as error:
        raise SourceError(f"{path}: {error}") from None
    finally:
        connection.close()
    return found


async def _postgresql(url: str, tables: Iterable[str], password: str | None) -> Tables:
    found = Tables()
    parts = urlsplit(url)
    url = parts._replace(scheme="postgresql").geturl()
    where = f"{parts.hostname or 'local'}{parts.path}"
    options: dict[str, Any] = {} if password is None else {"password": password}
    try:
        connection = await asyncpg.connect(
            url,
            timeout=TIMEOUT,
            command_timeout=TIMEOUT,
            server_settings={"default_transaction_read_only": "on"},
            **options,
        )
    except (OSError, ValueError, TimeoutError, asyncpg.PostgresError) as error:
        raise SourceError(f"{where}: no connection: {type(error).__name__}") from None
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            for table in tables:
                if await connection.fetchval("SELECT to_regclass($1)", table) is None:
                    continue
                statement = await connection.prepare(f"SELECT * FROM {table}")  # noqa: S608
                names = [attribute.name for attribute in statement.get_attributes()]
                cursor = await statement.cursor()
                while rows := await cursor.fetch(_AT_ONCE):
                    _add(found, where, table, names, rows)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise SourceError(f"{where}: {type(error).__name__}: {error}") from None
    finally:
        await connection.close(timeout=TIMEOUT)
    return found


def _add(
    found: Tables, file: str, table: str, names: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    columns = {name.lower(): index for index, name in enumerate(names)}
    place = SourcePlace(f"{file}, table {table}")
    for row in rows:
        found.add(table, TableRow(columns, tuple(row), place))
