"""Dovecot's dict protocol: whole, octet by octet, with more behind it, and whatever else comes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.protocols.dovecot_dict import (
    MAX_LINE,
    MAX_ROWS,
    DictConnection,
    DictIterate,
    DictLookup,
    DictReply,
    DictRequest,
    DictRows,
    DictValue,
    Failed,
    Iterate,
    Missing,
)
from accounts.protocols.tabs import escape, fields, unescape
from tests.unit.accounts.protocols.streams import events, in_any_portions, most_kept

HELLO_2_2 = b"H2\t0\t0\tanna@example.org\tsieve\n"
HELLO_2_3 = b"H3\t2\t0\t\tsieve\n"
HELLO_2_4 = b"H4\t0\t0\t\tsieve\n"
"""As Dovecot 2.2, 2.3.19 and 2.4.1 send it."""


def read(data: bytes) -> list[Any]:
    return in_any_portions(DictConnection, data, b"Lpriv/siev")


def test_a_look_up_of_dovecot_2_4() -> None:
    data = HELLO_2_4 + b"Lpriv/sieve/name/active\tanna@example.org\nLshared/x\t\n"
    assert read(data) == [
        DictLookup("sieve", "anna@example.org", "priv/sieve/name/active"),
        DictLookup("sieve", "", "shared/x"),
    ]


def test_a_look_up_of_dovecot_2_3_with_escapes() -> None:
    data = HELLO_2_3 + b"Lpriv/a\x01tb\x011c\x01n\tan\x01tna\n"
    assert read(data) == [DictLookup("sieve", "an\tna", "priv/a\tb\x01c\n")]


def test_before_2_3_the_greeting_names_the_user() -> None:
    """As couchauthnode was asked, whose answers were unescaped; ours are not."""
    data = HELLO_2_2 + b"Lpriv/sieve/name/default\nI0\t0\tpriv/a\tpriv/b\n"
    assert read(data) == [
        DictLookup("sieve", "anna@example.org", "priv/sieve/name/default"),
        DictIterate("sieve", "anna@example.org", ("priv/a", "priv/b"), Iterate(0), 0),
    ]


def test_an_iteration() -> None:
    data = HELLO_2_4 + b"I25\t7\tshared/\tanna\nI32\t0\ta\tb\tanna\n"
    flags = Iterate.RECURSE | Iterate.NO_VALUE | Iterate.EXACT_KEY
    assert read(data) == [
        DictIterate("sieve", "anna", ("shared/",), flags, 7),
        DictIterate("sieve", "anna", ("a", "b"), Iterate(0), 0),
    ]


def test_a_transaction_is_heard_to_its_end_and_fails() -> None:
    data = b"B1\tanna\t0\nS1\tshared/a\tb\nU1\tx\nA1\tx\t-5\nT1\t1\t2\nV1\nC1\nR2\nD3\nLx\tanna\n"
    first, second, third = read(HELLO_2_4 + data)
    assert first.reply == b"F1\tthis dictionary is read-only\n"
    assert second.reply == b"AF3\tthis dictionary is read-only\n"
    assert third == DictLookup("sieve", "anna", "x")


@pytest.mark.parametrize(
    "data",
    [
        *(
            b"Lx\n",
            b"\n",
            b"H5\t0\t0\t\tsieve\n",
            b"H1\t0\t0\t\tsieve\n",
            b"H\n",
            b"Hx\t0\t0\t\tx\n",
        ),
        *(
            b"H4\t0\t0\tsieve\n",
            b"H4\t0\t0\t\xff\tx\n",
            b"GET / HTTP/1.1\r\n",
            b"x" * (MAX_LINE + 1),
        ),
    ],
)
def test_without_a_greeting_there_is_no_conversation(data: bytes) -> None:
    (error,) = in_any_portions(DictConnection, data)
    assert isinstance(error, str)


@pytest.mark.parametrize(
    "line",
    [
        *(b"Qx\n", b"\n", b"Lx\n", b"La\tb\tanna\n", b"Ix\t0\tp\tanna\n", b"I0\tx\tp\tanna\n"),
        *(b"I0\t0\tanna\n", b"I-1\t0\tp\tanna\n", b"I" + b"9" * 30 + b"\t0\tp\tanna\n", HELLO_2_4),
    ],
)
def test_a_command_that_cannot_be_read_ends_the_conversation(line: bytes) -> None:
    error = read(HELLO_2_4 + line)[-1]
    assert isinstance(error, str)


@pytest.mark.parametrize("key", [b"\xff", b"a\x010b", b"x" * 3000])
def test_a_key_that_nothing_can_be_stored_under_is_not_found(key: bytes) -> None:
    first, second = read(HELLO_2_4 + b"L" + key + b"\tanna\nI0\t0\t" + key + b"\tanna\n")
    assert (first.reply, second.reply) == (b"N\n", b"\n")


LOOKUP = DictLookup("sieve", "anna", "priv/x")
ITERATE = DictIterate("sieve", "anna", ("priv/",), Iterate(0), 0)


def encoded(event: DictRequest, reply: DictReply) -> bytes:
    return DictConnection().encode(event, reply)


@pytest.mark.parametrize(
    ("event", "reply", "octets"),
    [
        (
            LOOKUP,
            DictValue('require "fileinto";\nkeep;\n'),
            b'Orequire "fileinto";\x01nkeep;\x01n\n',
        ),
        (LOOKUP, DictValue("a\tb\x01\0\r"), b"Oa\x01tb\x011\x010\x01r\n"),
        (LOOKUP, DictValue(""), b"O\n"),
        (LOOKUP, Missing(), b"N\n"),
        (LOOKUP, Failed("away\nnow"), b"Faway?now\n"),
        (LOOKUP, DictRows(()), b"Fno value\n"),
        (ITERATE, DictRows((("priv/a", "\t1"), ("priv/b", ""))), b"Opriv/a\t\x01t1\nOpriv/b\t\n\n"),
        (ITERATE, DictRows(()), b"\n"),
        (ITERATE, Failed("away"), b"Faway\n"),
        (ITERATE, Missing(), b"Fno rows\n"),
    ],
)
def test_answers(event: DictRequest, reply: DictReply, octets: bytes) -> None:
    assert encoded(event, reply) == octets


def test_rows_are_as_many_and_as_wide_as_they_were_asked_for() -> None:
    rows = DictRows(tuple((f"priv/{n}", "x") for n in range(MAX_ROWS + 1)))
    keys_only = DictIterate("sieve", "anna", ("priv/",), Iterate.NO_VALUE, 2)
    assert encoded(keys_only, rows) == b"Opriv/0\t\nOpriv/1\t\n\n"
    assert encoded(ITERATE, rows) == b"Ftoo many rows\n"


def test_an_answer_has_a_bound() -> None:
    assert encoded(LOOKUP, DictValue("x" * 20_000_000)) == b"Fthe value is too large\n"
    large = DictRows(tuple((f"priv/{n}", "x" * 10_000_000) for n in range(2)))
    assert encoded(ITERATE, large) == b"Fthe rows are too large\n"


def test_a_failure_is_never_an_absence() -> None:
    for event in (LOOKUP, ITERATE):
        for expired in (False, True):
            assert DictConnection().failure(event, expired=expired).startswith(b"F")


def test_memory_is_bounded() -> None:
    connection = DictConnection()
    assert events(connection, HELLO_2_4) == []
    assert most_kept(connection, b"L" + b"x" * 8191, 10_000) <= MAX_LINE + 8192


pieces = st.sampled_from(
    [HELLO_2_4, HELLO_2_2, b"L", b"\t", b"\n", b"\x01", b"I0\t0\t", b"C1\n", b"B1\n", b"anna\n"]
)


@given(st.lists(st.one_of(pieces, st.binary(max_size=20)), max_size=40))
def test_anything_gives_events_or_the_error_in_any_portions(portions: list[bytes]) -> None:
    for data in (b"".join(portions), HELLO_2_4 + b"".join(portions)):
        whole = events(DictConnection(), data)
        assert events(DictConnection(), *(data[n : n + 1] for n in range(len(data)))) == whole
        assert events(DictConnection(), *(data[n : n + 7] for n in range(0, len(data), 7))) == whole


@given(st.lists(st.text(max_size=30), min_size=1, max_size=5))
def test_fields_are_read_as_they_were_written(texts: list[str]) -> None:
    line = b"\t".join(map(escape, texts))
    assert b"\n" not in line
    assert fields(line) == [text.encode("utf-8", "replace") for text in texts]


@pytest.mark.parametrize(
    ("field", "octets"), [(b"\x012\x01l\x01", b"2l"), (b"\x01\x01t", b"\x01t"), (b"", b"")]
)
def test_other_escapes_are_read_as_dovecot_reads_them(field: bytes, octets: bytes) -> None:
    assert unescape(field) == octets
