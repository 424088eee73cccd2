"""Searches in lists: their statements, and the texts that they find."""

from __future__ import annotations

import pytest
from sqlalchemy import Column, MetaData, Table, Text, create_engine, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect

from accounts.directory.paging import having

PEOPLE = Table("people", MetaData(), Column("address", Text), Column("name", Text))


@pytest.mark.parametrize(
    ("dialect", "word"),
    [
        (sqlite.dialect(), " LIKE "),
        (postgresql.dialect(), " ILIKE "),  # type: ignore[no-untyped-call]
    ],
)
def test_each_database_compares_in_its_fast_way(dialect: Dialect, word: str) -> None:
    statement = select(PEOPLE).where(*having("ann", PEOPLE.c.address, PEOPLE.c.name))
    text = str(statement.compile(dialect=dialect))
    # a function for each row takes three times as long in SQLite
    assert "lower(" not in text
    assert text.count(word) == 2


@pytest.mark.parametrize(
    ("sought", "found"),
    [
        ("ANN", {"ann@a.example", "joann@a.example"}),
        ("_", {"x_y@a.example"}),
        ("%", {"100%@a.example"}),
        ("/", {"a/b@a.example"}),
        ("\\", set()),
        ("Ärger", {"joann@a.example"}),
        ("'", {"o'neil@a.example"}),
        ("@a.example", None),
    ],
)
def test_a_text_is_only_text(sought: str, found: set[str] | None) -> None:
    names = {
        "ann@a.example": "",
        "joann@a.example": "Jo Ärger",
        "x_y@a.example": "",
        "100%@a.example": "",
        "a/b@a.example": "",
        "o'neil@a.example": "",
    }
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        PEOPLE.create(connection)
        connection.execute(
            insert(PEOPLE), [{"address": one, "name": name} for one, name in names.items()]
        )
        statement = select(PEOPLE.c.address).where(*having(sought, *PEOPLE.c))
        rows = set(connection.scalars(statement))
    engine.dispose()
    assert rows == (set(names) if found is None else found)
