"""tcp_table: whole, octet by octet, with more behind it, and whatever else comes."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.protocols.table import (
    MAX_KEY,
    Misconfigured,
    TableAnswer,
    TableFound,
    TableLookup,
    TableNotFound,
    TableTemporary,
    TimedOut,
)
from accounts.protocols.tcp_table import MAX_LINE, MAX_PASSED_OVER, MAX_REPLY, TcpTableConnection
from gatepost.conversation import Answered
from tests.unit.accounts.protocols.streams import events, in_any_portions, most_kept


def connection() -> TcpTableConnection:
    return TcpTableConnection("aliases")


def read(data: bytes) -> list[Any]:
    return in_any_portions(connection, data, b"get ano")


@pytest.mark.parametrize(
    ("line", "key"),
    [
        (b"get domain.example\n", "domain.example"),
        (b"get user@domain.example\n", "user@domain.example"),
        (b"get nobody%40domain.example\n", "nobody@domain.example"),
        (b"get a%20b%25c\n", "a b%c"),
        (b"get J%C3%b6rg@x.example\n", "Jörg@x.example"),
        (b"get UPPER@x.example\n", "UPPER@x.example"),
        (b"get  typed@by.hand \r\n", "typed@by.hand"),
        ("get jörg@x.example\n".encode(), "jörg@x.example"),
        (b"get *\n", "*"),
    ],
)
def test_a_request_is_read(line: bytes, key: str) -> None:
    assert read(line * 2) == [TableLookup("aliases", key)] * 2


@pytest.mark.parametrize(
    "line", [b"get a%00b\n", b"get %ff\n", b"get a%0ab\n", b"get " + b"x" * (MAX_KEY + 1) + b"\n"]
)
def test_a_key_that_nothing_can_be_stored_under_is_not_found(line: bytes) -> None:
    assert read(line + b"get b\n") == [Answered(b"500 no such name\n"), TableLookup("aliases", "b")]


@pytest.mark.parametrize(
    "line",
    [
        *(b"put a b\n", b"\n", b"\r\n", b"get\n", b"get \n", b"GET a\n", b"get a b\n", b"gets a\n"),
        *(b"get a%\n", b"get %4\n", b"get %zz\n", b"get %%\n", b"\0\n", b"GET / HTTP/1.1\r\n"),
    ],
)
def test_another_request_is_an_error_and_not_an_absence(line: bytes) -> None:
    first, second = read(line + b"get b\n")
    assert first.reply.startswith(b"400 ")
    assert first.complaint
    assert second == TableLookup("aliases", "b")


def test_a_line_that_is_too_long_is_passed_over() -> None:
    for size in (MAX_LINE + 1, 100_000, MAX_PASSED_OVER):
        first, second = read(b"get " + b"x" * (size - 4) + b"\nget b\n")
        assert first.reply == b"500 no such name\n"
        assert second == TableLookup("aliases", "b")
    (error,) = in_any_portions(connection, b"x" * (MAX_PASSED_OVER + 1))
    assert isinstance(error, str)


def encoded(reply: TableAnswer) -> bytes:
    return connection().encode(TableLookup("aliases", "x"), reply)


@pytest.mark.parametrize(
    ("reply", "octets"),
    [
        (TableFound("OK"), b"200 OK\n"),
        (TableFound("a@x.example, b@x.example"), b"200 a@x.example,%20b@x.example\n"),
        (TableFound("100%\n"), b"200 100%25%0A\n"),
        (TableFound("ö"), b"200 %C3%B6\n"),
        (TableNotFound(), b"500 no such name\n"),
        (TableTemporary("the database is away"), b"400 the database is away\n"),
        (TimedOut("100% late"), b"400 100%25 late\n"),
        (Misconfigured("a\nb"), b"400 a?b\n"),
    ],
)
def test_answers_are_lines(reply: TableAnswer, octets: bytes) -> None:
    assert encoded(reply) == octets


def test_an_answer_is_never_longer_than_postfix_takes() -> None:
    fits = "x" * (MAX_REPLY - 5)
    assert encoded(TableFound(fits)) == b"200 %b\n" % fits.encode()
    assert encoded(TableFound(fits + "x")) == b"400 the answer is too large\n"
    assert encoded(TableFound("ö" * 1000)) == b"400 the answer is too large\n"


def test_a_failure_is_temporary() -> None:
    for expired in (False, True):
        assert (
            connection().failure(TableLookup("aliases", "x"), expired=expired).startswith(b"400 ")
        )


def test_memory_is_bounded() -> None:
    assert most_kept(connection(), b"x" * 8192, 10_000) <= MAX_LINE + 8192
    assert most_kept(connection(), b"get a\n" * 1000, 100) <= MAX_LINE + 8192


pieces = st.sampled_from([b"get ", b"get a\n", b"%", b"%4", b"%41", b"\n", b"\r\n", b"\0", b"put "])


@given(st.lists(st.one_of(pieces, st.binary(max_size=20)), max_size=40))
def test_anything_gives_events_in_any_portions(portions: list[bytes]) -> None:
    whole = events(connection(), b"".join(portions))
    assert events(connection(), *portions) == whole
    data = b"".join(portions)
    assert events(connection(), *(data[n : n + 1] for n in range(len(data)))) == whole


@given(st.text(max_size=300))
def test_an_answer_is_one_line_and_reads_as_what_it_was(value: str) -> None:
    line = encoded(TableFound(value))
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert line.split() == [b"200", line[4:-1]] or not value
    assert unquote_to_bytes(line[4:-1]) == value.encode("utf-8", "replace")
