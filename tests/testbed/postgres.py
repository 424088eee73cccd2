"""Private PostgreSQL server in a temporary folder, reachable only by a unix socket."""

from __future__ import annotations

import atexit
import functools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Self

from tests.testbed.process import Process

DEBIAN = Path("/usr/lib/postgresql")
"""The parent of Debian's folders for each version."""
USER = "gatepost"
"""The superuser of the cluster."""


def binaries() -> Path:
    """Return the folder with the programs of the latest installed version.

    Raises `LookupError` if there is none, so that tests fail rather than skip.
    """
    found = sorted(
        DEBIAN.glob("*/bin/initdb"), key=lambda path: float(path.parent.parent.name), reverse=True
    )
    if found:
        return found[0].parent
    if program := shutil.which("initdb"):
        return Path(program).resolve().parent
    raise LookupError("PostgreSQL is not installed: apt-get install postgresql")


class PostgresServer:
    """A server that runs as an unprivileged user, because it refuses root; a context manager."""

    def __init__(self) -> None:
        self._binaries = binaries()
        self.folder = Path(tempfile.mkdtemp(prefix="gatepost-pg-"))
        """Short enough for the path of a unix socket, and accessible to another user."""
        self._names = count()
        self._process: Process | None = None
        self._user: list[str] = []
        if os.geteuid() == 0:
            account = _unprivileged()
            os.chown(self.folder, account.pw_uid, account.pw_gid)
            self._user = [
                *("setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}"),
                *("--clear-groups", "--"),
            ]

    @property
    def pids(self) -> list[int]:
        """Return the process ids of the server and of its sessions."""
        if self._process is None:
            return []
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        return [self._process.pid, *map(int, children.read_text().split())]

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def start(self) -> None:
        """Create the cluster if it is missing, start the server and wait until it answers."""
        if not self._data.exists():
            if not _cluster().exists():
                self._run(
                    [
                        *("initdb", "--no-sync", "--auth=trust", f"--username={USER}"),
                        *("--encoding=UTF8", "--locale=C.UTF-8", f"--pgdata={_cluster()}"),
                    ]
                )
            # a copy takes a fraction of the time of initdb
            subprocess.run(["cp", "-a", "--reflink=auto", _cluster(), self._data], check=True)
        self._process = Process(
            [
                *self._user,
                *(str(self._binaries / "postgres"), "-D", str(self._data)),
                *("-k", str(self.folder), "-c", "listen_addresses="),
                # the data need not survive a crash of the machine
                *("-c", "fsync=off", "-c", "max_connections=60", "-c", "shared_buffers=16MB"),
            ],
            self.folder.with_suffix(".log"),
            cwd=Path("/"),
        )
        self._process.wait_until(self._answers, "PostgreSQL to answer")

    def new_database(self, name: str | None = None) -> str:
        """Create an empty database and return its URL in the form for `[accounts.database]`."""
        name = name or f"t{next(self._names)}"
        self.sql(f"CREATE DATABASE {name} TEMPLATE template0", database="postgres")
        return self.url(name)

    def has_database(self, name: str) -> bool:
        """Return whether there is a database with this name."""
        return name in self.sql("SELECT datname FROM pg_database", database="postgres").split()

    def url(self, name: str) -> str:
        """Return the URL of a database."""
        return f"postgresql://{USER}@/{name}?host={self.folder}"

    def sql(self, statement: str, *, database: str) -> str:
        """Run a statement with psql and return its output without headings."""
        return self._run(
            [
                *("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"),
                *("-h", str(self.folder), "-U", USER, "-d", database, "-c", statement),
            ]
        )

    def stop(self) -> None:
        """Stop the server at once, as for a restart; its data remain."""
        if self._process is not None:
            self._process.signal(signal.SIGINT)  # "fast": sessions are ended
            self._process.wait()
            self._process = None

    def kill(self) -> None:
        """Kill the server and all its sessions with SIGKILL."""
        if self._process is not None:
            self._signal_all(signal.SIGSTOP)
            self._signal_all(signal.SIGKILL)
            self._process.kill()
            self._process = None
            (self._data / "postmaster.pid").unlink(missing_ok=True)

    def pause(self) -> None:
        """Suspend the server and all its sessions, so that connections stay open but silent."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """Resume the server and its sessions."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        # each database session is a child process of the server in its own process session;
        # list them first, because a killed server has no children
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        if number == signal.SIGSTOP:
            os.kill(self._process.pid, number)
        for pid in (*map(int, children.read_text().split()), self._process.pid):
            os.kill(pid, number)

    def _answers(self) -> bool:
        done = subprocess.run(
            [
                str(self._binaries / "pg_isready"),
                *("-q", "-h", str(self.folder), "-d", "postgres", "-U", USER),
            ],
            check=False,
        )
        return done.returncode == 0

    def _run(self, command: Sequence[str]) -> str:
        program = str(self._binaries / command[0])
        done = subprocess.run(
            [*self._user, program, *command[1:]],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
        )
        assert done.returncode == 0, f"{command[0]}: {done.stdout}{done.stderr}"
        return done.stdout

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.resume()
        self.kill()
        self._remove()

    def _remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.with_suffix(".log").unlink(missing_ok=True)


@functools.cache
def _cluster() -> Path:
    """Return the path of an empty cluster; the first server of this process creates it."""
    folder = Path(tempfile.mkdtemp(prefix="gatepost-pg-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    if os.geteuid() == 0:
        account = _unprivileged()
        os.chown(folder, account.pw_uid, account.pw_gid)
    return folder / "data"


def _unprivileged() -> pwd.struct_passwd:
    """Return the user that runs the server if the tests run as root."""
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")
