"""A policy server process and a client that speaks as Postfix does, for tests."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from tests.testbed.daemon import Daemon
from tests.testbed.dns import DnsServer
from tests.testbed.ports import LOOPBACK, free_port
from tests.testbed.toml import value_text
from tests.testbed.waiting import DEADLINE
from tests.unit.policyd.requests import wire

END = b"\n\n"


class PolicyClient:
    """One connection to the policy server."""

    def __init__(self, address: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        try:
            self.sock.connect(address)
        except OSError:
            self.sock.close()
            raise
        self.sock.settimeout(DEADLINE)
        self._received = b""

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def answer(self) -> str:
        """The next answer without ``action=``; empty when the server has closed."""
        while END not in self._received:
            try:
                data = self.sock.recv(65536)
            except ConnectionResetError:
                return ""
            if not data:
                return ""
            self._received += data
        answer, _, self._received = self._received.partition(END)
        assert answer.startswith(b"action=")
        return answer.decode("ascii").removeprefix("action=")

    def ask(self, **attributes: str) -> str:
        self.send(wire(**attributes))
        return self.answer()

    def closed(self) -> bool:
        """Whether the server closes, without another answer."""
        return self.answer() == ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()


class PolicyDaemon:
    """``gatepost policyd`` below a directory, on a unix socket, with settings of its own.

    `settings` are those of `[policyd]` as nested dictionaries; `dns` is the address of a
    server; without one nothing exists. `within` as `Daemon` has it.
    """

    def __init__(
        self,
        directory: Path,
        settings: Mapping[str, Any] | None = None,
        dns: str = "",
        within: Sequence[str | Path] = (),
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.socket = directory / "policy.sock"
        self.config = directory / "gatepost.toml"
        self._own_dns = None if dns else DnsServer()
        self._dns = dns or (self._own_dns.address if self._own_dns else "")
        self._metrics = f"inet:{free_port()}@{LOOPBACK}"
        self._clients: list[PolicyClient] = []
        self.write(settings or {})
        self.daemon = Daemon("policyd", self.config, directory, env={}, within=within)

    def write(self, settings: Mapping[str, Any], dns: str = "") -> None:
        """Write the configuration; a running daemon sees it by itself, or at `daemon.reload()`."""
        section = {
            "listen": f"unix:{self.socket}",
            "metrics_listen": self._metrics,
            "store": {"path": str(self.directory / "store.sqlite")},
            **settings,
        }
        text = [
            'hostname = "mx.example.org"',
            f"dns = {value_text({'nameservers': [dns or self._dns], 'maximum_ttl': '1s'})}",
        ]
        text += ["[policyd]"]
        text += [f"{key} = {value_text(value)}" for key, value in section.items()]
        self.config.write_text("\n".join(text) + "\n")

    def connect(self) -> PolicyClient:
        """Open a connection; the end of the daemon closes it, also after a failure."""
        client = PolicyClient(str(self.socket))
        self._clients.append(client)
        return client

    def ask(self, **attributes: str) -> str:
        with self.connect() as client:
            return client.ask(**attributes)

    def __enter__(self) -> Self:
        self.daemon.start()
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients:
            client.sock.close()
        self.daemon.stop()
        if self._own_dns is not None:
            self._own_dns.close()
