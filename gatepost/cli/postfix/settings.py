"""The effective settings of a Postfix: main.cf, and the overrides in master.cf."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_LOOPBACK = re.compile(r"(localhost|127(\.\d+){3}|\[::1\]|::1):")
_TIME = re.compile(r"(\d+)\s*([smhdw]?)\Z")
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}

MAIN = "main.cf"


@dataclass(frozen=True, slots=True)
class MasterService:
    """One line of master.cf: `command` is the program, `values` its effective parameters.

    `values` has all requested parameters, with every ``$name`` expanded; one unknown to this
    Postfix is missing.
    """

    name: str
    type: str
    command: str
    is_chrooted: bool
    values: Mapping[str, str]

    @property
    def label(self) -> str:
        """Return its name in a finding."""
        return f"master.cf {self.name}/{self.type}"

    @property
    def is_internal(self) -> bool:
        """Return whether no other machine can reach it, like a service for a content filter."""
        return self.type == "unix" or bool(_LOOPBACK.match(self.name))


@dataclass(frozen=True, slots=True)
class Installation:
    """A Postfix: `main` has the values of main.cf and the defaults, like `MasterService.values`."""

    main: Mapping[str, str]
    services: tuple[MasterService, ...] = ()
    queue_directory: str = field(default="/var/spool/postfix")

    def running(self, command: str) -> Iterator[MasterService]:
        """Yield the services that run this program."""
        return (service for service in self.services if service.command == command)

    def where(self, service: MasterService, *parameters: str) -> str:
        """Return the place of these values: main.cf, or the service in master.cf."""
        same = all(service.values.get(name) == self.main.get(name) for name in parameters)
        return MAIN if same else service.label


def seconds(value: str) -> float | None:
    """Parse a time of Postfix (``30s``, ``5m``, a bare number of seconds); None if it is
    invalid."""
    match = _TIME.match(value.strip())
    return None if match is None else float(int(match[1]) * _UNITS[match[2]])
