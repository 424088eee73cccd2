"""The keys that the section of every daemon has: sockets, user, connections, drain.

A daemon's section inherits from `ServerSettings` and only overrides defaults and descriptions: the
types of this module define the bounds and which keys are read at the start.
"""

from __future__ import annotations

from typing import Annotated, Self, get_args

from pydantic import Field, model_validator

from gatepost.config.changes import AT_START
from gatepost.config.section import Section
from gatepost.config.types import Duration, FileMode, ListenAddress, ListenAddresses
from gatepost.listen import SocketAddress, Unix

ServedAddresses = Annotated[ListenAddresses, Field(json_schema_extra=AT_START, min_length=1)]
MoreAddresses = Annotated[ListenAddresses, Field(json_schema_extra=AT_START)]
"""As `ServedAddresses`; an empty list serves nothing more."""
MetricsAddress = Annotated[
    ListenAddress | None,
    Field(
        json_schema_extra=AT_START,
        description="The address that serves `/metrics`, `/healthz` and `/readyz`.",
    ),
]
SocketMode = Annotated[
    FileMode, Field(json_schema_extra=AT_START, description="File mode of a unix socket.")
]
SocketGroup = Annotated[
    str | None,
    Field(json_schema_extra=AT_START, description="Group of a unix socket, such as `postfix`."),
]
RunAs = Annotated[
    str | None,
    Field(json_schema_extra=AT_START, description="The user to run as when started as root."),
]
MaxConnections = Annotated[int, Field(ge=1, description="Maximum open connections.")]
IdleTimeout = Annotated[
    Duration, Field(gt=0, description="An idle connection is closed after this time.")
]
DrainGrace = Annotated[
    Duration,
    Field(
        le=3600,
        description="How long work in progress may take to finish when the daemon is stopped.",
    ),
]

_SEVERAL = get_args(ListenAddresses)[0]


class ServerSettings(Section):
    """The keys that the section of every daemon has."""

    listen: ServedAddresses = Field(description="The address of the daemon.")
    socket_mode: SocketMode = 0o660
    socket_group: SocketGroup = None
    user: RunAs = None
    metrics_listen: MetricsAddress = None
    max_connections: MaxConnections = 1000
    idle_timeout: IdleTimeout = 600.0
    drain_grace: DrainGrace = 30.0

    @property
    def served(self) -> dict[str, tuple[SocketAddress, ...]]:
        """Return the addresses of each key that may have several, such as `listen`, without the
        metrics."""
        return {
            name: getattr(self, name)
            for name, info in type(self).model_fields.items()
            if info.annotation == _SEVERAL
        }

    @property
    def postfix_keys(self) -> frozenset[str]:
        """Return the keys of `served` at which Postfix asks: all, unless a daemon has others."""
        return frozenset(self.served)

    @property
    def all_connections(self) -> int:
        """Return the connections of all addresses together."""
        return self.max_connections

    @model_validator(mode="after")
    def _check_addresses(self) -> Self:
        if isinstance(self.metrics_listen, Unix):
            raise ValueError(  # noqa: TRY004  # a value, as the loader reports it
                "metrics_listen is served over TCP: write inet:PORT@HOST"
            )
        keys = ", ".join(self.served)
        everything = [address for several in self.served.values() for address in several]
        everything += [self.metrics_listen] if self.metrics_listen is not None else []
        if twice := [str(one) for one in everything if everything.count(one) > 1]:
            raise ValueError(f"{twice[0]} is used twice in {keys} and metrics_listen")
        return self
