import sqlite3
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.exchange.notes import SourceError
from accounts.exchange.sql_dump import MOST_PROBLEMS, guess_dialect, read_dump
from accounts.exchange.sql_values import Dialect
from accounts.exchange.tables import RowError, Tables

LAYOUTS = {"box": [["a", "b"], ["a", "b", "c"]], "other": [["x"]]}


def read(text: str | bytes, dialect: Dialect | None = None) -> Tables:
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
    return read_dump("dump.sql", data, LAYOUTS, dialect)


def rows(text: str | bytes, dialect: Dialect | None = None) -> list[list[Any]]:
    found = read(text, dialect)
    assert not found.problems
    return [list(row.values) for row in found["box"]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("INSERT INTO `box` VALUES (1,'x');", [[1, "x"]]),
        ("INSERT INTO `db`.`box` VALUES (1,'x'),\n (2,'y');", [[1, "x"], [2, "y"]]),
        ("insert ignore into `box` (`a`, `b`) values (NULL, -1.5)", [[None, -1.5]]),
        ("REPLACE INTO `box` VALUES (0x616263, X'6162')", [[b"abc", b"ab"]]),
        ("INSERT INTO `box` VALUES (_binary 'x', _utf8mb4'y')", [["x", "y"]]),
        (r"INSERT INTO `box` VALUES ('it\'s', 'it''s')", [["it's", "it's"]]),
        (r"INSERT INTO `box` VALUES ('a\\', 'b\n\t\0\Z\%\q')", [["a\\", "b\n\t\0\x1a\\%q"]]),
        ('INSERT INTO `box` VALUES ("d\\"q", "d""q")', [['d"q', 'd"q']]),
        ("INSERT INTO `box` VALUES (NOW(), true);", [[None, True]]),
        ("INSERT INTO `box` VALUES (1,'a') ON DUPLICATE KEY UPDATE a=VALUES(a);", [[1, "a"]]),
        (
            "INSERT INTO `box` VALUES (1,'); INSERT INTO `box` VALUES (2,2);')",
            [[1, "); INSERT INTO `box` VALUES (2,2);"]],
        ),
        (
            "/* INSERT INTO `box` VALUES (9,9); */ -- x\n# y\nINSERT INTO `box` VALUES (1,2)",
            [[1, 2]],
        ),
        ("INSERT INTO `wide` VALUES ('; INSERT INTO box VALUES (1,2);');", []),
        ("INSERT INTO `box` VALUES\r\n(1,'a\r\nb');\r\n", [[1, "a\r\nb"]]),
    ],
)
def test_mysql(text: str, expected: list[Any]) -> None:
    assert rows("-- MySQL dump 10.13\n" + text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"INSERT INTO public.box VALUES (1, 'a\');", [[1, "a\\"]]),
        (
            r"INSERT INTO box VALUES (E'a\'b\n\x41\101é', 'c'::character varying(5));",
            [["a'b\nAAé", "c"]],
        ),
        ("INSERT INTO box OVERRIDING SYSTEM VALUE VALUES (true, NULL);", [[True, None]]),
        (
            "COPY public.box (a, b) FROM stdin;\n1\tx\\ty\\\\\n\\N\t\n\\.\nSELECT 1;\n",
            [["1", "x\ty\\"], [None, ""]],
        ),
        ("COPY public.wide (x) FROM stdin;\nINSERT INTO box VALUES (1,2);\n\\.\n", []),
        ("CREATE FUNCTION f() AS $_$ INSERT INTO box VALUES (1,2); $_$ LANGUAGE sql;", []),
        ("\\restrict abc\nINSERT INTO box VALUES (1,2);\n\\unrestrict abc\n", [[1, 2]]),
    ],
)
def test_postgresql(text: str, expected: list[Any]) -> None:
    assert rows("-- PostgreSQL database dump\n" + text) == expected


def test_columns_come_from_the_insert_then_from_create_table_then_from_the_layout() -> None:
    text = """
    CREATE TABLE `box` (
      `b` varchar(5) DEFAULT 'x,y)', -- a comment, with `tick`
      `key` decimal(5,2) NOT NULL COMMENT 'it\\'s, (not) a column',
      a int,
      PRIMARY KEY (`b`), UNIQUE KEY `k` (`a`,`b`), CONSTRAINT c CHECK (a > 0)
    ) ENGINE=InnoDB;
    INSERT INTO `box` VALUES ('1', 2, 3);
    INSERT INTO `box` (a, b) VALUES (4, '5');
    INSERT INTO `other` VALUES (6);
    """
    found = read(text)
    assert [(r.value("a"), r.value("b"), r.value("key")) for r in found["box"]] == [
        (3, "1", 2),
        (4, "5", None),
    ]
    assert [row.value("x") for row in found["other"]] == [6]


def test_a_row_knows_its_line() -> None:
    found = read("-- one\nINSERT INTO box VALUES\n(1,2),\n(3,'x\ny'),\n(4,5);")
    assert [row.place.line for row in found["box"]] == [3, 4, 6]


def test_the_body_of_a_trigger_is_no_data() -> None:
    text = """DELIMITER ;;
    CREATE TRIGGER t BEFORE INSERT ON box FOR EACH ROW BEGIN
      INSERT INTO `box` VALUES (6,6);
    END ;;
    DELIMITER ;
    INSERT INTO `box` VALUES (1,2);"""
    assert rows(text) == [[1, 2]]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("INSERT INTO box VALUES (1,2,3,4);", "has 4 values"),
        ("INSERT INTO box VALUES (1,'x", "expected a value"),
        ("INSERT INTO box VALUES (1,2", "a comma or a closing"),
        ("INSERT INTO box VALUES (SELECT 1);", "a comma or a closing"),
        ("INSERT INTO box SELECT * FROM y;", "without VALUES"),
        ("INSERT INTO box VALUES (1,2" + ",2" * 500 + ")", "more than 200"),
        ("INSERT INTO box VALUES (" + "f(" * 500, "too deep"),
    ],
)
def test_what_cannot_be_read_is_told_and_the_rest_goes_on(text: str, says: str) -> None:
    found = read("-- x\n" + text + "\n;\nINSERT INTO other VALUES (1);")
    assert [str(place) for place, _ in found.problems] == ["dump.sql:2"]
    assert says in found.problems[0][1]
    if "'x" not in text:
        assert [row.value("x") for row in found["other"]] == [1]


def test_too_many_problems_end_the_reading() -> None:
    with pytest.raises(SourceError, match="cannot be read"):
        read("INSERT INTO box SELECT 1;" * (MOST_PROBLEMS + 1))


@pytest.mark.parametrize(
    "evil",
    [
        "INSERT INTO box VALUES (" + "(" * 500_000,
        "INSERT INTO box VALUES ('" + "\\'" * 500_000,
        "INSERT INTO box VALUES " + "replace(" * 100_000,
        "INSERT INTO box (" + "a," * 500_000,
        "INSERT IGNORE " * 100_000,
        "INSERT x " * 100_000,
        "INSERT INTO `a`.`b`." * 50_000,
        "CREATE TABLE box (" + "(" * 300_000,
        "COPY a FROM stdin x" * 50_000,
        "/*" * 500_000,
        "`" * 500_001,
        '"\\' * 500_000,
        "$a$" * 300_000,
        "$a$ ;$b$" * 100_000,
        "-" * 500_000,
        "\0" * 500_000,
        "DELIMITER x\n" * 50_000,
    ],
    ids=lambda text: text[:24].encode("unicode_escape").decode(),
)
@pytest.mark.parametrize("dialect", ["mysql", "postgresql", "sqlite"])
def test_no_text_takes_long(evil: str, dialect: Dialect) -> None:
    started = time.process_time()
    read(evil, dialect)
    assert time.process_time() - started < 10


def test_broken_utf8_is_told_by_the_column_and_text_for_people_goes_on() -> None:
    row = next(read(b"INSERT INTO box VALUES ('\xff', 'M\xfcller\x01');")["box"])
    with pytest.raises(RowError, match="a is not UTF-8"):
        row.text("a")
    assert row.prose("b") == "M\ufffdller\ufffd"


def test_bom_and_utf16() -> None:
    assert rows(b"\xef\xbb\xbfINSERT INTO box VALUES (1,2);") == [[1, 2]]
    with pytest.raises(SourceError, match="UTF-16"):
        read("INSERT".encode("utf-16"))


@pytest.mark.parametrize(
    ("value", "flag"),
    [("1", True), ("0", False), (True, True), ("t", True), ("f", False), (None, True), ("Y", True)],
)
def test_flags(value: Any, flag: bool) -> None:
    row = next(read("INSERT INTO box VALUES (1,2);")["box"])
    row.values = [value]
    assert row.flag("a") is flag


@pytest.mark.parametrize("value", ["x", "1e3", "9" * 30, "１"])
def test_numbers_that_are_none(value: str) -> None:
    row = next(read("INSERT INTO box VALUES (1,2);")["box"])
    row.values = [value]
    with pytest.raises(RowError, match="a is not a number"):
        row.number("a")


values = (
    st.none() | st.integers(-(2**62), 2**62) | st.text(st.characters(codec="utf-8"), max_size=30)
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(values, values), min_size=1, max_size=5))
def test_sqlites_own_dump_comes_back(pairs: list[tuple[Any, Any]]) -> None:
    """The oracle is sqlite3: what it dumps is read as what it holds."""
    pairs = [
        tuple(one.replace("\0", "") if isinstance(one, str) else one for one in pair)  # type: ignore[misc]
        for pair in pairs
    ]
    database = sqlite3.connect(":memory:")
    database.execute('CREATE TABLE "box" (a, "b")')
    database.executemany("INSERT INTO box VALUES (?, ?)", pairs)
    dump = "\n".join(database.iterdump())
    database.close()
    assert guess_dialect(dump) == "sqlite"
    assert [tuple(row) for row in rows(dump)] == pairs


def mysql_quoted(value: Any) -> str:
    """A value as mysqldump writes it (mysql_real_escape_string)."""
    if not isinstance(value, str):
        return "NULL" if value is None else str(value)
    escapes = {
        "\\": "\\\\",
        "\0": "\\0",
        "\n": "\\n",
        "\r": "\\r",
        "'": "\\'",
        '"': '\\"',
        "\x1a": "\\Z",
    }
    return "'" + "".join(escapes.get(one, one) for one in value) + "'"


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(values, values), min_size=1, max_size=5))
def test_what_mysqldump_writes_comes_back(pairs: list[tuple[Any, Any]]) -> None:
    listed = ",".join(f"({mysql_quoted(a)},{mysql_quoted(b)})" for a, b in pairs)
    dump = f"-- MySQL dump\nINSERT INTO `box` VALUES {listed};\n"
    assert [tuple(row) for row in rows(dump)] == pairs


def copied(value: Any) -> str:
    if value is None:
        return "\\N"
    text = str(value)
    for plain, escaped in (("\\", "\\\\"), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
        text = text.replace(plain, escaped)
    return text


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(values, values), min_size=1, max_size=5))
def test_what_pg_dump_copies_comes_back(pairs: list[tuple[Any, Any]]) -> None:
    lines = "".join(f"{copied(a)}\t{copied(b)}\n" for a, b in pairs)
    dump = f"-- PostgreSQL database dump\nCOPY public.box (a, b) FROM stdin;\n{lines}\\.\n"
    expected = [tuple(None if one is None else str(one) for one in pair) for pair in pairs]
    assert [tuple(row) for row in rows(dump)] == expected


@settings(max_examples=500, deadline=None)
@given(
    st.text("INSERTO box(),;'`\"\\-/*#$\n01NUL", max_size=60),
    st.sampled_from(["mysql", "postgresql"]),
)
def test_any_text_is_read_to_its_end(text: str, dialect: Dialect) -> None:
    read("INSERT INTO box VALUES (1,2);" + text, dialect)  # noqa: S608
