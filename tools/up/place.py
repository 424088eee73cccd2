"""The place of a system on this machine: its names, its folder, its address and its ports.

Those of `make up` are constant, so that everybody's demonstration is the same, until the owner
writes `SETTINGS` into the folder.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
HOSTNAME = "mail.example.org"
"""The name of the demonstration, as k8s/mailboxes.yaml has it."""
DOMAIN = "example.org"
HOST = "127.0.0.1"
"""Where this machine reaches the ports."""
PORTS: Mapping[str, int] = {
    "smtp": 2525,
    "submission": 2587,
    "submissions": 2465,
    "imap": 2143,
    "imaps": 2993,
    "pop3s": 2995,
    "sieve": 2419,
    "webmail": 2080,
    "api": 2081,
}
"""By service: the port of this machine."""
LOCAL = ("webmail", "api")
"""Services without TLS, which are open on `HOST` alone."""
SETTINGS = "settings.toml"
"""The file in the folder that makes the demonstration somebody's own system."""


class PlaceError(Exception):
    """The system cannot be there; the message says why and how to proceed."""


@dataclass(frozen=True)
class Place:
    """Where a system is on this machine; the default is the one of `make up`."""

    name: str = "gatepost-up"
    """The pod, and the beginning of the names of its volumes."""
    state: Path = ROOT / ".up"
    """The folder of its secrets and its certificate."""
    ports: Mapping[str, int] = field(default_factory=lambda: PORTS)
    """As `PORTS`."""
    network: str = ""
    """The network of podman; empty: its default."""
    nameserver: str = ""
    """The resolver of the pod; empty: that of this machine."""
    hostname: str = HOSTNAME
    domain: str = DOMAIN
    """The domain whose DKIM key seals forwarded mail (ARC)."""
    address: str = HOST
    """The address of this machine at which the ports are open."""
    backup: Path = ROOT / ".up-backup"
    """The folder of its backups, which `make down` never removes."""

    @property
    def is_own(self) -> bool:
        """Return whether it is no demonstration any more, so that its data are never removed."""
        return (self.state / SETTINGS).is_file()

    def how_to_remove(self, data: str) -> str:
        """Return how to remove what `data` names: `make down` keeps the data of an owner."""
        if not self.is_own:
            return f"`make down` removes {data}"
        settings = self.state / SETTINGS
        return f"to remove {data}, move {settings} away, run `make down`, and put the file back"

    def with_settings(self) -> Self:
        """Return the place that `SETTINGS` in its folder describes, or itself if there is none.
        Raises `PlaceError`."""
        path = self.state / SETTINGS
        if not path.is_file():
            return self
        try:
            found = tomllib.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise PlaceError(f"{path}: {error}") from error
        ports = found.pop("ports", {})
        if not isinstance(ports, dict):
            raise PlaceError(f"{path}: ports is a table")
        known = {
            "hostname": self.hostname,
            "domain": self.domain,
            "address": self.address,
            "backup": str(self.backup),
        }
        _check(path, known, found)
        _check(path, self.ports, ports)
        backup = self.state.parent / found.pop("backup", self.backup)
        return replace(self, ports={**self.ports, **ports}, backup=backup, **found)

    def opened_at(self, service: str) -> str:
        """Return the address at which a service is open."""
        return HOST if service in LOCAL else self.address


def _check(path: Path, known: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    for key, value in found.items():
        if key not in known:
            raise PlaceError(f"{path}: there is no {key}; there are {', '.join(known)}")
        if type(value) is not type(known[key]):
            raise PlaceError(f"{path}: {key} is like {known[key]!r}")
