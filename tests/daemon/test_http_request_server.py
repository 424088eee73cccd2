"""The HTTP server of small services: requests in order, the number of connections, and drain."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from http import HTTPStatus

import h11
from structlog.testing import capture_logs

from gatepost.daemon.http_request_server import HttpAnswer, HttpRequestServer
from gatepost.logs import get_logger
from gatepost.peer.served_http import ServedHttp
from tests.testbed.ports import LOOPBACK
from tests.testbed.waiting import DEADLINE

REQUEST = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"


class Site:
    """A server whose answers wait for `go`."""

    def __init__(self, *, keeps_open: bool, most: int = 8) -> None:
        self.go = asyncio.Event()
        self.asked = asyncio.Semaphore(0)
        self.listening = socket.create_server((LOOPBACK, 0))
        self.server = HttpRequestServer(
            self.answer, lambda: most, get_logger("test"), keeps_open=keeps_open
        )
        self.server.start([self.listening])

    async def answer(self, connection: ServedHttp, request: h11.Request) -> HttpAnswer:
        await connection.body(0, 0)
        self.asked.release()
        await self.go.wait()
        if request.target == b"/broken":
            raise RuntimeError("a mistake of ours")
        return HttpAnswer(HTTPStatus.OK, request.target)

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection(*self.listening.getsockname())
        try:
            yield reader, writer
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def body(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    (length,) = (
        line.partition(b":")[2] for line in head.lower().split(b"\r\n") if b"content-length" in line
    )
    return await reader.readexactly(int(length))


def test_the_drain_ends_after_the_answers_in_progress() -> None:
    """A client that keeps its connection must not hold up the end of the daemon."""

    async def run() -> None:
        site = Site(keeps_open=True)
        async with site.client() as (reader, writer), site.client() as (idle, _):
            writer.write(REQUEST)
            await site.asked.acquire()
            drain = asyncio.create_task(site.server.drain(3600))
            assert await idle.read() == b""
            assert not drain.done()
            site.go.set()
            async with asyncio.timeout(DEADLINE):
                await drain
            assert await body(reader) == b"/"
            assert await reader.read() == b""

    asyncio.run(run())


def test_the_drain_ends_without_an_answer_when_its_time_is_over() -> None:
    async def run() -> None:
        site = Site(keeps_open=True)
        async with site.client() as (reader, writer):
            writer.write(REQUEST)
            await site.asked.acquire()
            await site.server.drain(0.01)
            assert await reader.read() == b""

    asyncio.run(run())


def test_a_connection_has_as_many_requests_as_the_service_wants() -> None:
    async def run(*, keeps_open: bool) -> None:
        site = Site(keeps_open=keeps_open)
        site.go.set()
        async with site.client() as (reader, writer):
            writer.write(REQUEST)
            assert await body(reader) == b"/"
            if keeps_open:
                writer.write(REQUEST.replace(b"/ ", b"/again ", 1))
                assert await body(reader) == b"/again"
            else:
                assert await reader.read() == b""
        await site.server.drain(1)

    asyncio.run(run(keeps_open=True))
    asyncio.run(run(keeps_open=False))


def test_more_connections_than_allowed_wait() -> None:
    async def run() -> None:
        site = Site(keeps_open=False, most=1)
        async with site.client() as (first, writer), site.client() as (second, later):
            writer.write(REQUEST)
            later.write(REQUEST)
            await site.asked.acquire()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(site.asked.acquire(), 0.3)
                raise AssertionError("both are served")
            site.go.set()
            assert await body(first) == await body(second) == b"/"
        await site.server.drain(1)

    asyncio.run(run())


def test_a_mistake_of_ours_costs_one_connection() -> None:
    async def run() -> None:
        site = Site(keeps_open=True)
        site.go.set()
        async with site.client() as (broken, writer), site.client() as (reader, other):
            writer.write(REQUEST.replace(b"/ ", b"/broken ", 1))
            assert await broken.read() == b""
            other.write(REQUEST)
            assert await body(reader) == b"/"
        await site.server.drain(1)

    with capture_logs() as logged:
        asyncio.run(run())
    assert [one["event"] for one in logged if one["log_level"] == "error"] == [
        "a request could not be served"
    ]
