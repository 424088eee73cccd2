"""Content with dots, and its end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.protocols.dots import DotReader, DotWriter
from tests.unit.delivery.feeding import portions

CONTENT = {
    b".\r\n": b"",
    b"a\r\n.\r\n": b"a\r\n",
    b"..\r\n.\r\n": b".\r\n",
    b"...a\r\n..\r\n.\r\n": b"..a\r\n.\r\n",
    # a lone LF or CR begins no line: SMTP smuggling
    b"a\n.\nb\r\n.\r\n": b"a\n.\nb\r\n",
    b"a\n.\r\nb\r\n.\r\n": b"a\n.\r\nb\r\n",
    b"a\r.\r\nb\r\n.\r\n": b"a\r.\r\nb\r\n",
    b"a\r\n.\nb\r\n.\r\n": b"a\r\n\nb\r\n",
    b"a\r\n.\rb\r\n.\r\n": b"a\r\n\rb\r\n",
    b"\r\n.\r\n": b"\r\n",
    b"a\r\r\n.\r\n": b"a\r\r\n",
}


@pytest.mark.parametrize("wire", CONTENT)
def test_content_is_read_however_it_is_cut(wire: bytes) -> None:
    for several in portions(wire + b"QUIT\r\n"):
        reader, content, rest = DotReader(), b"", b""
        for portion in several:
            if reader.is_ended:
                rest += portion
                continue
            some, after = reader.read(portion)
            content += some
            rest += after
        assert reader.is_ended
        assert (content, rest) == (CONTENT[wire], b"QUIT\r\n")


def test_without_its_end_at_most_four_octets_are_held_back() -> None:
    reader = DotReader()
    assert reader.read(b"a\r\n.\r") == (b"a", b"")
    assert reader.read(b"b") == (b"\r\n\rb", b"")
    assert not reader.is_ended


@given(st.lists(st.text(alphabet="a.\r\n", max_size=12), max_size=8))
def test_what_is_written_is_read_again(parts: list[str]) -> None:
    writer, reader = DotWriter(), DotReader()
    wire = b"".join(writer.write(part.encode()) for part in parts) + writer.end()
    content, rest = reader.read(wire)
    sent = "".join(parts).encode()
    assert reader.is_ended
    assert rest == b""
    assert content == (sent if sent.endswith(b"\r\n") or not sent else sent + b"\r\n")
    assert not wire[:-3].startswith(b".\r\n")
    assert b"\r\n.\r\n" not in wire[:-1]
