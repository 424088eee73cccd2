"""Private Postfix on high ports, independent of any other Postfix on the machine.

Configuration, queue, data and log are below one directory. In /etc/postfix, only the list of
Postfix's own files is read, and nothing is written. Accepted messages go by SMTP to one place, a
`tests.testbed.sink.Sink`. There are no DNS queries: client names are not looked up, and the next
hop is an address.

With XCLIENT (`tests.testbed.swaks`), a test simulates a client with any address, HELO name and SASL
login; policy requests and milter macros then show that client.

Postfix's master process starts only as root.
"""

from __future__ import annotations

import dataclasses
import functools
import grp
import json
import os
import pwd
import re
import shutil
import stat
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from tests.testbed.logins import LoginServer
from tests.testbed.ports import free_ports, listens
from tests.testbed.postfix_files import (
    HOSTNAME,
    INTERNAL_NETWORKS,
    LOG_NAME,
    LOGINS,
    RELAY_DOMAINS,
    Service,
    as_main_cf,
    as_master_cf,
    default_services,
    main_cf,
)
from tests.testbed.process import Process, tail
from tests.testbed.smtp import RawClient
from tests.testbed.waiting import wait_until

__all__ = [
    "HOSTNAME",
    "INTERNAL_NETWORKS",
    "LOGINS",
    "RELAY_DOMAINS",
    "PostfixError",
    "PrivatePostfix",
    "Service",
    "default_services",
    "missing",
]

_GREETING_TIMEOUT = 5.0
"""Seconds for one check whether a service sends its greeting; the check is repeated."""

_QUEUE_DIRECTORIES = (
    "active",
    "bounce",
    "corrupt",
    "defer",
    "deferred",
    "flush",
    "hold",
    "incoming",
    "private",
    "saved",
    "trace",
)

_ERROR_LINE = re.compile(r"(?:fatal|panic|error): .*")


class PostfixError(Exception):
    """Postfix is missing, does not start or ignores a command; the message gives the reason."""


def missing() -> str:
    """Return why a private Postfix cannot run here; empty if it can."""
    if shutil.which("postconf", path=_PATH) is None:
        return "Postfix is not installed (package postfix)"
    if os.geteuid() != 0:
        return "Postfix's master process starts only as root"
    return ""


_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


class PrivatePostfix:
    """A Postfix instance below `directory`, from `start()` to `stop()`.

    `next_hop` is the destination of all accepted mail (``smtp:[127.0.0.1]:PORT``). `settings` are
    lines of main.cf that override `main_cf()`; `services` are the smtpd services.
    """

    def __init__(
        self,
        directory: Path,
        next_hop: str,
        *,
        services: Sequence[Service] = (),
        settings: Mapping[str, str] | None = None,
        relay_domains: Sequence[str] = RELAY_DOMAINS,
    ) -> None:
        if reason := missing():
            raise PostfixError(reason)
        self.directory = directory
        self.configuration = directory / "etc"
        self.queue = directory / "queue"
        self.data = directory / "data"
        self.log = directory / LOG_NAME
        self.next_hop = next_hop
        self.relay_domains = tuple(relay_domains)
        self.settings = dict(settings or {})
        chosen = tuple(services) or default_services()
        ports = free_ports(len(chosen))
        self._services = {
            one.name: dataclasses.replace(one, port=one.port or port)
            for one, port in zip(chosen, ports, strict=True)
        }
        self._master: Process | None = None
        self.logins: LoginServer | None = None

    @property
    def pid(self) -> int:
        """Return the process id of master, which is the session of all processes; 0 if stopped."""
        return self._master.pid if self._master is not None else 0

    def port(self, service: str = "mx") -> int:
        """Return the port of a service."""
        return self._services[service].port

    def address(self, service: str = "mx") -> str:
        """Return host and port of a service in the form for swaks."""
        return f"{self._services[service].host}:{self.port(service)}"

    def start(self) -> None:
        """Start Postfix and wait for the greeting of every service; raises `PostfixError`."""
        _check_reachable(self.directory.absolute())
        for service in self._services.values():
            _check_free(service)
        self._make_directories()
        self.logins = LoginServer(LOGINS)
        self.write_configuration()
        self.log.touch()
        daemons = Path(self._run("postconf", "-h", "daemon_directory").strip())
        self._master = Process(
            # -s: remain our child process, as in "postfix start-fg"
            [daemons / "master", "-c", self.configuration, "-s"],
            self.directory / "master.out",
            env=self._environment(),
        )
        try:
            for service in self._services.values():
                self._master.wait_until(
                    functools.partial(_greets, service), f"the service {service.name!r}"
                )
        except Exception as error:
            self.stop()
            raise PostfixError(f"Postfix did not start: {error}\n{self.problems()}") from error

    def stop(self) -> None:
        """Stop Postfix; its queue stays."""
        if self._master is not None:
            self._master.stop()
            self._master = None
        if self.logins is not None:
            self.logins.close()
            self.logins = None

    def restart(self) -> None:
        """Stop and start Postfix, so that no process keeps an earlier configuration."""
        self.stop()
        self.start()

    def reload(self) -> None:
        """Write the configuration and reload Postfix, as an administrator would.

        Existing sessions, and one that arrives at the same moment, keep the old configuration.
        """
        self.write_configuration()
        reloads = self.log_text().count(" reload -- ")
        self._run("postfix", "reload")
        wait_until(
            lambda: self.log_text().count(" reload -- ") > reloads, "Postfix to read its files"
        )

    def configure(self, service: str, **settings: str) -> None:
        """Change parameters of a service (an empty value unsets one) and restart."""
        old = self._services[service]
        merged = {**old.settings, **settings}
        self._services[service] = dataclasses.replace(
            old, settings={key: value for key, value in merged.items() if value}
        )
        self.restart()

    def flush(self) -> None:
        """Try to deliver everything in the queue now."""
        self._run("postqueue", "-f")

    def queue_ids(self) -> list[str]:
        """Return the queue ids of the messages in the queue."""
        return [entry["queue_id"] for entry in self.queue_entries()]

    def queue_entries(self) -> list[dict[str, Any]]:
        """Return the output of postqueue(1) -j: queue_name, queue_id, sender, recipients, …"""
        return [json.loads(line) for line in self._run("postqueue", "-j").splitlines()]

    def postmap(self, key: str, table: str) -> str:
        """Return what Postfix finds for the key in a map such as ``socketmap:inet:HOST:PORT:NAME``.

        Raises `PostfixError` if there is nothing.
        """
        return self._run("postmap", "-q", key, table).removesuffix("\n")

    def wait_for_empty_queue(self) -> None:
        """Wait until nothing is left to deliver."""
        wait_until(lambda: not self.queue_ids(), "the queue to be empty")

    def log_text(self) -> str:
        """Return the mail log."""
        return self.log.read_text(errors="replace")

    def wait_for_log(self, pattern: str) -> re.Match[str]:
        """Wait until the mail log has a match of the regular expression."""
        return wait_until(lambda: re.search(pattern, self.log_text()), f"{pattern!r} in {self.log}")

    def problems(self) -> str:
        """Return the errors in the mail log, or its end if there are none."""
        found = [f"    {line}" for line in self.log_text().splitlines() if _ERROR_LINE.search(line)]
        return "\n".join(found) or tail(self.log)

    def write_configuration(self) -> None:
        """Write main.cf and master.cf."""
        settings = main_cf(
            self.directory,
            self.next_hop,
            self.relay_domains,
            self.logins.postfix if self.logins else "",
        )
        services = list(self._services.values())
        for name, text in (
            ("main.cf", as_main_cf({**settings, **self.settings})),
            ("master.cf", as_master_cf(services)),
        ):
            path = self.configuration / name
            path.write_text(text)
            # Postfix's programs wait until such a file is at least two seconds old
            os.utime(path, times=(0, 0))

    def _make_directories(self) -> None:
        settings = self._run("postconf", "-d", "-h", "mail_owner", "setgid_group").split()
        owner, group = pwd.getpwnam(settings[0]).pw_uid, grp.getgrnam(settings[1]).gr_gid
        for name in (self.configuration, self.queue, self.queue / "pid"):
            name.mkdir(parents=True, exist_ok=True)
            name.chmod(0o755)
        for name in (self.data, *(self.queue / part for part in _QUEUE_DIRECTORIES)):
            name.mkdir(exist_ok=True)
            name.chmod(0o700)
            os.chown(name, owner, -1)
        for part, mode in (("maildrop", 0o730), ("public", 0o710)):
            (self.queue / part).mkdir(exist_ok=True)
            os.chown(self.queue / part, owner, group)
            (self.queue / part).chmod(mode)

    def _environment(self) -> dict[str, str]:
        return {"PATH": _PATH, "MAIL_CONFIG": str(self.configuration)}

    def _run(self, command: str, *arguments: str) -> str:
        configured = (self.configuration / "main.cf").exists()
        done = subprocess.run(
            [command, *(["-c", str(self.configuration)] if configured else []), *arguments],
            env={**os.environ, "PATH": _PATH},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise PostfixError(f"{command} {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


# Until its log file is open, master reports errors only to syslog, so the likely ones are checked
# here.


def _check_free(service: Service) -> None:
    if listens(service.port, service.host):
        raise PostfixError(f"the port {service.port} of the service {service.name!r} is in use")


def _check_reachable(directory: Path) -> None:
    # master opens files below it as the user postfix
    for parent in (directory, *directory.parents):
        if parent.exists() and not parent.stat().st_mode & stat.S_IXOTH:
            raise PostfixError(f"{parent} is closed to the user postfix (mode x for others)")


def _greets(service: Service) -> bool:
    try:
        with RawClient(service.port, host=service.host, timeout=_GREETING_TIMEOUT) as client:
            return client.greeting.code == 220 and client.command("QUIT").code == 221
    except OSError:
        return False
