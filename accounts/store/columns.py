"""Column types that mean the same in SQLite and in PostgreSQL.

Tables of SQLite are STRICT, so that it also refuses values of another type. Both compare and sort
text by its octets (SQLite: BINARY; PostgreSQL: "C"), so that an index serves a search for a prefix,
and the pages of a list have the same order everywhere.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import (
    JSON,
    REAL,
    BigInteger,
    Boolean,
    Dialect,
    Double,
    Integer,
    LargeBinary,
    TypeDecorator,
)
from sqlalchemy import Text as SqlText
from sqlalchemy.types import TypeEngine

NumberColumn = BigInteger().with_variant(Integer(), "sqlite")
"""A whole number of up to 63 bits: ids, octets, seconds since the epoch in UTC."""

TextColumn = SqlText().with_variant(SqlText(collation="C"), "postgresql")
"""Text in UTF-8 without NUL."""

OctetsColumn = LargeBinary()
"""BLOB in SQLite, BYTEA in PostgreSQL."""

ScoreColumn: TypeEngine[Any] = Double().with_variant(REAL(), "sqlite")
"""A number with a fraction."""


class FlagColumn(TypeDecorator[bool]):
    """A boolean; 0 and 1 in SQLite, whose strict tables have no boolean type."""

    impl = Boolean
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type of the column in this database."""
        return Integer() if dialect.name == "sqlite" else Boolean()

    def process_bind_param(self, value: bool | None, dialect: Dialect) -> Any:
        """Return the value as the database takes it."""
        return int(value) if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> bool | None:  # noqa: ARG002
        """Return the value as Python has it."""
        return None if value is None else bool(value)


class Json(TypeDecorator[Any]):
    """A JSON value: TEXT in SQLite, JSON in PostgreSQL; plain SQL reads text from both."""

    impl = SqlText
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type of the column in this database."""
        return SqlText() if dialect.name == "sqlite" else JSON()

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Return the value as the database takes it."""
        if dialect.name != "sqlite":
            return value
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Return the value as Python has it."""
        return json.loads(value) if dialect.name == "sqlite" and value is not None else value
