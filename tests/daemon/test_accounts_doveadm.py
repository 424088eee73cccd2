"""The client of doveadm's HTTP API, with servers that answer in every way."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import socket
from asyncio.trsock import TransportSocket

import pytest

from accounts.dovecot import doveadm
from accounts.dovecot.doveadm import MAX_ANSWER, DoveadmError, kick
from tests.testbed.ports import LOOPBACK, free_port

DONE = b'[["doveadmResponse",[{"count":"1"}],"0"]]'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"


def ask(answer: bytes | None, url: str = "", mask: str = "anna@example.org") -> tuple[int, bytes]:
    """Kick with a server that sends `answer` and closes; None: it says nothing.

    The result, and what the server got.
    """
    got = bytearray()
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            got.extend(await reader.readuntil(b"\r\n\r\n"))
            size = int(bytes(got).lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            got.extend(await reader.readexactly(size))
            if answer is None:
                await reader.read()
            else:
                writer.write(answer)
                await writer.drain()
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            ended.set()

    async def run() -> int:
        port = free_port()
        async with await asyncio.start_server(serve, LOOPBACK, port):
            try:
                return await kick(url or f"http://{LOOPBACK}:{port}", "sesame", [mask], timeout=2)
            finally:
                if not url:
                    await ended.wait()

    return asyncio.run(run()), bytes(got)


def test_a_host_that_is_gone_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only when the time for a copy of a mailbox, which is hours, is over."""
    seen: list[int] = []
    real = doveadm._notice_absence

    def notice(connection: TransportSocket) -> None:
        real(connection)
        names = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")
        seen.append(connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
        seen.extend(
            connection.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in names
        )

    monkeypatch.setattr(doveadm, "_notice_absence", notice)
    assert ask(HEAD % len(DONE) + DONE)[0] == 1
    is_on, idle, pause, count, unacknowledged = seen
    assert is_on
    assert idle + pause * count == unacknowledged / 1000 == doveadm.ABSENT


def test_a_connection_that_breaks_is_not_called_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    async def post(*_: object) -> tuple[int, bytes]:
        raise TimeoutError(errno.ETIMEDOUT, "Connection timed out")

    monkeypatch.setattr(doveadm, "_post", post)
    with pytest.raises(DoveadmError, match=r"^Connection timed out$"):
        asyncio.run(kick("http://10.0.0.1", "sesame", ["anna@example.org"], timeout=21_600))


def test_a_request() -> None:
    ended, got = ask(HEAD % len(DONE) + DONE, mask="jürgen@example.org")
    assert ended == 1
    head, _, body = got.partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    assert line == b"POST /doveadm/v1 HTTP/1.1"
    assert b"Authorization: X-Dovecot-API c2VzYW1l" in fields
    assert body.isascii()
    assert json.loads(body) == [["kick", {"mask": ["jürgen@example.org"]}, "0"]]


@pytest.mark.parametrize(
    "answer",
    [
        HEAD % len(DONE) + DONE,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
        % (len(DONE), DONE),
        b"HTTP/1.0 200 OK\r\n\r\n" + DONE,
        b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD % len(DONE) + DONE,
    ],
)
def test_answers(answer: bytes) -> None:
    assert ask(answer)[0] == 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "no answer within 2 s"),
        (b"", "closed the connection"),
        (b"220 mx.example ESMTP\r\n", "closed the connection"),
        (b"\0" * 200_000, "illegal"),
        (HEAD % 5 + b"x", "without sending complete message body"),
        (HEAD % 5 + b"hello", "cannot parse its answer"),
        (b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", "refuses the key"),
        (b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", "it answers 500"),
        (b"HTTP/1.1 302 No\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", "it answers 302"),
        (b"HTTP/1.0 200 OK\r\n\r\n" + b" " * (MAX_ANSWER + 1) + DONE, "more than 1048576 octets"),
    ],
)
def test_what_is_no_answer(answer: bytes | None, said: str) -> None:
    with pytest.raises(DoveadmError, match=said):
        ask(answer)


def test_a_server_that_is_none() -> None:
    for url in (
        f"http://{LOOPBACK}:{free_port()}",
        f"http://{'a' * 70}:8080",
    ):
        with pytest.raises(DoveadmError):
            ask(b"", url)
