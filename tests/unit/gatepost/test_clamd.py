"""Answers of clamd, right and broken."""

from __future__ import annotations

import pytest

from gatepost.clamd.instream import (
    BEGIN,
    END,
    HEAD,
    ClamdReader,
    ClamdStream,
    VirusResult,
    stream_chunk,
)
from gatepost.clamd.probe import clamd
from gatepost.handshake import Greeting, HandshakeError
from gatepost.peer.errors import PeerError

MESSAGE = (b"From: a@b\r\n", b"", b"\r\nbody\r\n")


def sent() -> ClamdStream:
    """A stream that was sent as a whole."""
    stream = ClamdStream(MESSAGE)
    list(stream)
    return stream


def read(several: list[bytes], stream: ClamdStream | None = None) -> VirusResult | None:
    reader = ClamdReader(stream or sent())
    for portion in several:
        reader.receive_data(portion)
        if (answer := reader.next_event()) is not None:
            return answer
    reader.receive_eof()
    return reader.next_event()


def portions(octets: bytes) -> list[list[bytes]]:
    """The octets at once, one at a time, and in two halves."""
    half = len(octets) // 2
    single = [octets[at : at + 1] for at in range(len(octets))]
    return [[octets], single, [octets[:half], octets[half:]]]


@pytest.mark.parametrize(
    ("answer", "virus"),
    [
        (b"stream: OK\0", ""),
        (b"stream: Eicar-Test-Signature FOUND\0", "Eicar-Test-Signature"),
        (b"stream: Win.Test.EICAR_HDB-1 FOUND\n", "Win.Test.EICAR_HDB-1"),
        (b"stream: A\rb <x> FOUND FOUND\0", "A_b_x_FOUND"),
    ],
)
def test_answers(answer: bytes, virus: str) -> None:
    for several in portions(answer + b"stream: OK\0"):
        assert read(several) == VirusResult(virus)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"stream: OK",
        b"stream: Eicar FOUND",
        b"INSTREAM size limit exceeded. ERROR\0",
        b"stream: x ERROR\0",
        b"PONG\0",
        b"\0",
        b"x" * 2000,
    ],
)
def test_no_broken_answer_is_a_verdict(answer: bytes) -> None:
    for several in portions(answer):
        with pytest.raises(PeerError):
            read(several)


def test_a_part_of_a_message_is_never_clean() -> None:
    stream = ClamdStream(MESSAGE)
    octets = iter(stream)
    assert next(octets) == BEGIN + stream_chunk(HEAD)
    for _ in MESSAGE:
        next(octets)
        with pytest.raises(PeerError, match="before it had the whole message"):
            read([b"stream: OK\0"], stream)
    # a virus in the first part is one
    assert read([b"stream: Eicar FOUND\0"], stream) == VirusResult("Eicar")
    assert next(octets) == END
    assert read([b"stream: OK\0"], stream) == VirusResult()


def test_a_limit_is_no_virus() -> None:
    assert VirusResult("Heuristics.Limits.Exceeded.MaxFileSize").is_limit
    assert not VirusResult("Win.Test.EICAR_HDB-1").is_limit


def test_a_stream() -> None:
    assert stream_chunk(b"abc") == b"\0\0\0\x03abc"
    # an empty chunk would end the stream
    assert b"".join(ClamdStream(MESSAGE)) == (
        b"zINSTREAM\0\0\0\0\x11Return-Path: <>\r\n"
        b"\0\0\0\x0bFrom: a@b\r\n\0\0\0\x08\r\nbody\r\n\0\0\0\0"
    )


def test_a_probe() -> None:
    talk = clamd()
    assert next(talk) == b"zPING\0"
    with pytest.raises(StopIteration) as done:
        talk.send(b"PONG\0")
    assert done.value.value == Greeting("PONG")
    for answer in (b"UNKNOWN COMMAND\0", b"x" * 200, b""):
        talk = clamd()
        next(talk)
        with pytest.raises(HandshakeError):
            talk.send(answer)
