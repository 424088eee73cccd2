import pytest
from hypothesis import given
from hypothesis import strategies as st

from msgauth import message
from msgauth.message import HeaderField, MessageError, crlf, parse_message

ALPHABET = st.lists(
    st.sampled_from([b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b"From", b"a", b"\0", b"\xc3\xa9"])
).map(b"".join)


def test_fields_keep_their_octets_and_the_body_its_line_ends() -> None:
    fields, body = parse_message(b"Subject:  a\r\n\tb \r\nX:\r\n\r\nbody\r\n\r\n")
    assert fields == (HeaderField(b"Subject", b"  a\r\n\tb "), HeaderField(b"X", b""))
    assert body == b"body\r\n\r\n"


def test_lf_becomes_crlf_everywhere() -> None:
    fields, body = parse_message(b"A: 1\n 2\nB: 3\n\nx\ny")
    assert fields == (HeaderField(b"A", b" 1\r\n 2"), HeaderField(b"B", b" 3"))
    assert body == b"x\r\ny"


@pytest.mark.parametrize(
    ("raw", "fields", "body"),
    [
        (b"", (), b""),
        (b"\r\n", (), b""),
        (b"A: 1", (HeaderField(b"A", b" 1"),), b""),
        (b"A: 1\r\njunk\r\nB: 2\r\n", (HeaderField(b"A", b" 1"),), b"junk\r\nB: 2\r\n"),
        (b" fold first\r\nA: 1\r\n", (), b" fold first\r\nA: 1\r\n"),
        (b"From a@b Sat Nov 21 06:23:00 2026\nA: 1\n\nx", (HeaderField(b"A", b" 1"),), b"x"),
        (b"From : a@b\r\n\r\n", (HeaderField(b"From ", b" a@b"),), b""),
        (b"Fr\xc3\xb6m: a\r\n", (), b"Fr\xc3\xb6m: a\r\n"),
        (b": nameless\r\n", (), b": nameless\r\n"),
        (b"A: lone\rCR\r\n\r\nb\rc", (HeaderField(b"A", b" lone\rCR"),), b"b\rc"),
    ],
)
def test_tolerant_parsing(raw: bytes, fields: tuple[HeaderField, ...], body: bytes) -> None:
    assert parse_message(raw) == (fields, body)


def test_a_milter_hands_folds_over_with_lf() -> None:
    assert HeaderField.received(b"A", b" 1\n\t2\r\n 3").value == b" 1\r\n\t2\r\n 3"


def test_name_and_text_for_people() -> None:
    field = HeaderField(b"SuBject \t", b" one\r\n two \xff")
    assert field.key == b"subject"
    assert field.text == "one two \ufffd"


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message, "MAX_FIELDS", 3)
    assert len(parse_message(b"A: 1\n" * 3)[0]) == 3
    with pytest.raises(MessageError, match="more than 3 fields"):
        parse_message(b"A: 1\n" * 4)
    monkeypatch.setattr(message, "MAX_HEADER", 1000)
    assert parse_message(b"A:" + b"\n 1" * 200)[1] == b""
    with pytest.raises(MessageError, match="longer than 1000"):
        parse_message(b"A:" + b"\n 1" * 300)
    with pytest.raises(MessageError, match="longer than 1000"):
        parse_message(b"A: " + b"1" * 2000)


@given(ALPHABET | st.binary(max_size=200))
def test_parse_print_parse(raw: bytes) -> None:
    fields, body = parse_message(raw)
    printed = b"".join(map(bytes, fields)) + b"\r\n" + body
    assert parse_message(printed) == (fields, body)


@given(ALPHABET | st.binary(max_size=200))
def test_crlf_leaves_no_lone_lf_and_keeps_all_else(data: bytes) -> None:
    fixed = crlf(data)
    assert fixed.count(b"\n") == fixed.count(b"\r\n")
    assert crlf(fixed) == fixed
    assert fixed.replace(b"\r\n", b"\n") == data.replace(b"\r\n", b"\n")
