"""Parts of tables: their metadata, columns and constraints."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    MetaData,
    Table,
    false,
    text,
    true,
)

from accounts.store.columns import FlagColumn, NumberColumn, TextColumn

CHANNEL = "gatepost_accounts"
"""The channel of PostgreSQL's NOTIFY; the payload is the generation."""

DIALECT = "dialect"
"""The key in `info` of what one database alone has: Alembic does not see `ddl_if`."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def id_column() -> Column[Any]:
    """Return the primary key, which the database numbers."""
    # SQLite numbers an INTEGER PRIMARY KEY itself, and has no IDENTITY
    return Column("id", NumberColumn, Identity(), primary_key=True)


def of_row(table: str, name: str | None = None, **options: Any) -> Column[Any]:
    """Return a column that refers to a row of another table and goes with it."""
    reference = ForeignKey(f"{table}.id", ondelete="CASCADE")
    return Column(name or f"{table}_id", NumberColumn, reference, **{"nullable": False, **options})


def number_column(name: str, **options: Any) -> Column[Any]:
    """Return a column with a number, which must be there unless `options` allow NULL."""
    return Column(name, NumberColumn, **{"nullable": False, **options})


def text_column(name: str, **options: Any) -> Column[Any]:
    """Return a column with text, which must be there unless `options` allow NULL."""
    return Column(name, TextColumn, **{"nullable": False, **options})


def flag_column(name: str, default: bool) -> Column[Any]:
    """Return a column that is true or false."""
    return Column(name, FlagColumn, nullable=False, server_default=true() if default else false())


def version_column() -> Column[Any]:
    """Return the column that grows with each change of the row."""
    return Column("version", NumberColumn, nullable=False, server_default=text("1"))


def one_of(column: str, *values: str) -> CheckConstraint:
    """Return the rule that a column has one of some values."""
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def not_negative(*columns: str) -> list[CheckConstraint]:
    """Return the rules that some columns are not below 0."""
    # a NULL passes a CHECK
    return [CheckConstraint(f"{column} >= 0", name=column) for column in columns]


def table(name: str, *items: Any, rowid: bool = True) -> Table:
    """Return a table; `items` are its columns and rules, or lists of them."""
    flat = [one for item in items for one in (item if isinstance(item, list) else [item])]
    return Table(name, metadata, *flat, sqlite_strict=True, sqlite_with_rowid=rowid)


def covering(table: str, *columns: str) -> Index:
    """Return an index of SQLite with every column that `accounts.sources.sqlite` reads.

    Thus a look-up reads only the index. PostgreSQL would read the row all the same, unless the
    table was vacuumed since.
    """
    index = Index(f"ix_{table}_lookup", *columns, info={DIALECT: "sqlite"})
    return index.ddl_if(dialect="sqlite")
