"""The API as a server in a thread, over a datastore with an administrator, for tests and curl."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from pathlib import Path
from typing import Any

import uvloop

from accounts.attempt_settings import AttemptSettings
from accounts.attempts import Attempts
from accounts.directory import administrators, dkim_keys, domains, mailboxes, tokens
from accounts.http.application import application
from accounts.http.context import FixedContext
from accounts.http.server import HttpBounds, HttpServer, serve
from accounts.http.settings import HttpSettings
from accounts.lookup.ask import Ask, RowAnswer
from accounts.passwords import Password, PasswordSettings, PasswordWorkers, hash_password
from accounts.sources.postgres import PostgresSource, connect_arguments
from accounts.sources.sqlite import SqliteSource
from accounts.store.database import Database
from accounts.store.seal import SecretSeal
from accounts.store.settings import DatabaseSettings
from accounts.store.transaction import Actor, Write
from gatepost.daemon import listening_socket
from gatepost.listen import Inet, Unix
from tests.testbed.closing import Closing
from tests.testbed.ports import LOOPBACK, free_port
from tests.unit.accounts.secrets_suite import ED25519

SECRET = "correct horse staple"
CHEAP = PasswordSettings(memory=8192, passes=1)
SEAL = SecretSeal([b"k" * 32])
DEFAULT = HttpBounds()
TIMEOUT = 60.0


class HttpServing(Closing):
    """The API on a port of loopback, or on a unix socket, until `close()`."""

    def __init__(
        self,
        settings: DatabaseSettings,
        path: Path | None = None,
        bounds: HttpBounds = DEFAULT,
        **limits: Any,
    ) -> None:
        self.address = Unix(path) if path else Inet(LOOPBACK, free_port())
        self._listener = listening_socket(self.address, 0o666)
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._drained = False
        self.token = ""
        self.run(self._start(settings, bounds, HttpSettings(**limits)))

    async def _start(
        self, settings: DatabaseSettings, bounds: HttpBounds, limits: HttpSettings
    ) -> None:
        self.database = Database.open(settings)
        self.workers = PasswordWorkers(CHEAP)
        self.source: SqliteSource | PostgresSource
        if settings.path is not None:
            self.source = SqliteSource(settings.path)
        else:
            self.source = PostgresSource(connect_arguments(settings.url))
            self.source.start()
        await self.database.write(Actor("test"), self._fill)
        context = FixedContext(
            self.database,
            SEAL,
            self.workers,
            Attempts(AttemptSettings(), b"k" * 32),
            CHEAP,
            limits,
            self._now,
            self._ask,
        )
        self.server: HttpServer = await serve(application(context), [self._listener], bounds)

    def _now(self) -> float:
        return self._loop.time() + 1_900_000_000

    async def _ask(self, asks: tuple[Ask, ...], /) -> tuple[RowAnswer, ...]:
        answers = self.source.ask(asks)
        return answers if isinstance(answers, tuple) else await answers

    def _fill(self, write: Write) -> None:
        hashed = hash_password(Password(SECRET), CHEAP)
        domains.add(write, "example.org")
        mailboxes.add(write, "anna@example.org", password=hashed)
        administrators.add(write, "admin", role="global", password=hashed)
        dkim_keys.add(write, SEAL, "example.org", "s1", private=ED25519)
        _, self.token = tokens.add(write, "test", scopes=["all:write"], administrator="admin")

    def run(self, work: Any) -> Any:
        """Run a coroutine in the event loop and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(TIMEOUT)

    @property
    def url(self) -> str:
        """The URL of the API, without a final slash."""
        address = self.address
        assert isinstance(address, Inet)
        return f"http://{address.host}:{address.port}/api/v1"

    def connect(self) -> HttpClient:
        """Return a new connection."""
        return HttpClient(self.address)

    def request(self, line: str, body: bytes = b"", *fields: str) -> bytes:
        """Return a request as octets, with the token of the administrator."""
        head = [line + " HTTP/1.1", "Host: mail.example", f"Authorization: Bearer {self.token}"]
        if body:
            head += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        return "\r\n".join([*head, *fields, "", ""]).encode() + body

    def drain(self, grace: float = 10.0) -> None:
        """Drain it, as at the end of the daemon."""
        self._drained = True
        self.run(self.server.drain(grace))

    def close(self) -> None:
        """Drain it and end the event loop."""
        if not self._drained:
            self.drain(1)
        self.run(self.source.close())
        self.run(self.database.close())
        self.workers.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(TIMEOUT)
        self._loop.close()


class HttpClient(Closing):
    """A connection; octets in, answers out."""

    def __init__(self, address: Inet | Unix) -> None:
        is_unix = isinstance(address, Unix)
        self.sock = socket.socket(socket.AF_UNIX if is_unix else socket.AF_INET)
        self.sock.settimeout(TIMEOUT)
        try:
            self.sock.connect(
                str(address.path) if isinstance(address, Unix) else (address.host, address.port)
            )
        except OSError:
            self.sock.close()
            raise
        self._received = b""

    def send(self, data: bytes) -> None:
        """Send octets; a server that has closed the connection is no error."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.sock.sendall(data)

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Return the status, fields and body of the next answer; `EOFError` at the end."""
        while b"\r\n\r\n" not in self._received:
            self._receive()
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        line, *lines = head.decode().split("\r\n")
        fields = {name.lower(): value for name, _, value in (one.partition(": ") for one in lines)}
        status = int(line.split()[1])
        if status == 100:
            return self.answer()
        size = int(fields.get("content-length", "0"))
        while len(self._received) < size:
            self._receive()
        body, self._received = self._received[:size], self._received[size:]
        return status, fields, body

    def is_closed(self) -> bool:
        """Wait for the end of the connection."""
        try:
            return self.sock.recv(1) == b""
        except ConnectionResetError:
            return True

    def _receive(self) -> None:
        data = self.sock.recv(65536)
        if not data:
            raise EOFError(self._received)
        self._received += data

    def close(self) -> None:
        """Close it."""
        self.sock.close()
