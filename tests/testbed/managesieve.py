"""Client of ManageSieve (RFC 5804) that logs in, stores a script and activates it."""

from __future__ import annotations

import base64
import re
import socket
import ssl

TIMEOUT = 30.0


class ManageSieveError(Exception):
    """The server refused a command; the message is its reply."""


class ManageSieve:
    """One session, with STARTTLS; the certificate is not checked."""

    def __init__(
        self, host: str, port: int, *, source: str = "", before: bytes = b"", tls: bool = True
    ) -> None:
        address = (source, 0) if source else None
        self._socket = socket.create_connection((host, port), TIMEOUT, address)
        self._socket.sendall(before)
        self._reader = self._socket.makefile("rb")
        self.capabilities = self._reply()
        if tls:
            self.command("STARTTLS")
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            self._socket = context.wrap_socket(self._socket)
            self._reader = self._socket.makefile("rb")
            self.capabilities = self._reply()

    def login(self, user: str, password: str) -> None:
        """Log in with SASL PLAIN; raises `ManageSieveError`."""
        plain = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        self.command(f'AUTHENTICATE "PLAIN" "{plain}"')

    def put(self, name: str, script: str) -> None:
        """Store a script and make it the active one; raises `ManageSieveError`."""
        octets = script.replace("\n", "\r\n").encode()
        self.command(f'PUTSCRIPT "{name}" {{{len(octets)}+}}\r\n{octets.decode()}')
        self.command(f'SETACTIVE "{name}"')

    def check(self, script: bytes) -> str:
        """Have a script checked and return the reply; raises `ManageSieveError`."""
        return self._with_literal("CHECKSCRIPT ", script)

    def store(self, name: str, script: bytes) -> str:
        """Store a script as it is and return the reply; raises `ManageSieveError`."""
        return self._with_literal(f'PUTSCRIPT "{name}" ', script)

    def fetch(self, name: str) -> bytes:
        """Return a stored script; raises `ManageSieveError`."""
        self._socket.sendall(f'GETSCRIPT "{name}"\r\n'.encode())
        answer = self._lines()
        size = re.match(rb"\{(\d+)\}\r\n", answer)
        if size is None:
            raise ManageSieveError(answer.decode())
        return answer[size.end() :][: int(size[1])]

    def command(self, text: str) -> str:
        """Send a command and return the reply; raises `ManageSieveError` unless it is OK."""
        self._socket.sendall(f"{text}\r\n".encode())
        return self._reply()

    def _with_literal(self, command: str, octets: bytes) -> str:
        self._socket.sendall(f"{command}{{{len(octets)}+}}\r\n".encode() + octets + b"\r\n")
        return self._reply()

    def close(self) -> None:
        """Close the connection."""
        self._reader.close()
        self._socket.close()

    def _reply(self) -> str:
        return self._lines().decode()

    def _lines(self) -> bytes:
        """Read lines up to OK, NO or BYE, the literals in them included."""
        lines = b""
        while True:
            line = self._reader.readline()
            lines += line
            if literal := re.search(rb"\{(\d+)\}\r\n$", line):
                lines += self._reader.read(int(literal[1])) + self._reader.readline()
            if line.startswith(b"OK"):
                return lines
            if not line or line.startswith((b"NO", b"BYE")):
                raise ManageSieveError(lines.decode(errors="replace"))
