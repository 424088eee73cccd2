"""socketmap: whole, octet by octet, with more behind it, and whatever else comes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.protocols.socketmap import (
    MAX_PASSED_OVER,
    MAX_REPLY,
    MAX_REQUEST,
    TABLES,
    SocketmapConnection,
)
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
from gatepost.conversation import Answered
from tests.unit.accounts.protocols.streams import events, in_any_portions, most_kept


def netstring(text: bytes | str) -> bytes:
    octets = text.encode() if isinstance(text, str) else text
    return b"%d:%b," % (len(octets), octets)


def read(data: bytes) -> list[Any]:
    return in_any_portions(SocketmapConnection, data, b"16:aliases anna@ex")


def test_requests_are_read() -> None:
    data = b"".join(netstring(f"{table} anna@example.org") for table in TABLES)
    assert read(data) == [TableLookup(table, "anna@example.org") for table in TABLES]


@pytest.mark.parametrize(
    "key",
    ["*", "example.org", "anna+list@example.org", "a b@example.org", " x", "jörg@bücher.example"],
)
def test_only_the_first_blank_separates(key: str) -> None:
    assert read(netstring(f"transport {key}")) == [TableLookup("transport", key)]


NOBODY = Answered(b"9:NOTFOUND ,")


@pytest.mark.parametrize(
    "key", [b"", b"a\0b", b"\xff@example.org", b"a\nb", b"a\x7f", b"x" * (MAX_KEY + 1)]
)
def test_a_key_that_nothing_can_be_stored_under_is_not_found(key: bytes) -> None:
    assert read(netstring(b"mailboxes " + key) + netstring("domains b")) == [
        NOBODY,
        TableLookup("domains", "b"),
    ]


@pytest.mark.parametrize("size", [MAX_REQUEST + 1, 100_000, MAX_PASSED_OVER])
def test_a_request_that_is_too_long_is_passed_over(size: int) -> None:
    found = read(netstring(b"mailboxes " + b"x" * (size - 10)) + netstring("domains b"))
    complaint = f"a request of more than {MAX_REQUEST} octets"
    assert found == [Answered(NOBODY.reply, complaint), TableLookup("domains", "b")]


@pytest.mark.parametrize("request_", ["", "mailboxes", "nope anna@example.org", "Domains a", " a"])
def test_a_map_that_nobody_knows_is_a_mistake_and_not_an_absence(request_: str) -> None:
    first, second = read(netstring(request_) + netstring("domains b"))
    assert first.reply.partition(b":")[2].startswith(b"PERM no such map: ")
    assert first.complaint
    assert second == TableLookup("domains", "b")


@pytest.mark.parametrize(
    "data",
    [
        b"1a,",
        b"0x1:a,",
        b":,",
        b"-1:a,",
        b"+1:a,",
        b" 1:a,",
        b"01:a,",
        b"00:,",
        b"1:a*",
        b"2:,,3",
        b"1000001:",
        b"99999999",
        b"9999999999999999999999",
        b"GET / HTTP/1.1\r\n",
        b"\0",
        "١:a,".encode(),
        b"4097:" + b"x" * 4098,
    ],
)
def test_a_stream_that_is_no_netstring_is_dead(data: bytes) -> None:
    (error,) = in_any_portions(SocketmapConnection, data)
    assert isinstance(error, str)


def test_what_came_before_the_mistake_is_answered() -> None:
    # as other servers' tests have it: the length says 4, and the fifth octet is no comma
    found = in_any_portions(SocketmapConnection, netstring("domains abc") + b"4:abcde")
    assert found == [TableLookup("domains", "abc"), "not a netstring: no comma at its end"]


@pytest.mark.parametrize("data", [b"2:", b"0:", b"2", b"100", b"5:relay"])
def test_half_a_request_waits(data: bytes) -> None:
    connection = SocketmapConnection()
    assert events(connection, data) == []
    assert connection.mid_request


def test_several_requests_in_one_portion_and_one_in_several() -> None:
    data = netstring("aliases a@b.example") + netstring("aliases c@d.example")
    assert read(data) == [
        TableLookup("aliases", "a@b.example"),
        TableLookup("aliases", "c@d.example"),
    ]
    connection = SocketmapConnection()
    assert events(connection, data[:5], data[5:]) == read(data)
    assert not connection.mid_request


def encoded(reply: TableAnswer) -> bytes:
    return SocketmapConnection().encode(TableLookup("aliases", "x"), reply)


@pytest.mark.parametrize(
    ("reply", "octets"),
    [
        (TableFound("bob@example.org"), b"18:OK bob@example.org,"),
        (TableFound(""), b"3:OK ,"),
        (TableFound("jörg"), "8:OK jörg,".encode()),
        (TableNotFound(), b"9:NOTFOUND ,"),
        (TableTemporary("the database is away"), b"25:TEMP the database is away,"),
        (TimedOut("late"), b"12:TIMEOUT late,"),
        (Misconfigured("no"), b"7:PERM no,"),
        (TableTemporary("two\nlines\0"), b"15:TEMP two?lines?,"),
    ],
)
def test_answers_are_netstrings(reply: TableAnswer, octets: bytes) -> None:
    assert encoded(reply) == octets


def test_an_answer_is_never_longer_than_postfix_takes() -> None:
    fits = "x" * (MAX_REPLY - 3)
    assert encoded(TableFound(fits)) == netstring(f"OK {fits}")
    assert encoded(TableFound(fits + "x")) == netstring("TEMP the answer is too large")
    assert len(encoded(TableTemporary("x" * 1_000_000))) < 300


@pytest.mark.parametrize("value", ["a\nb", "a\0", "a\x7f"])
def test_a_value_with_a_control_in_it_is_no_answer(value: str) -> None:
    assert encoded(TableFound(value)) == netstring("TEMP the answer has a control character in it")


def test_a_failure_is_temporary() -> None:
    connection = SocketmapConnection()
    asked = TableLookup("aliases", "x")
    assert connection.failure(asked, expired=False) == netstring("TEMP internal error")
    assert connection.failure(asked, expired=True) == netstring("TIMEOUT no answer in time")


def test_memory_is_bounded() -> None:
    room = MAX_REQUEST + 8192 + 16
    assert most_kept(SocketmapConnection(), netstring("x" * 900_000)[:8192], 10_000) <= room
    assert most_kept(SocketmapConnection(), b"999999:" + b"x" * 8000, 10_000) <= room
    assert most_kept(SocketmapConnection(), netstring("domains a") * 800, 100) <= room


pieces = st.sampled_from(
    [
        b"0:,",
        b"1:a,",
        b"9:domains a,",
        b":",
        b",",
        b"17:",
        b"mailboxes a@b.c,",
        b"9",
        b"\0",
        b"2000:",
    ]
)


@given(st.lists(st.one_of(pieces, st.binary(max_size=20)), max_size=40))
def test_anything_gives_events_or_the_error_in_any_portions(portions: list[bytes]) -> None:
    whole = events(SocketmapConnection(), b"".join(portions))
    assert events(SocketmapConnection(), *portions) == whole
    data = b"".join(portions)
    assert events(SocketmapConnection(), *(data[n : n + 1] for n in range(len(data)))) == whole


keys = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters=[*map(chr, range(32)), "\x7f"]),
    min_size=1,
    max_size=200,
)


@given(st.lists(st.tuples(st.sampled_from(TABLES), keys), max_size=5))
def test_what_is_written_is_read(asked: list[tuple[str, str]]) -> None:
    data = b"".join(netstring(f"{table} {key}") for table, key in asked)
    assert events(SocketmapConnection(), data) == [TableLookup(*one) for one in asked]


@given(st.text(max_size=300))
def test_an_answer_is_one_netstring_whatever_is_in_it(value: str) -> None:
    for reply in (TableFound(value), TableTemporary(value), Misconfigured(value)):
        size, _, rest = encoded(reply).partition(b":")
        assert int(size) == len(rest) - 1
        assert rest.endswith(b",")
