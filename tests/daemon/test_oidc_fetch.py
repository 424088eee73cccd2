"""Requests to an identity provider over real TLS: whom they trust, and for how long."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from accounts.oidc.errors import ProviderAwayError
from accounts.oidc.fetch import MAX_ANSWER, fetch
from tests.testbed.certificate import self_signed

Answering = Callable[[BaseHTTPRequestHandler], None]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answering: Answering

    def do_GET(self) -> None:
        type(self).answering(self)

    do_POST = do_GET  # noqa: N815 # the name that http.server looks for

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serving(folder: Path, answering: Answering, name: str = "localhost") -> Iterator[str]:
    """Serve HTTPS with a certificate for a name, which is kept in ``ca.pem``; yield the URL."""
    certificate, key = self_signed(name)
    (folder / "ca.pem").write_text(certificate)
    (folder / "key.pem").write_text(key)
    handler = type("Handler", (_Handler,), {"answering": staticmethod(answering)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ca.pem", folder / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"https://localhost:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def ask(url: str, ca_file: Path | None, **more: Any) -> tuple[int, Any]:
    given: dict[str, Any] = {"headers": {}, "form": None, "timeout": 5.0} | more
    return fetch(url, ca_file=ca_file, **given)


def answer_json(value: Any, status: int = 200, **fields: str) -> Answering:
    octets = json.dumps(value).encode()

    def answering(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Length", str(len(octets)))
        for name, text in fields.items():
            request.send_header(name, text)
        request.end_headers()
        request.wfile.write(octets)

    return answering


def test_an_answer_over_verified_tls(tmp_path: Path) -> None:
    with serving(tmp_path, answer_json({"issuer": "x"})) as url:
        assert ask(url, tmp_path / "ca.pem") == (200, {"issuer": "x"})


def test_a_form_is_posted(tmp_path: Path) -> None:
    seen: list[Any] = []

    def answering(request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"])).decode()
        seen.append((request.command, request.path, parse_qsl(body), dict(request.headers)))
        answer_json({}, status=400)(request)

    with serving(tmp_path, answering) as url:
        form = {"code": "a&b=c", "grant_type": "x"}
        headers = {"Authorization": "Basic eA=="}
        assert ask(f"{url}/token?t=1", tmp_path / "ca.pem", form=form, headers=headers)[0] == 400
    ((command, path, fields, given),) = seen
    assert (command, path, fields) == ("POST", "/token?t=1", list(form.items()))
    assert given["Authorization"] == "Basic eA=="


def test_a_certificate_that_nobody_signed_is_refused(tmp_path: Path) -> None:
    with (
        serving(tmp_path, answer_json({})) as url,
        pytest.raises(ProviderAwayError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        ask(url, None)


def test_a_certificate_for_another_name_is_refused(tmp_path: Path) -> None:
    with (
        serving(tmp_path, answer_json({}), name="other.example") as url,
        pytest.raises(ProviderAwayError, match="not valid for 'localhost'"),
    ):
        ask(url, tmp_path / "ca.pem")


def test_a_file_of_authorities_that_is_not_there(tmp_path: Path) -> None:
    with serving(tmp_path, answer_json({})) as url, pytest.raises(ProviderAwayError):
        ask(url, tmp_path / "none.pem")


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    moved = answer_json({}, status=302, Location="https://other.example/")
    with serving(tmp_path, moved) as url:
        assert ask(url, tmp_path / "ca.pem") == (302, {})


def test_a_huge_answer_is_refused(tmp_path: Path) -> None:
    with (
        serving(tmp_path, answer_json("x" * MAX_ANSWER)) as url,
        pytest.raises(ProviderAwayError, match="more than"),
    ):
        ask(url, tmp_path / "ca.pem")


@pytest.mark.parametrize("octets", [b"", b"<html>", b"\xff", b"[" * 100_000, b'{"a":'])
def test_an_answer_that_is_no_json(tmp_path: Path, octets: bytes) -> None:
    def answering(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(octets)))
        request.end_headers()
        request.wfile.write(octets)

    with serving(tmp_path, answering) as url, pytest.raises(ProviderAwayError, match="no JSON"):
        ask(url, tmp_path / "ca.pem")


def test_an_answer_that_never_ends_takes_the_time_it_may(tmp_path: Path) -> None:
    over = threading.Event()

    def answering(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "100000")
        request.end_headers()
        with contextlib.suppress(OSError):
            while not over.wait(0.05):
                request.wfile.write(b" ")

    with serving(tmp_path, answering) as url:
        try:
            with pytest.raises(ProviderAwayError, match=r"too long|timed out"):
                ask(url, tmp_path / "ca.pem", timeout=0.5)
        finally:
            over.set()


def test_a_server_that_says_nothing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"https://localhost:{listening.getsockname()[1]}"
        with pytest.raises(ProviderAwayError, match="timed out"):
            ask(url, None, timeout=0.3)


def test_nobody_is_there() -> None:
    with pytest.raises(ProviderAwayError, match="refused"):
        ask("https://localhost:9", None)
