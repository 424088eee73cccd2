"""``gatepost accounts`` as a process, with data of the test, and clients that speak as Postfix."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

from sqlalchemy import Connection

from accounts.directory import aliases, domains, mailboxes
from accounts.passwords import Password, PasswordSettings, hash_password
from accounts.store import migrate
from accounts.store.database import Database
from accounts.store.settings import DatabaseSettings
from accounts.store.transaction import Actor, Write
from gatepost.listen import Inet, Unix
from tests.daemon.accounts_serving import Client
from tests.testbed.closing import Closing
from tests.testbed.daemon import Daemon
from tests.testbed.ports import LOOPBACK, free_ports
from tests.testbed.toml import document
from tests.unit.accounts import files

T = TypeVar("T")

SECRET = "correct horse battery"
QUICK = {"memory": 8192, "passes": 1}
"""Costs of a hash that a test has time for."""


def quick_hash(password: str = SECRET) -> str:
    """Return a hash as `[accounts.passwords]` of the tests makes it."""
    return hash_password(Password(password), PasswordSettings(memory=8192, passes=1))


class AccountsDaemon(Closing):
    """The daemon below a directory, with the database at `url`, or a file of its own.

    `settings` are those of `[accounts]`. It is started by `daemon.start()`, or as a context.
    """

    def __init__(
        self,
        directory: Path,
        settings: Mapping[str, Any] | None = None,
        *,
        url: str = "",
        migrated: bool = True,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.config = directory / "gatepost.toml"
        self.file = directory / "accounts.db"
        self.database = DatabaseSettings(url=url or f"sqlite:///{self.file}")
        self.socket = directory / "map.sock"
        self.sasl = directory / "auth.sock"
        ports = free_ports(4)
        self.tables = dict(zip(("domains", "mailboxes", "aliases"), ports, strict=False))
        self._metrics = ports[3]
        if migrated and url:
            migrate.upgrade(self.database)
        elif migrated:
            files.make(self.file)
        self.write(settings or {})
        self.daemon = Daemon("accounts", self.config, directory)
        self._clients: list[Client] = []

    def write(self, settings: Mapping[str, Any]) -> None:
        """Write the configuration; a running daemon sees it by itself."""
        section = {
            "listen": f"unix:{self.socket}",
            "sasl_listen": f"unix:{self.sasl}",
            "socket_mode": "0666",
            **{f"{name}_listen": f"inet:{port}@{LOOPBACK}" for name, port in self.tables.items()},
            "metrics_listen": f"inet:{self._metrics}@{LOOPBACK}",
            "database": {"url": self.database.url},
            "passwords": QUICK,
            **settings,
        }
        self.config.write_text(document({"accounts": section}))

    def change(self, work: Callable[[Write], T]) -> T:
        """Write to the database from this process, which is another one than the daemon's."""

        async def run() -> T:
            async with Database.open(self.database) as database:
                return await database.write(Actor("test"), work)

        return asyncio.run(run())

    def read(self, work: Callable[[Connection], T]) -> T:
        """Read from the database."""

        async def run() -> T:
            async with Database.open(self.database) as database:
                return await database.read(work)

        return asyncio.run(run())

    def connect(self, key: str = "listen") -> Client:
        """Open a connection to an address of the daemon, by the name of its setting."""
        table = key.removesuffix("_listen")
        if key == "listen":
            client = Client(Unix(self.socket))
        elif key == "sasl_listen":
            client = Client(Unix(self.sasl))
        else:
            client = Client(Inet(LOOPBACK, self.tables[table]))
        self._clients.append(client)
        return client

    def ask(self, table: str, key: str) -> str:
        """Ask a socketmap over a connection of its own."""
        with self.connect() as client:
            return client.ask(table, key)

    def log_in(self, login: str, password: str = SECRET, client: str = "203.0.113.5") -> str:
        """Log in by SASL; the first word and the fields of the answer, or "closed"."""
        with self.connect("sasl_listen") as connection:
            connection.greeting()
            response = base64.b64encode(f"\0{login}\0{password}".encode()).decode()
            connection.send(
                f"AUTH\t1\tPLAIN\tservice=smtp\trip={client}\tresp={response}\n".encode()
            )
            try:
                return connection.read_line()
            except (EOFError, ConnectionResetError):
                return "closed"

    def probe(self) -> tuple[int, str]:
        """Return the status and the text of ``/readyz``."""
        with Client(Inet(LOOPBACK, self._metrics)) as client:
            client.send(b"GET /readyz HTTP/1.0\r\n\r\n")
            received = b""
            while data := client.sock.recv(65536):
                received += data
        head, _, body = received.decode().partition("\r\n\r\n")
        return int(head.split()[1]), body

    def __enter__(self) -> Self:
        self.daemon.start()
        return self

    def close(self) -> None:
        """Stop the daemon."""
        for client in self._clients:
            client.close()
        self.daemon.stop()


def people(write: Write) -> None:
    """Make what the tests ask for."""
    domains.add(write, "example.org")
    domains.add(write, "example.net", alias_of="example.org")
    mailboxes.add(write, "anna@example.org", password=quick_hash())
    mailboxes.add(write, "bob@example.org", password=quick_hash(), forwards=["bob@far.example"])
    mailboxes.add(write, "off@example.org", password=quick_hash(), enabled=False)
    aliases.add(write, "info@example.org", targets=["anna@example.org", "bob@example.org"])
    aliases.add(write, "sales-*@example.org", targets=["anna@example.org"])
