"""The API over sockets: bounds on connections, size and time; concurrent edits; the end."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from accounts.directory import audit, domains
from accounts.http.server import HttpBounds
from tests.daemon import accounts_postgres
from tests.daemon.accounts_http import HttpClient, HttpServing
from tests.testbed.postgres import PostgresServer
from tests.unit.accounts import files

ME = "GET /api/v1/me"


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., HttpServing]]:
    made: list[HttpServing] = []

    def make_one(*args: Any, **options: Any) -> HttpServing:
        settings = files.make(tmp_path / f"accounts{len(made)}.db")
        made.append(HttpServing(settings, *args, **options))
        return made[-1]

    yield make_one
    for one in made:
        one.close()


def check_problem(answer: tuple[int, dict[str, str], bytes], status: int) -> None:
    assert answer[0] == status, answer
    assert answer[1]["content-type"] == "application/problem+json"
    told = json.loads(answer[2])
    assert told["status"] == status
    assert told["detail"].endswith(".")


def test_a_connection_carries_several_requests(make: Callable[..., HttpServing]) -> None:
    serving = make()
    with serving.connect() as client:
        for _ in range(3):
            client.send(serving.request(ME))
            status, fields, body = client.answer()
            assert status == 200
            assert json.loads(body)["name"] == "admin"
            assert "date" in fields
            assert "server" not in fields
        client.send(serving.request(ME, b"", "Connection: close"))
        assert client.answer()[0] == 200
        assert client.is_closed()


def test_a_unix_socket(make: Callable[..., HttpServing], tmp_path: Path) -> None:
    serving = make(tmp_path / "http")
    with serving.connect() as client:
        client.send(serving.request("POST /api/v1/domains", b'{"name": "x.example"}'))
        assert client.answer()[0] == 201
    (entry, *_) = serving.run(serving.database.read(lambda c: audit.find(c)))
    assert (entry.actor, entry.client) == ("admin (token 1)", None)


def test_a_pipelined_flood_is_answered_in_order_and_bounded(
    make: Callable[..., HttpServing],
) -> None:
    serving = make(principal_burst=50, principal_rate=0.001)
    flood = 300
    with serving.connect() as client:
        sender = threading.Thread(target=client.send, args=(serving.request(ME) * flood,))
        sender.start()
        statuses = [client.answer()[0] for _ in range(flood)]
        sender.join()
    assert statuses == [200] * 50 + [429] * (flood - 50)


def test_ten_megabytes(make: Callable[..., HttpServing]) -> None:
    serving = make()
    body = b'{"name": "' + b"x" * (10 << 20) + b'"}'
    with serving.connect() as client:
        client.send(serving.request("POST /api/v1/domains", body))
        answer = client.answer()
        check_problem(answer, 413)
        assert answer[1]["connection"] == "close"
        assert client.is_closed()
    with serving.connect() as client:  # without a length
        head = serving.request("POST /api/v1/domains", b"", "Transfer-Encoding: chunked")
        head = head.replace(b"\r\n\r\n", b"\r\nContent-Type: application/json\r\n\r\n")
        client.send(head + (b"10000\r\n" + b"x" * 65536 + b"\r\n") * 160 + b"0\r\n\r\n")
        check_problem(client.answer(), 413)
    with serving.connect() as client:  # nor does nobody get to send it all
        head = serving.request("POST /api/v1/domains", b"", "Content-Length: 10485760")
        client.send(head.replace(serving.token.encode(), b"gp_nothing"))
        check_problem(client.answer(), 401)
    entries = serving.run(serving.database.read(lambda c: audit.find(c, limit=3)))
    assert [one.details["refused"] for one in entries] == [
        "The token is not valid.",
        "The body has more than 1048576 octets.",
        "The body has more than 1048576 octets.",
    ]


def test_a_long_head(make: Callable[..., HttpServing]) -> None:
    serving = make()
    for request in (
        serving.request("GET /" + "x" * 100_000),
        serving.request(ME, b"", *(f"X-{number}: {'x' * 100}" for number in range(1000))),
    ):
        with serving.connect() as client:
            client.send(request)
            check_problem(client.answer(), 431)
            assert client.is_closed()


@pytest.mark.parametrize(
    "octets",
    [
        b"\0" * 100,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 500,
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        # RFC 9112 section 6.1: what follows may be a request that a proxy took for a body
        b"POST /api/v1/me HTTP/1.1\r\nHost: a\r\nContent-Length: 45\r\nTransfer-Encoding: chunked"
        b"\r\n\r\n0\r\n\r\nGET /api/v1/openapi.json HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
def test_what_is_not_http(make: Callable[..., HttpServing], octets: bytes) -> None:
    with make().connect() as client:
        client.send(octets)
        check_problem(client.answer(), 400)
        assert client.is_closed()


def test_half_a_request_and_silence(make: Callable[..., HttpServing]) -> None:
    serving = make(bounds=HttpBounds(request_timeout=1, idle_timeout=2))
    whole = serving.request("POST /api/v1/domains", b'{"name": "x.example"}')
    begun = time.monotonic()
    clients = []
    for part in (b"", whole[:10], whole[:-40], whole[:-1]):
        clients.append(serving.connect())
        clients[-1].send(part)
    for client in clients:
        check_problem(client.answer(), 408)
        assert client.is_closed()
        client.close()
    assert time.monotonic() - begun < 10
    # octet by octet is no faster
    with serving.connect() as client:
        stop = threading.Event()

        def drip() -> None:
            for octet in whole:
                if stop.wait(0.1):
                    return
                client.send(bytes([octet]))

        dripping = threading.Thread(target=drip)
        dripping.start()
        check_problem(client.answer(), 408)
        stop.set()
        dripping.join()
    with serving.connect() as client:  # after a whole one, too
        client.send(serving.request(ME) + whole[:-1])
        assert client.answer()[0] == 200
        check_problem(client.answer(), 408)
    found = serving.run(serving.database.read(lambda c: domains.find(c)))
    assert [one.name for one in found] == ["example.org"]


def test_a_silent_connection_is_closed(make: Callable[..., HttpServing]) -> None:
    serving = make(bounds=HttpBounds(request_timeout=30, idle_timeout=1))
    with serving.connect() as client:
        client.send(serving.request(ME))
        assert client.answer()[0] == 200
        assert client.is_closed()


def test_silent_connections_make_room(make: Callable[..., HttpServing]) -> None:
    serving = make(bounds=HttpBounds(max_connections=20))
    silent = [serving.connect() for _ in range(60)]
    with serving.connect() as client:
        client.send(serving.request(ME))
        assert client.answer()[0] == 200
    assert silent[0].is_closed()
    for one in silent:
        one.close()


def test_five_thousand_connections(make: Callable[..., HttpServing]) -> None:
    serving = make(bounds=HttpBounds(max_connections=1000))
    silent: list[HttpClient] = []
    try:
        for number in range(5000):
            silent.append(serving.connect())
            if number % 2:
                silent[-1].send(b"POST /api/v1/domains HTTP/1.1\r\nHost: a\r\n")
            if number % 1000 == 999:
                wait_until(lambda: len(serving.server.state.connections) <= 1000)
                with serving.connect() as client:
                    client.send(serving.request(ME))
                    assert client.answer()[0] == 200
    finally:
        for one in silent:
            one.close()


def test_no_room_is_made_among_requests_in_progress(make: Callable[..., HttpServing]) -> None:
    serving = make(bounds=HttpBounds(max_connections=3))
    whole = serving.request("POST /api/v1/domains", b'{"name": "x.example"}')
    busy = [serving.connect() for _ in range(3)]
    for one in busy:
        one.send(whole[:-1])
    wait_until(lambda: len(serving.server.state.tasks) == 3)
    with serving.connect() as client:
        check_problem(client.answer(), 503)
        assert client.is_closed()
    for one in busy:
        one.send(whole[-1:])
    assert sorted(one.answer()[0] for one in busy) == [201, 409, 409]
    for one in busy:
        one.close()


def test_a_head_is_asked_for(make: Callable[..., HttpServing]) -> None:
    serving = make()
    with serving.connect() as client:
        client.send(serving.request("HEAD /api/v1/me", b"", "Connection: close"))
        octets = b""
        while data := client.sock.recv(65536):
            octets += data
    head, _, body = octets.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert body == b""


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_concurrent_edits(
    make: Callable[..., HttpServing], postgres: PostgresServer, kind: str
) -> None:
    if kind == "sqlite":
        check_concurrent_edits(make(principal_burst=1000))
        return
    serving = HttpServing(accounts_postgres.make(postgres), principal_burst=1000)
    try:
        check_concurrent_edits(serving)
    finally:
        serving.close()


def check_concurrent_edits(serving: HttpServing) -> None:
    path = "/api/v1/mailboxes/anna@example.org"
    for _ in range(5):
        with serving.connect() as client:
            client.send(serving.request(f"GET {path}"))
            tag = client.answer()[1]["etag"]
        statuses: list[int] = []

        def edit(number: int, tag: str = tag, statuses: list[int] = statuses) -> None:
            body = json.dumps({"display_name": f"Anna {number} {tag}"}).encode()
            with serving.connect() as client:
                client.send(serving.request(f"PATCH {path}", body, f"If-Match: {tag}"))
                statuses.append(client.answer()[0])

        threads = [threading.Thread(target=edit, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [200, 409, 409, 409]


def test_the_end_waits_for_requests(make: Callable[..., HttpServing]) -> None:
    serving = make()
    with serving.connect() as silent, serving.connect() as busy:
        silent.send(serving.request(ME))
        assert silent.answer()[0] == 200
        whole = serving.request("POST /api/v1/domains", b'{"name": "x.example"}')
        busy.send(whole[:-1])
        wait_until(lambda: len(serving.server.state.tasks) == 1)
        draining = threading.Thread(target=serving.drain)
        draining.start()
        assert silent.is_closed()
        busy.send(whole[-1:])
        assert busy.answer()[0] == 201
        assert busy.is_closed()
        draining.join()
    with pytest.raises(OSError, match="refused"):
        serving.connect()


def test_the_end_does_not_wait_for_ever(make: Callable[..., HttpServing]) -> None:
    serving = make()
    with serving.connect() as busy:
        busy.send(serving.request("POST /api/v1/domains", b'{"name": "x.example"}')[:-1])
        wait_until(lambda: len(serving.server.state.tasks) == 1)
        begun = time.monotonic()
        serving.drain(0.5)
        assert time.monotonic() - begun < 5
        assert busy.is_closed()


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_client_that_does_not_read(make: Callable[..., HttpServing]) -> None:
    serving = make(
        bounds=HttpBounds(request_timeout=2, idle_timeout=1),
        principal_burst=10_000,
        network_burst=10_000,
    )
    client: HttpClient = serving.connect()
    big = serving.request("GET /api/v1/openapi.json") * 60  # 10 MB of answers
    sender = threading.Thread(target=client.send, args=(big,), daemon=True)
    sender.start()
    wait_until(lambda: len(serving.server.state.connections) == 1)
    wait_until(lambda: len(serving.server.state.connections) == 0)
    client.close()
    sender.join()
