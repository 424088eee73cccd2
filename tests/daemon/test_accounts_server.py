"""A server of accounts over its sockets: order, bounds, backpressure, bad input, drain."""

from __future__ import annotations

import asyncio
import base64
import resource
import socket
import struct
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from accounts.listeners import auth_server, dict_server, socketmap_server, tcp_table_server
from accounts.protocols.dovecot_auth import Accepted, AuthRequest, AuthUnavailable, Denied, Verdict
from accounts.protocols.dovecot_dict import DictLookup, DictValue, Missing
from accounts.protocols.dovecot_dict import DictRequest as DictRequest
from accounts.protocols.table import (
    TableAnswer,
    TableFound,
    TableLookup,
    TableNotFound,
    TableTemporary,
)
from gatepost.daemon import ConnectionBounds, RequestServer
from gatepost.daemon.request_connection import SETTLED
from tests.daemon.accounts_serving import Client, Serving, bounds
from tests.testbed.waiting import wait_until

Make = Callable[[], RequestServer[Any, Any]]


def answer_at_once(event: TableLookup) -> TableAnswer:
    name, _, rest = event.key.partition("@")
    if name == "nobody":
        return TableNotFound()
    if name == "away":
        return TableTemporary("the database is away")
    if name == "broken":
        raise ValueError(rest)
    if name == "large":
        return TableFound("x" * 90_000)
    return TableFound(f"{event.table}:{event.key}")


class Slow:
    """Answers as `answer_at_once`, but "slow@" when it is let go, and "never@" not at all."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.asked: list[str] = []
        self.cancelled = 0

    async def answer(self, event: TableLookup) -> TableAnswer:
        self.asked.append(event.key)
        try:
            if event.key.startswith("slow@"):
                await self.gate.wait()
            if event.key.startswith("never@"):
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return answer_at_once(event)


@pytest.fixture(params=["asyncio", "uvloop"])
def serve(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Serving]]:
    started: list[Serving] = []

    def start(make: Make, *, unix: bool = False) -> Serving:
        path = tmp_path / f"s{len(started)}" if unix else None
        started.append(Serving(make, path, uv=request.param == "uvloop"))
        return started[-1]

    yield start
    for one in started:
        one.close()


def counted(name: str, listener: str = "socketmap") -> float:
    """Return the value of one of the metrics of the servers in this process."""
    full = f"gatepost_accounts_{name}"
    families = text_string_to_metric_families(generate_latest().decode())
    samples = [sample for family in families for sample in family.samples]
    return sum(s.value for s in samples if s.name == full and s.labels["listener"] == listener)


def netstring(text: str) -> bytes:
    return b"%d:%b," % (len(text.encode()), text.encode())


Serve = Callable[..., Serving]


def test_each_protocol_is_answered(serve: Serve) -> None:
    def verdict(event: AuthRequest) -> Verdict:
        return Accepted(event.login) if event.password == "frop" else Denied()

    def value(event: DictRequest) -> DictValue | Missing:
        return DictValue(event.user) if isinstance(event, DictLookup) else Missing()

    with serve(lambda: socketmap_server(answer_at_once), unix=True).connect() as client:
        assert client.ask("aliases", "anna@example.org") == "OK aliases:anna@example.org"
        assert client.ask("domains", "nobody") == "NOTFOUND "
        assert client.ask("relay", "away") == "TEMP the database is away"
        assert client.ask("nope", "x") == "PERM no such map: nope"
    with serve(lambda: tcp_table_server("mailboxes", answer_at_once)).connect() as client:
        client.send(b"get anna%40example.org\nget nobody\nget away\n")
        assert client.read_line() == "200 mailboxes:anna@example.org"
        assert client.read_line() == "500 no such name"
        assert client.read_line() == "400 the database is away"
    with serve(lambda: auth_server(verdict)).connect() as client:
        assert client.greeting()[0] == "VERSION\t1\t1"
        client.send(b"AUTH\t1\tPLAIN\tresp=AGhhcnJpZQBmcm9w\nAUTH\t2\tLOGIN\nCONT\t2\taGFycmll\n")
        assert client.read_line() == "OK\t1\tuser=harrie"
        assert client.read_line() == "CONT\t2\tVXNlcm5hbWU6"
        assert client.read_line() == "CONT\t2\tUGFzc3dvcmQ6"
        client.send(b"CONT\t2\tZnJvcHA=\n")
        assert client.read_line() == "FAIL\t2\tuser=harrie"
    with serve(lambda: dict_server(value), unix=True).connect() as client:
        client.send(b"H4\t0\t0\t\tsieve\nLpriv/x\tanna\nI0\t0\tpriv/\tanna\n")
        assert client.read_line() == "Oanna"
        assert client.read_line() == "Fno rows"


def test_each_connection_has_a_greeting_of_its_own(serve: Serve) -> None:
    server = serve(lambda: auth_server(lambda _: Denied()))
    greetings = []
    for _ in range(2):
        with server.connect() as client:
            greetings.append(dict(line.split("\t", 1) for line in client.greeting()[:-1]))
    one, two = greetings
    assert one["SPID"] == two["SPID"]
    assert one["CUID"] != two["CUID"]
    assert one["COOKIE"] != two["COOKIE"]


def test_requests_are_answered_in_their_order(serve: Serve) -> None:
    slow = Slow()
    server = serve(lambda: socketmap_server(slow.answer))
    names = [("slow" if n % 7 == 3 else "u") + f"@{n}.example" for n in range(200)]
    with server.connect() as client:
        client.send(b"".join(netstring(f"domains {name}") for name in names))
        wait_until(lambda: len(slow.asked) == 4, "the first slow one to be asked")
        server.call(slow.gate.set)
        for name in names:
            assert client.read_netstring() == f"OK domains:{name}"
    assert slow.asked == names


def test_a_request_that_breaks_the_handler_is_a_temporary_error(serve: Serve) -> None:
    before = counted("failed_total")

    async def awaited(event: TableLookup) -> TableAnswer:
        await asyncio.sleep(0)
        return answer_at_once(event)

    answers: list[Callable[[TableLookup], TableAnswer | Awaitable[TableAnswer]]] = [
        answer_at_once,
        awaited,
    ]
    for answer in answers:
        with serve(lambda answer=answer: socketmap_server(answer)).connect() as client:
            assert client.ask("domains", "broken@x") == "TEMP internal error"
            assert client.ask("domains", "x") == "OK domains:x"
    assert counted("failed_total") == before + 2


def test_an_answer_that_takes_too_long_is_a_temporary_error(serve: Serve) -> None:
    slow = Slow()
    server = serve(lambda: socketmap_server(slow.answer, bounds(answer=0.2)))
    with server.connect() as client:
        client.send(netstring("domains never@x") + netstring("domains x"))
        assert client.read_netstring() == "TIMEOUT no answer in time"
        assert client.read_netstring() == "OK domains:x"
    assert slow.cancelled == 1


def test_postfix_hears_nothing_when_nobody_knows_the_password(serve: Serve) -> None:
    async def verdict(event: AuthRequest) -> Verdict:
        if event.password == "never":
            await asyncio.Event().wait()
        if event.password == "broken":
            raise OSError
        return AuthUnavailable()

    server = serve(lambda: auth_server(verdict, bounds(answer=0.2)))
    for password in (b"away", b"never", b"broken"):
        with server.connect() as client:
            client.greeting()
            response = base64.b64encode(b"\0anna\0" + password)
            client.send(b"AUTH\t1\tPLAIN\tresp=%b\n" % response)
            assert client.closed()


def test_the_end_of_a_connection_ends_the_work_for_it(serve: Serve) -> None:
    slow = Slow()
    server = serve(lambda: socketmap_server(slow.answer))
    with server.connect() as client:
        client.send(netstring("domains never@x"))
        wait_until(lambda: slow.asked, "it to be asked")
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_until(lambda: slow.cancelled, "the work to end")
    assert not server.server.connections


def test_what_was_asked_before_the_end_of_the_stream_is_answered(serve: Serve) -> None:
    slow = Slow()
    for answer in (answer_at_once, slow.answer):
        server = serve(lambda answer=answer: socketmap_server(answer))
        with server.connect() as client:
            client.send(netstring("domains a") + netstring("domains slow@b"))
            client.sock.shutdown(socket.SHUT_WR)
            assert client.read_netstring() == "OK domains:a"
            server.call(slow.gate.set)
            assert client.read_netstring() == "OK domains:slow@b"
            assert client.closed()


def test_half_a_request_is_dropped(serve: Serve) -> None:
    """With silence behind it, octet by octet, and with the end of the stream."""
    server = serve(lambda: socketmap_server(answer_at_once, bounds(request=0.3)))
    before = counted("malformed_total")
    with server.connect() as client:
        client.send(b"9:domains")
        assert client.closed()
    with server.connect() as client:
        client.send(b"900000:")
        wait_until(lambda: not _takes(client, b"x"), "the server to close")
    with server.connect() as client:
        client.send(b"9:domains")
        client.sock.shutdown(socket.SHUT_WR)
        assert client.closed()
    assert counted("malformed_total") == before + 3


def _takes(client: Client, data: bytes) -> bool:
    try:
        client.send(data)
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True


def _reads(client: Client) -> bool:
    try:
        return bool(client.read_netstring())
    except (ConnectionResetError, EOFError):
        return False


def test_a_silent_connection_is_closed_and_a_talking_one_is_not(serve: Serve) -> None:
    server = serve(lambda: socketmap_server(answer_at_once, bounds(idle=2)))
    with server.connect() as silent, server.connect() as talking:
        assert silent.ask("domains", "a") == "OK domains:a"
        waiter = threading.Thread(target=silent.closed)
        waiter.start()
        while waiter.is_alive():
            assert talking.ask("domains", "b") == "OK domains:b"
            waiter.join(0.1)


def test_a_silent_connection_ends_with_a_reset(serve: Serve) -> None:
    """The next write of the other side fails, where after an orderly end it would not."""
    server = serve(lambda: socketmap_server(answer_at_once, bounds(idle=0.1)))
    with server.connect() as client:
        assert client.ask("domains", "a") == "OK domains:a"
        wait_until(lambda: not server.server.connections, "the server to close")
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            client.send(b"x")


def test_a_flood_is_answered_in_order_with_bounded_memory(serve: Serve) -> None:
    """The client sends without reading: it has to wait, and so do its requests."""
    count = 5_000
    asked = 0

    def answer(event: TableLookup) -> TableAnswer:
        nonlocal asked
        asked += 1
        return TableFound(event.key)

    server = serve(lambda: socketmap_server(answer), unix=True)
    keys = [f"{n:01000}" for n in range(count)]
    requests = b"".join(netstring(f"aliases {key}") for key in keys)
    with server.connect() as client:
        sender = threading.Thread(target=client.send, args=(requests,))
        sender.start()
        wait_until(lambda: _blocked(server), "the server to wait")
        (connection,) = server.server.connections
        assert connection._conversation.buffered <= 2 * 8192
        assert connection._transport is not None
        assert connection._transport.get_write_buffer_size() <= 16_384 + 1100
        with server.connect() as other:
            assert other.ask("domains", "a") == "OK a"
        # what is between are the buffers of the kernel
        assert asked < count
        assert sender.is_alive()
        expected = b"".join(netstring(f"OK {key}") for key in keys)
        assert client.read_octets(len(expected)) == expected
        sender.join()
    assert asked == count + 1


def _blocked(server: Serving) -> bool:
    return any(one.is_busy for one in list(server.server.connections))


def test_answers_that_nobody_reads_end_the_connection(serve: Serve) -> None:
    server = serve(lambda: socketmap_server(answer_at_once, bounds(request=0.3)), unix=True)
    with server.connect() as client:
        client.send(netstring("aliases large@x") * 400)  # 36 MB of answers
        wait_until(lambda: _blocked(server), "the server to wait")
        wait_until(lambda: not server.server.connections, "the server to close")
        read = 0
        while _reads(client):
            read += 1
        assert read < 400


MAKERS: dict[str, Make] = {
    "socketmap": lambda: socketmap_server(answer_at_once),
    "tcp_table": lambda: tcp_table_server("aliases", answer_at_once),
    "auth": lambda: auth_server(lambda _: Denied()),
    "dict": lambda: dict_server(lambda _: Missing()),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
@pytest.mark.parametrize("octet", [b"x", b"\0", b"1", b"\xff"])
def test_ten_megabytes_without_an_end_close_the_connection(
    serve: Serve, make: Make, octet: bytes
) -> None:
    server = serve(make)
    with server.connect() as client:
        try:
            client.send(octet * 10_000_000)
        except (BrokenPipeError, ConnectionResetError):
            pass
        else:
            wait_until(client.ended, "the end")
    wait_until(lambda: not server.server.connections, "the server to close")
    with server.connect():
        wait_until(lambda: server.server.connections, "it to take another")


def test_bad_input_gets_its_line_and_the_next_request_its_answer(serve: Serve) -> None:
    server = serve(lambda: tcp_table_server("aliases", answer_at_once))
    with server.connect() as client:
        client.send(b"\0\0\0\nget a%00b\nget " + b"y" * 500_000 + b"\n\xff\nget a\n")
        assert client.read_line().startswith("400 ")
        assert client.read_line() == "500 no such name"
        assert client.read_line() == "500 no such name"
        assert client.read_line().startswith("400 ")
        assert client.read_line() == "200 aliases:a"


@pytest.fixture
def many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 30_000), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
@pytest.mark.parametrize("beginning", [b"", b"2000:" + b"x" * 1999])
def test_five_thousand_connections_keep_nobody_out(serve: Serve, beginning: bytes) -> None:
    """Silent ones, and ones that hold half a request."""
    count = 5000
    made_room = counted("connections_made_room_total")
    server = serve(lambda: socketmap_server(answer_at_once, bounds(connections=count)))
    clients: list[Client] = []
    try:
        for _ in range(count):
            clients.append(server.connect())
            clients[-1].send(beginning)
        wait_until(lambda: len(server.server.connections) == count, "all to be open")
        if beginning:
            kept = server.call(
                lambda: sum(one._conversation.buffered for one in server.server.connections)
            )
            assert kept <= count * 2100
            wait_until(_a_second_of_silence(server), "half a request to be silence")
        with server.connect() as one_more:
            assert one_more.ask("domains", "a") == "OK domains:a"
        assert counted("connections_made_room_total") == made_room + 50
    finally:
        for client in clients:
            client.close()
    wait_until(lambda: not server.server.connections, "all to be gone")


def _a_second_of_silence(server: Serving) -> Callable[[], bool]:
    def silent() -> bool:
        now = asyncio.get_running_loop().time()
        return all(one.is_spare(now) for one in server.server.connections)

    return lambda: server.call(silent)


def test_when_all_are_busy_another_one_is_refused(serve: Serve) -> None:
    slow = Slow()
    server = serve(lambda: socketmap_server(slow.answer, bounds(connections=2)))
    refused = counted("connections_refused_total")
    with server.connect() as one, server.connect() as two:
        for client in (one, two):
            client.send(netstring("domains slow@x"))
        wait_until(lambda: len(slow.asked) == 2, "both to be asked")
        with server.connect() as three:
            assert three.closed()
        server.call(slow.gate.set)
        for client in (one, two):
            assert client.read_netstring() == "OK domains:slow@x"
    assert counted("connections_refused_total") == refused + 1


@pytest.mark.parametrize("unix", [False, True])
def test_a_drain_answers_what_is_under_way_and_closes_the_rest(serve: Serve, unix: bool) -> None:
    slow = Slow()
    server = serve(lambda: socketmap_server(slow.answer), unix=unix)
    with server.connect() as busy, server.connect() as idle, server.connect() as half:
        assert idle.ask("domains", "a") == "OK domains:a"
        half.send(b"9:dom")
        busy.send(netstring("domains slow@x") + netstring("domains later"))
        wait_until(lambda: len(slow.asked) == 2, "it to be asked")
        drainer = threading.Thread(target=server.drain)
        drainer.start()
        assert idle.closed()
        assert half.closed()
        with pytest.raises(OSError):  # noqa: PT011 # refused, or reset
            server.connect().read_line()
        server.call(slow.gate.set)
        assert busy.read_netstring() == "OK domains:slow@x"
        assert busy.closed()
        drainer.join()
    assert slow.asked == ["a", "slow@x"]


def test_a_drain_takes_no_answer_away(serve: Serve) -> None:
    """A client with little room has most of the answer still to come when the drain begins."""
    slow = Slow()
    server = serve(lambda: socketmap_server(slow.answer))
    with server.connect(receive_buffer=4096) as client:
        client.send(netstring("domains large@x") + netstring("domains slow@x"))
        wait_until(lambda: len(slow.asked) == 2, "the large one to be answered")
        drainer = threading.Thread(target=server.drain)
        drainer.start()
        wait_until(lambda: server.server.draining, "the drain to begin")
        (connection,) = server.server.connections
        server.call(slow.gate.set)
        wait_until(lambda: not connection.is_busy, "the last answer to be written")
        time.sleep(2 * SETTLED)  # no state says that nothing will happen
        assert len(client.read_netstring()) == 90_003
        assert client.read_netstring() == "OK domains:slow@x"
        drainer.join()


def test_a_drain_has_an_end(serve: Serve) -> None:
    slow = Slow()
    server = serve(lambda: socketmap_server(slow.answer))
    with server.connect() as client:
        client.send(netstring("domains never@x"))
        wait_until(lambda: slow.asked, "it to be asked")
        begun = time.monotonic()
        server._drained = True
        server.run(server.server.drain(0.2))
        assert time.monotonic() - begun < 5
        assert client.closed()
    wait_until(lambda: slow.cancelled, "the work to end")


def test_the_bounds_are_those_of_now(serve: Serve) -> None:
    """A reload may change them."""
    now = [ConnectionBounds(60, 60, 60, 100)]
    server = serve(lambda: socketmap_server(answer_at_once, lambda: now[0]))
    with server.connect() as client:
        assert client.ask("domains", "a") == "OK domains:a"
        now[0] = ConnectionBounds(0.1, 60, 60, 100)
        assert client.closed()
