"""SMTP client that can misbehave: stop in the middle, stay silent, or hang up."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from tests.testbed.closing import Closing
from tests.testbed.ports import LOOPBACK

TIMEOUT = 50.0
"""Seconds to wait for a reply; shorter than the timeout of a test."""

_LINE_MAX = 4096
"""Maximum octets read of a reply line; RFC 5321 section 4.5.3.1.5 allows 512."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An SMTP reply; the texts of several lines are joined with a line feed."""

    code: int
    text: str

    def __str__(self) -> str:
        return f"{self.code} {self.text}"


class RawClient(Closing):
    """A connection to an SMTP server; the caller performs every step.

    `interface` is its source address on this machine. It sends `early` before the greeting, which
    a well-behaved client never does.
    """

    def __init__(
        self,
        port: int,
        *,
        host: str = LOOPBACK,
        timeout: float = TIMEOUT,
        interface: str = "",
        early: bytes = b"",
    ) -> None:
        source = (interface, 0) if interface else None
        self._socket = socket.create_connection((host, port), timeout, source)
        if early:
            self._socket.sendall(early)
        self._stream = self._socket.makefile("rb")
        try:
            self.greeting = self.read_reply()
        except BaseException:
            self.close()
            raise

    def read_reply(self) -> Reply:
        """Return the next reply; raises `ConnectionError` if the server hangs up first."""
        texts = []
        while line := self._stream.readline(_LINE_MAX):
            texts.append(line[4:].decode("latin-1").rstrip("\r\n"))
            if line[3:4] != b"-":
                return Reply(int(line[:3]), "\n".join(texts))
        raise ConnectionError("the server closed the connection instead of answering")

    def send(self, octets: bytes) -> None:
        """Send octets without waiting for a reply."""
        self._socket.sendall(octets)

    def command(self, line: str) -> Reply:
        """Send one command and return the reply to it."""
        self.send(line.encode() + b"\r\n")
        return self.read_reply()

    def hello(self, helo: str = "client.example.net", address: str = "", name: str = "") -> Reply:
        """Send EHLO; with an address, take on that identity by XCLIENT first."""
        reply = self.command(f"EHLO {helo}")
        if address:
            prefix = "IPV6:" if ":" in address else ""
            self.command(f"XCLIENT ADDR={prefix}{address} NAME={name or '[UNAVAILABLE]'}")
            reply = self.command(f"EHLO {helo}")
        return reply

    def begin(self, sender: str, *recipients: str, parameters: str = "") -> Reply:
        """Send MAIL FROM, RCPT TO and DATA; return the first refusal, else the reply to DATA."""
        for line in (
            f"MAIL FROM:<{sender}> {parameters}".rstrip(),
            *(f"RCPT TO:<{recipient}>" for recipient in recipients),
            "DATA",
        ):
            reply = self.command(line)
            if reply.code >= 400:
                break
        return reply

    def end(self) -> Reply:
        """Send the final dot on a separate line and return the reply."""
        return self.command(".")

    def abort(self) -> None:
        """Hang up with a reset: no QUIT, nothing flushed."""
        linger_for_no_time = b"\1\0\0\0\0\0\0\0"
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_for_no_time)
        self.close()

    def close(self) -> None:
        """Hang up without QUIT."""
        self._stream.close()
        self._socket.close()
