"""``gatepost accounts`` with its servers for Dovecot, and a client that asks as the script does."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote_from_bytes

from accounts.directory import mailboxes
from gatepost.listen import Inet, Unix
from tests.daemon.accounts_process import SECRET, AccountsDaemon
from tests.daemon.accounts_serving import Client
from tests.testbed.ports import LOOPBACK, free_port

TOKEN = "0123456789abcdef0123456789abcdef"
TIMEOUT = 60.0


class Told(NamedTuple):
    """An answer: its word, empty where there is none, its status and its lines."""

    word: str
    status: int
    fields: dict[str, str]
    text: str


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect(self._path)


class DovecotDaemon(AccountsDaemon):
    """The daemon that also serves Dovecot, over TCP with a token and over unix sockets."""

    def __init__(
        self,
        directory: Path,
        settings: Mapping[str, Any] | None = None,
        *,
        url: str = "",
        dovecot: Mapping[str, Any] | None = None,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.token = directory / "token"
        self.token.write_text(TOKEN + "\n")
        self.token.chmod(0o640)
        self.http = directory / "dovecot.sock"
        self.dict = directory / "dict.sock"
        self.port = free_port()
        self.dovecot = {"token_file": str(self.token), **(dovecot or {})}
        super().__init__(directory, settings, url=url)

    def write(self, settings: Mapping[str, Any]) -> None:
        """Write the configuration."""
        super().write(
            {
                "dovecot_listen": [f"inet:{self.port}@{LOOPBACK}", f"unix:{self.http}"],
                "dict_listen": f"unix:{self.dict}",
                "dovecot": self.dovecot,
                **settings,
            }
        )

    def tcp(self) -> Client:
        """Open a connection over TCP, for octets that are no request."""
        client = Client(Inet(LOOPBACK, self.port))
        self._clients.append(client)
        return client

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        token: str | None = None,
        unix: bool = False,
    ) -> Told:
        """Send a request over a connection of its own."""
        connection: http.client.HTTPConnection
        if unix:
            connection = _UnixConnection(self.http)
        else:
            connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=TIMEOUT)
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        pairs = [line.partition("\t") for line in text.splitlines() if "\t" in line]
        return Told(
            response.headers.get("X-Gatepost-Answer", ""),
            response.status,
            {key: value for key, _, value in pairs},
            text,
        )

    def verify(
        self,
        user: str,
        password: str | bytes = SECRET,
        protocol: str = "imap",
        client: str = "203.0.113.5",
        **options: Any,
    ) -> Told:
        """Ask whether a password is right."""
        octets = password if isinstance(password, bytes) else password.encode()
        fields = {"user": user.encode(), "password": octets, "protocol": protocol.encode()}
        fields |= {"client": client.encode(), "session": b"abc", "secured": b"yes"}
        form = "&".join(f"{key}={quote_from_bytes(value, '')}" for key, value in fields.items())
        options = {"token": TOKEN, **options}
        return self.request("POST", "/dovecot/verify", form.encode(), **options)

    def userdb(self, user: str, protocol: str = "lmtp", **options: Any) -> Told:
        """Ask for a mailbox."""
        query = f"user={quote_from_bytes(user.encode(), '')}&protocol={protocol}"
        return self.request("GET", f"/dovecot/userdb?{query}", **{"token": TOKEN, **options})

    def users(self, **options: Any) -> list[str]:
        """Ask for all mailboxes."""
        told = self.request("GET", "/dovecot/users", **{"token": TOKEN, **options})
        assert told.word == "ok"
        *addresses, end, nothing = told.text.split("\n")
        assert end == nothing == ""
        return addresses

    def home(self, address: str) -> str:
        """Read the folder of a mailbox from the database."""
        return self.read(lambda c: mailboxes.get(c, address)).home

    def look_up(self, user: str, key: str) -> str:
        """Look up a key of the dictionary, as Dovecot 2.4 does; the line of the answer."""
        with DictClient(self.dict) as client:
            return client.look_up(user, key)


class DictClient(Client):
    """A connection to the dictionary."""

    def __init__(self, path: Path) -> None:
        super().__init__(Unix(path))
        self.send(b"H4\t0\t0\t\tsieve\n")

    def look_up(self, user: str, key: str) -> str:
        """Look up a key of a user; the line of the answer."""
        self.send(f"L{key}\t{user}\n".encode())
        return self.read_line()
