"""The settings of a Postfix as its programs see them: main.cf, and what master.cf overrides."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_LOOPBACK = re.compile(r"(localhost|127(\.\d+){3}|\[::1\]|::1):")
_TIME = re.compile(r"(\d+)\s*([smhdw]?)\Z")
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}

MAIN = "main.cf"


@dataclass(frozen=True, slots=True)
class Service:
    """One line of master.cf: `command` is the program, `values` what the program sees.

    `values` are all parameters that were asked for, with every ``$name`` expanded; one that this
    Postfix does not know is missing.
    """

    name: str
    type: str
    command: str
    is_chrooted: bool
    values: Mapping[str, str]

    @property
    def label(self) -> str:
        """How a finding names it."""
        return f"master.cf {self.name}/{self.type}"

    @property
    def is_internal(self) -> bool:
        """Return whether no other machine reaches it, as where a content filter hands mail back."""
        return self.type == "unix" or bool(_LOOPBACK.match(self.name))


@dataclass(frozen=True, slots=True)
class Installation:
    """A Postfix: `main` has the values of main.cf and the defaults, as `Service.values` does."""

    main: Mapping[str, str]
    services: tuple[Service, ...] = ()
    queue_directory: str = field(default="/var/spool/postfix")

    def running(self, command: str) -> Iterator[Service]:
        """Yield the services that run this program."""
        return (service for service in self.services if service.command == command)

    def where(self, service: Service, *parameters: str) -> str:
        """Name the place of these values: main.cf, or the service in master.cf."""
        same = all(service.values.get(name) == self.main.get(name) for name in parameters)
        return MAIN if same else service.label


def seconds(value: str) -> float | None:
    """Read a time of Postfix (``30s``, ``5m``, a bare number of seconds); None for what is none."""
    match = _TIME.match(value.strip())
    return None if match is None else float(int(match[1]) * _UNITS[match[2]])
