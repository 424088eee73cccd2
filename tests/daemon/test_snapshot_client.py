"""The client of snapshots against servers that are slow, broken, hostile, or behind TLS."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gatepost.config import SecretFile
from gatepost.snapshots import client as client_module
from gatepost.snapshots.client import FetchError, SnapshotClient
from gatepost.snapshots.form import MEDIA_TYPE
from gatepost.snapshots.settings import AccountsSource
from tests.testbed.certificate import self_signed
from tests.unit.gatepost.test_snapshot_form import snapshot

DATA = snapshot([("is", "one")])
HEAD = f"content-type: {MEDIA_TYPE}\r\ngatepost-generation: 7\r\ngatepost-lineage: aa\r\n"


class RawServer:
    """Sends the same octets to everybody, and remembers what was asked."""

    def __init__(self, answer: bytes, context: ssl.SSLContext | None = None) -> None:
        self.answer = answer
        self.asked: list[bytes] = []
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                try:
                    self._answer(connection)
                except OSError:
                    continue

    def _answer(self, connection: socket.socket) -> None:
        if self._context is not None:
            connection = self._context.wrap_socket(connection, server_side=True)
        received = b""
        while b"\r\n\r\n" not in received:
            part = connection.recv(65536)
            if not part:
                return
            received += part
        self.asked.append(received)
        connection.sendall(self.answer)
        connection.shutdown(socket.SHUT_WR)
        connection.close()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)


@pytest.fixture
def serve() -> Iterator[Callable[..., RawServer]]:
    servers: list[RawServer] = []

    def start(answer: bytes, context: ssl.SSLContext | None = None) -> RawServer:
        servers.append(RawServer(answer, context))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def ask(server: RawServer, source: AccountsSource | None = None, tag: str = "") -> object:
    client = SnapshotClient(source or AccountsSource(url=f"http://127.0.0.1:{server.port}"))
    try:
        return client.fetch("senders", tag, 1)
    finally:
        client.close()


def answer(body: bytes, status: str = "200 OK", more: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\n{HEAD}{more}\r\n".encode() + body


def test_a_question_and_its_answer(serve: Callable[..., RawServer], tmp_path: Path) -> None:
    server = serve(answer(gzip.compress(DATA), more="content-encoding: gzip\r\n"))
    token = tmp_path / "token"
    token.write_text("secret-of-the-test\n")
    token.chmod(0o600)
    url = f"http://127.0.0.1:{server.port}/behind/"
    source = AccountsSource(url=url, token_file=SecretFile(token))
    assert ask(server, source, "0" * 64) == (DATA, 7, "aa")
    (asked,) = server.asked
    assert asked.startswith(b"GET /behind/snapshots/v1/senders?wait=1 HTTP/1.1\r\n")
    assert b"Authorization: Bearer secret-of-the-test\r\n" in asked
    assert b'If-None-Match: "' + b"0" * 64 + b'"\r\n' in asked
    server.answer = answer(DATA)
    assert ask(server) == (DATA, 7, "aa")
    server.answer = answer(b"", "304 Not Modified")
    assert ask(server) == (None, 7, "aa")


BOMB = gzip.compress(bytes(1 << 24))

CASES = {
    "redirect": (answer(b"", "302 Found", "location: http://192.0.2.1/\r\n"), "away", "302"),
    "no right": (answer(b"", "401 Unauthorized"), "refused", "the token is not right"),
    "forbidden": (answer(b"", "403 Forbidden"), "refused", "the token is not right"),
    "error": (answer(b"", "503 Service Unavailable"), "away", "503"),
    "page": (answer(DATA).replace(MEDIA_TYPE.encode(), b"text/html"), "invalid", "not a snapshot"),
    "no generation": (answer(DATA).replace(b"7", b"x", 1), "invalid", "generation"),
    "lineage": (answer(DATA).replace(b"aa", b"zz", 1), "invalid", "generation"),
    "encoding": (answer(DATA, more="content-encoding: br\r\n"), "invalid", "encoding"),
    "no gzip": (answer(DATA, more="content-encoding: gzip\r\n"), "away", "error"),
    "half a gzip": (
        answer(gzip.compress(DATA)[:-9], more="content-encoding: gzip\r\n"), "away", "broke off",
    ),
    "bomb": (answer(BOMB, more="content-encoding: gzip\r\n"), "invalid", "octets"),
    "large": (answer(bytes(1 << 17)), "invalid", "octets"),
    "half a body": (answer(DATA, more="content-length: 100000\r\n"), "away", "broke off"),
    "half a chunk": (
        answer(b"100\r\nabc", more="transfer-encoding: chunked\r\n"), "away", "Incomplete",
    ),
    "nothing": (b"", "away", "RemoteDisconnected"),
    "garbage": (b"\0\xff" * 100 + b"\r\n\r\n", "away", "BadStatusLine"),
    "long line": (answer(DATA, more="x: " + "y" * 70_000 + "\r\n"), "away", "LineTooLong"),
    "many fields": (answer(DATA, more="x: y\r\n" * 200), "away", "HTTPException"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_an_answer_that_is_none(
    serve: Callable[..., RawServer], case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "MAX_SIZE", 1 << 16)
    octets, why, text = CASES[case]
    with pytest.raises(FetchError, match=text) as caught:
        ask(serve(octets))
    assert caught.value.why == why


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound holds while it is unpacked, not afterwards."""
    assert len(BOMB) < 20_000
    unpack = zlib.decompressobj(31)
    assert len(unpack.decompress(BOMB, 1 << 16)) == 1 << 16


def test_a_silent_server_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "SPARE", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        source = AccountsSource(url=f"http://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(FetchError, match="timed out"):
            SnapshotClient(source).fetch("senders", "", 0.1)


def test_a_server_that_drips_is_left(
    serve: Callable[..., RawServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(answer(DATA))
    times = iter([0.0, 1000.0, 2000.0])
    source = AccountsSource(url=f"http://127.0.0.1:{server.port}")
    with pytest.raises(FetchError, match="took more than"):
        SnapshotClient(source, lambda: next(times)).fetch("senders", "", 1)


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="FileNotFoundError") as caught:
        SnapshotClient(AccountsSource(url=f"unix:{tmp_path}/none")).fetch("senders", "", 1)
    assert caught.value.why == "away"


@pytest.mark.parametrize(
    ("content", "mode", "why"),
    [
        ("a b", 0o600, "more than one token"),
        ("a\nb", 0o600, "more than one token"),
        ("x" * 600, 0o600, "more than one token"),
        ("", 0o600, "empty"),
        ("secret-of-the-test", 0o644, "everybody"),
        (None, 0, "No such file"),
    ],
)
def test_a_token_that_is_none_is_not_sent(
    serve: Callable[..., RawServer], tmp_path: Path, content: str | None, mode: int, why: str
) -> None:
    server = serve(answer(DATA))
    token = tmp_path / "token"
    if content is not None:
        token.write_text(content)
        token.chmod(mode)
    url = f"http://127.0.0.1:{server.port}"
    with pytest.raises(FetchError, match=why) as caught:
        ask(server, AccountsSource(url=url, token_file=SecretFile(token)))
    assert caught.value.why == "refused"
    assert server.asked == []


@pytest.fixture
def tls(tmp_path: Path) -> Callable[[str], tuple[ssl.SSLContext, Path]]:
    def make(name: str) -> tuple[ssl.SSLContext, Path]:
        certificate, key = self_signed(name)
        file, key_file = tmp_path / f"{name}.pem", tmp_path / f"{name}.key"
        file.write_text(certificate)
        key_file.write_text(key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file, key_file)
        return context, file

    return make


def test_over_tls_the_certificate_has_to_be_right(
    serve: Callable[..., RawServer], tls: Callable[[str], tuple[ssl.SSLContext, Path]]
) -> None:
    context, file = tls("localhost")
    server = serve(answer(DATA), context)
    url = f"https://localhost:{server.port}"
    assert ask(server, AccountsSource(url=url, ca_file=file)) == (DATA, 7, "aa")
    for source in (
        AccountsSource(url=url),
        AccountsSource(url=url, ca_file=tls("elsewhere.example")[1]),
        AccountsSource(url=f"https://127.0.0.1:{server.port}", ca_file=file),
    ):
        with pytest.raises(FetchError, match="CERTIFICATE_VERIFY_FAILED") as caught:
            ask(server, source)
        assert caught.value.why == "away"
    assert len(server.asked) == 1
