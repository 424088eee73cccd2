"""The part of Dovecot's authentication service that Postfix asks whether a login is right.

Names and passwords are given by the test. The protocol is Dovecot's "Authentication Protocol"
version 1.1 as smtpd(8) speaks it with ``smtpd_sasl_type = dovecot``: lines of words with tabs
between them. Only PLAIN is offered, which swaks and every mail client know.
"""

from __future__ import annotations

import base64
import binascii
import socketserver
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from testbed.ports import LOOPBACK

_GREETING = "VERSION\t1\t1\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t{:032x}\nDONE\n"

_LINE_MAX = 8192
"""Octets of a line from Postfix: Dovecot's own limit."""


class LoginServer:
    """Answers for `logins` (name to password) in a thread, from construction to `close()`."""

    def __init__(self, logins: Mapping[str, str]) -> None:
        self.logins = dict(logins)
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(_GREETING.format(0).encode())
                while line := self.rfile.readline(_LINE_MAX):
                    if reply := answer(outer.logins, line.decode("latin-1").rstrip("\n")):
                        self.wfile.write(reply.encode() + b"\n")

        self._server = _Server((LOOPBACK, 0), Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )
        self._thread.start()

    @property
    def postfix(self) -> str:
        """As smtpd_sasl_path takes it."""
        return f"inet:{LOOPBACK}:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False


def answer(logins: Mapping[str, str], line: str) -> str:
    """The answer to one line of Postfix; empty where none is due."""
    command, _, rest = line.partition("\t")
    if command != "AUTH":  # VERSION and CPID introduce the client
        return ""
    number, _, parameters = rest.partition("\t")
    response = parameters.partition("resp=")[2]
    try:
        # RFC 4616 section 2: [authzid] NUL authcid NUL passwd
        _, name, password = base64.b64decode(response, validate=True).decode().split("\0")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return f"FAIL\t{number}\treason=not a PLAIN response"
    if logins.get(name) == password:
        return f"OK\t{number}\tuser={name}"
    return f"FAIL\t{number}\tuser={name}"
