"""The keys that the section of every daemon has: sockets, user, connections, drain.

A daemon's section inherits from `ServerSettings` and overrides defaults and descriptions alone:
bounds, and what is read at the start, belong to the kinds of this module.
"""

from __future__ import annotations

from typing import Annotated, Self, get_args

from pydantic import Field, model_validator

from gatepost.config.changes import AT_START
from gatepost.config.section import Section
from gatepost.config.types import Duration, FileMode, ListenAddress, ListenAddresses
from gatepost.listen import Address, Unix

ServedAddresses = Annotated[ListenAddresses, Field(json_schema_extra=AT_START, min_length=1)]
MoreAddresses = Annotated[ListenAddresses, Field(json_schema_extra=AT_START)]
"""As `ServedAddresses`; an empty list serves nothing more."""
MetricsAddress = Annotated[
    ListenAddress | None,
    Field(
        json_schema_extra=AT_START,
        description="Where `/metrics`, `/healthz` and `/readyz` are served.",
    ),
]
SocketMode = Annotated[
    FileMode, Field(json_schema_extra=AT_START, description="Mode of a unix socket.")
]
SocketGroup = Annotated[
    str | None,
    Field(json_schema_extra=AT_START, description="Group of a unix socket, as `postfix`."),
]
RunAs = Annotated[
    str | None,
    Field(json_schema_extra=AT_START, description="The user to run as when started as root."),
]
MaxConnections = Annotated[int, Field(ge=1, description="Connections held open at once.")]
IdleTimeout = Annotated[
    Duration, Field(gt=0, description="A connection on which nothing moves is closed after this.")
]
DrainGrace = Annotated[
    Duration,
    Field(le=3600, description="How long work under way may take when the daemon is stopped."),
]

_SEVERAL = get_args(ListenAddresses)[0]


class ServerSettings(Section):
    """The keys that the section of every daemon has."""

    listen: ServedAddresses = Field(description="Where the daemon is reached.")
    socket_mode: SocketMode = 0o660
    socket_group: SocketGroup = None
    user: RunAs = None
    metrics_listen: MetricsAddress = None
    max_connections: MaxConnections = 1000
    idle_timeout: IdleTimeout = 600.0
    drain_grace: DrainGrace = 30.0

    @property
    def served(self) -> dict[str, tuple[Address, ...]]:
        """The addresses of each key that has several, as `listen`; the metrics are not there."""
        return {
            name: getattr(self, name)
            for name, info in type(self).model_fields.items()
            if info.annotation == _SEVERAL
        }

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
            raise ValueError(f"{twice[0]} stands twice in {keys} and metrics_listen")
        return self
