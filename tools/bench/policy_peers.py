"""Policy servers of the benchmarks, each with its usual settings."""

from __future__ import annotations

import shutil
import socket
import sqlite3
import sys
from pathlib import Path
from typing import Literal

from policyd.settings import StoreSettings
from tests.testbed.ports import LOOPBACK, free_port
from tests.testbed.waiting import wait_until
from tools.bench.milter_peers import HOSTNAME
from tools.bench.server import Server, answers
from tools.bench.triplets import fill_gatepost, fill_postgrey, fill_sqlgrey


class PolicyServer(Server):
    """A greylisting server that knows `triplets` triplets when it starts.

    `delay` is the greylisting delay in seconds; None means the default of the server.
    """

    def __init__(
        self,
        folder: Path,
        *,
        triplets: int = 0,
        delay: int | None = None,
        over: str = "unix",
    ) -> None:
        super().__init__(folder, over=over)
        self.triplets = triplets
        self.delay = delay


class Postgrey(PolicyServer):
    """postgrey, the most common greylisting server."""

    name = "postgrey"

    def start(self) -> None:
        """Start it with a fresh database."""
        database = self.folder / "db"
        shutil.rmtree(database, ignore_errors=True)
        database.mkdir()
        if self.triplets:
            fill_postgrey(database, self.triplets)
        self.run(
            "postgrey",
            f"--inet={LOOPBACK}:{self.port}" if self.port else f"--unix={self.socket}",
            f"--dbdir={database}",
            "--user=root",
            "--group=root",
            *([] if self.delay is None else [f"--delay={self.delay}"]),
        )


class Sqlgrey(PolicyServer):
    """sqlgrey with an SQLite file."""

    name = "sqlgrey"

    def start(self) -> None:
        """Start it with a fresh database, and fill the tables that it creates."""
        database = self.folder / "sqlgrey.db"
        for old in self.folder.glob("sqlgrey.db*"):
            old.unlink()
        where = f"inet = {LOOPBACK}:{self.port}" if self.port else f"unix = {self.socket}"
        config = self.write(
            "sqlgrey.conf",
            f"{where}\nuser = root\ngroup = root\npidfile = {self.folder}/pid\n"
            f"conf_dir = /etc/sqlgrey\ndb_type = SQLite\ndb_name = {database}\n",
        )
        self.run("sqlgrey", "-f", config)
        if self.triplets:
            wait_until(lambda: _has_tables(database), "the tables of sqlgrey", check=self.check)
            fill_sqlgrey(database, self.triplets)


def _has_tables(database: Path) -> bool:
    if not database.exists():
        return False
    with sqlite3.connect(database) as db:
        (version,) = db.execute(
            "SELECT count(*) FROM sqlite_master WHERE name IN ('from_awl', 'config', 'connect')"
        ).fetchone()
    db.close()
    return bool(version == 3)


class GatepostPolicyd(PolicyServer):
    """``gatepost policyd`` with the default greylisting, on one of its stores.

    With `keep`, the store is filled only at the first start. The memory store starts empty.
    """

    def __init__(
        self,
        folder: Path,
        store: Literal["sqlite", "valkey", "memory"],
        *,
        triplets: int = 0,
        delay: int | None = None,
        name: str = "",
        keep: bool = False,
        over: str = "unix",
    ) -> None:
        super().__init__(folder, triplets=triplets, delay=delay, over=over)
        self.name = name or f"gatepost, {store}"
        self._store = store
        self._keep = keep
        self._is_filled = False
        self._metrics, self._valkey = free_port(), free_port()

    def start(self) -> None:
        """Start it, and Valkey (or Redis) with the settings of Debian, if that is its store."""
        if not self._keep:
            for old in (*self.folder.glob("policyd.sqlite*"), *self.folder.glob("*.rdb")):
                old.unlink()
            self._is_filled = False
        settings = StoreSettings(
            kind=self._store,
            path=self.folder / "policyd.sqlite",
            url=f"valkey://{LOOPBACK}:{self._valkey}/0",
        )
        if self._store == "valkey":
            program = shutil.which("valkey-server") or "redis-server"
            self.run(program, "--port", str(self._valkey), "--bind", LOOPBACK, "--dir", self.folder)
            wait_until(lambda: _pings(self._valkey), "Valkey", check=self.check)
        if self.triplets and not self._is_filled and self._store != "memory":
            fill_gatepost(settings, self.triplets)
            self._is_filled = True
        config = self.write(
            "gatepost.toml",
            f'hostname = "{HOSTNAME}"\n[policyd]\nlisten = "{self.listen()}"\n'
            f'metrics_listen = "inet:{self._metrics}@{LOOPBACK}"\n'
            f'[policyd.store]\nkind = "{settings.kind}"\npath = "{settings.path}"\n'
            f'url = "{settings.url}"\n'
            + ("" if self.delay is None else f"[policyd.greylist]\ndelay = {self.delay}\n"),
        )
        self.run(Path(sys.executable).with_name("gatepost"), "policyd", "--config", config)

    def is_ready(self) -> bool:
        """Return what `/readyz` says."""
        return super().is_ready() and answers(self._metrics, "/readyz")


def _pings(port: int) -> bool:
    try:
        with socket.create_connection((LOOPBACK, port), timeout=5) as client:
            client.sendall(b"PING\r\n")
            return client.recv(64).startswith(b"+PONG")
    except OSError:
        return False


class PolicydSpf(Server):
    """policyd-spf, with a process for each connection of Postfix."""

    name = "policyd-spf"

    def start(self) -> None:
        """Start the program that starts the processes."""
        config = self.write(
            "policyd-spf.conf",
            "debugLevel = 0\nTestOnly = 1\nHELO_reject = Fail\nMail_From_reject = Fail\n"
            "PermError_reject = False\nTempError_Defer = False\n"
            "skip_addresses = 127.0.0.0/8,::ffff:127.0.0.0/104,::1\n",
        )
        self.run(sys.executable, "-m", "tools.bench.spawn", self.socket, "policyd-spf", config)
