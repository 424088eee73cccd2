"""Servers and tables that know mailboxes, each with the same rows."""

from __future__ import annotations

import os
import pwd
import shutil
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.testbed.ports import LOOPBACK, free_port
from tests.testbed.postfix import PostfixError, PrivatePostfix
from tests.testbed.waiting import WaitError, wait_until
from tools.bench.build import ROOT
from tools.bench.milter_peers import PEERS_VENV
from tools.bench.server import Server, answers
from tools.bench.usage import cpu_seconds, members, pss_mib

QUERY = (
    "SELECT m.address FROM mailbox m WHERE m.address = '%s'"
    " AND m.enabled = {true} AND m.may_receive = {true}"
)
"""The query of Postfix's tables. It knows the address alone: no extension, wildcard or catch-all,
and whether the domain is enabled is not asked."""


class GatepostAccounts(Server):
    """``gatepost accounts`` with a database that is filled, without the API."""

    def __init__(self, folder: Path, url: str, name: str) -> None:
        super().__init__(folder)
        self.name = name
        self._url = url
        self._metrics = free_port()
        self.logins = self.folder / "logins"
        """The socket of Dovecot's authentication protocol."""

    def start(self) -> None:
        """Start it."""
        others = ("domains", "mailboxes", "aliases")
        config = self.write(
            "gatepost.toml",
            f'[accounts]\nlisten = "unix:{self.socket}"\nsasl_listen = "unix:{self.logins}"\n'
            f'metrics_listen = "inet:{self._metrics}@{LOOPBACK}"\n'
            + "".join(f'{one}_listen = "unix:{self.folder / one}"\n' for one in others)
            + f'[accounts.database]\nurl = "{self._url}"\n',
        )
        self.run(Path(sys.executable).with_name("gatepost"), "accounts", "--config", config)

    def is_ready(self) -> bool:
        """Return what `/readyz` says."""
        return super().is_ready() and answers(self._metrics, "/readyz")


class PostfixTables(Server):
    """A Postfix whose proxymap(8) answers for ``sqlite:`` or ``pgsql:``, as its manual advises.

    `settings` are the lines of the table's file before the query.
    """

    def __init__(self, folder: Path, kind: str, settings: str, true: str) -> None:
        super().__init__(folder)
        self.name = f"postfix, proxy:{kind}:"
        file = self.write("mailboxes.cf", f"{settings}query = {QUERY.format(true=true)}\n")
        self.table = f"{kind}:{file}"
        self._postfix = PrivatePostfix(
            self.folder, "discard:", settings={"proxy_read_maps": f"proxy:{self.table}"}
        )
        self.socket = self._postfix.queue / "private" / "proxymap"

    @property
    def configuration(self) -> Path:
        """The folder with main.cf."""
        return self._postfix.configuration

    def start(self) -> None:
        """Start Postfix."""
        try:
            self._postfix.start()
        except PostfixError as error:
            raise WaitError(str(error)) from None

    def is_ready(self) -> bool:
        """Return whether proxymap listens."""
        return self.socket.exists()

    def cpu(self) -> float:
        """Seconds of processor time of Postfix's processes, which only proxymap uses."""
        return cpu_seconds([self._postfix.pid])

    def memory(self) -> float:
        """MiB of the processes of proxymap."""
        return pss_mib(pid for pid in members([self._postfix.pid]) if _is_proxymap(pid))

    def __exit__(self, *_: object) -> None:
        self._postfix.stop()


def _is_proxymap(pid: int) -> bool:
    return Path(f"/proc/{pid}/comm").read_text().strip() == "proxymap"


def sqlite_table(folder: Path, filled: Path) -> PostfixTables:
    """Return ``sqlite:`` with a copy of the file, which belongs to Postfix's user."""
    tables = folder / "sqlite-tables"
    tables.mkdir()
    copy = tables / "accounts.db"
    shutil.copy(filled, copy)
    for path in (tables, copy):
        os.chown(path, pwd.getpwnam("postfix").pw_uid, -1)
    return PostfixTables(folder, "sqlite", f"dbpath = {copy}\n", "1")


def pgsql_table(folder: Path, url: str) -> PostfixTables:
    """Return ``pgsql:`` with the database of the URL."""
    parts = urlsplit(url)
    (socket_folder,) = parse_qs(parts.query)["host"]
    return PostfixTables(
        folder,
        "pgsql",
        f"hosts = unix:{socket_folder}\nuser = {parts.username}\ndbname = {parts.path[1:]}\n",
        "true",
    )


class Podop(Server):
    """Mailu's podop, which asks a server of its own over HTTP about each key.

    In place of Mailu's administration, a small server answers from the file of SQLite.
    """

    name = "podop"

    def __init__(self, folder: Path, filled: Path) -> None:
        super().__init__(folder)
        self._filled = filled
        self._port = free_port()

    def start(self) -> None:
        """Start both."""
        python = PEERS_VENV / "bin" / "python"
        self.run(python, ROOT / "tools/bench/url_table.py", str(self._port), self._filled)
        wait_until(lambda: answers(self._port, "/ready"), "the URL table", check=self.check)
        self.run(
            *(python, PEERS_VENV / "bin" / "podop", "--socket", self.socket, "--mode", "postfix"),
            *("--name", "mailboxes", "--type", "url"),
            *("--param", f"http://{LOOPBACK}:{self._port}/mailboxes/\N{SECTION SIGN}"),
        )
