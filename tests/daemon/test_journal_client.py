"""The client of the journal against servers that refuse, break off, or say nothing."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from gatepost.journal.record import JournalRecord
from gatepost.journal.sender import JournalClient, JournalSender, SendError
from gatepost.logs import get_logger
from gatepost.snapshots.client import FetchError
from gatepost.snapshots.connection import AccountsConnection
from gatepost.snapshots.settings import AccountsSource

TAKEN = b"HTTP/1.1 204 No Content\r\n\r\n"
LINE = b'{"at":1}\n'


class RudeServer:
    """Answers each request with the next of the answers; the last one repeats.

    An empty answer closes the connection, None is silence.
    """

    def __init__(self, *answers: bytes | None) -> None:
        self.answers = list(answers)
        self.connections = 0
        self.requests: list[bytes] = []
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.source = AccountsSource(url=f"http://127.0.0.1:{self._listener.getsockname()[1]}/x")
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        # a client may leave in the middle
        with connection, contextlib.suppress(ConnectionError):
            received = b""
            while part := connection.recv(65536):
                received += part
                if not received.endswith(LINE):
                    continue
                self.requests.append(received)
                received = b""
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if answer is None:
                    continue
                connection.sendall(answer)
                if not answer or b"close" in answer:
                    return

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def serve() -> Iterator[Any]:
    servers: list[RudeServer] = []

    def start(*answers: bytes | None) -> RudeServer:
        servers.append(RudeServer(*answers))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def test_one_connection_takes_many_batches(serve: Any) -> None:
    server = serve(TAKEN)
    client = JournalClient(server.source)
    for _ in range(3):
        client.post(LINE, 5)
    client.close()
    assert (server.connections, len(server.requests)) == (1, 3)
    assert server.requests[0].startswith(b"POST /x/journal/v1/records HTTP/1.1\r\n")


def test_an_idle_connection_that_was_closed_is_opened_again(serve: Any) -> None:
    server = serve(TAKEN, b"", TAKEN)
    client = JournalClient(server.source)
    client.post(LINE, 5)
    client.post(LINE, 5)
    assert server.connections == 2
    client.close()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", "off"),
        (b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n", "off"),
        (b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n", "refused"),
        (b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 9999\r\n\r\nslow", "away"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", "away"),
        (b"SSH-2.0-hello\r\n", "away"),
        (b"HTTP/1.1 204 No Content\r\nx: " + b"y" * 70_000, "away"),
        (b"", "away"),
        (None, "away"),
    ],
)
def test_other_answers_have_a_reason(serve: Any, answer: bytes | None, why: str) -> None:
    client = JournalClient(serve(answer).source)
    began = time.monotonic()
    with pytest.raises(SendError) as caught:
        client.post(LINE, 1)
    assert caught.value.why == why
    assert time.monotonic() - began < 10
    client.close()


def test_a_silent_server_delays_nobody(serve: Any) -> None:
    sender = JournalSender(serve(None).source, get_logger("test"))
    sender.start()
    record = JournalRecord(1.0, "policyd", "pass", recipients=("ann@example.org",))
    began = time.process_time()
    for _ in range(5000):
        sender.add(record)
    assert time.process_time() - began < 5
    began = time.monotonic()
    sender.stop()
    assert time.monotonic() - began < 8


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 3000000\r\n\r\n" + b"x" * 1_200_000, "invalid"),
        (b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 10\r\n\r\nhi", "away"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhi", "away"),
    ],
)
def test_the_body_of_an_answer_is_bounded_and_whole(serve: Any, answer: bytes, why: str) -> None:
    connection = AccountsConnection(serve(answer).source)
    with pytest.raises(FetchError) as caught:
        connection.ask("POST", "/y", 0.5, LINE)
    assert caught.value.why == why
    connection.close()


def test_an_answer_with_a_body_leaves_the_connection_usable(serve: Any) -> None:
    server = serve(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi")
    connection = AccountsConnection(server.source)
    for _ in range(2):
        assert connection.ask("POST", "/y", 5.0, LINE) == (200, b"hi")
    assert server.connections == 1
    connection.close()
