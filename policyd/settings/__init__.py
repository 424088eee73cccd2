"""The section `[policyd]` of gatepost.toml."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from gatepost.config import (
    DrainGrace,
    Duration,
    IdleTimeout,
    MaxConnections,
    MetricsAddress,
    RunAs,
    ServedAddresses,
    ServerSettings,
    Size,
    SocketMode,
)
from gatepost.listen import Inet
from policyd.settings.accounts import CompromisedSettings, OwnershipSettings
from policyd.settings.client import ClientSettings
from policyd.settings.dnslists import DnsListSettings, DnsListsSettings
from policyd.settings.greylist import GreylistSettings
from policyd.settings.limits import LimitSettings, LimitsSettings
from policyd.settings.store import StoreSettings
from policyd.settings.tables import TablesSettings

__all__ = [
    "CheckName",
    "ClientSettings",
    "CompromisedSettings",
    "DnsListSettings",
    "DnsListsSettings",
    "GreylistSettings",
    "LimitSettings",
    "LimitsSettings",
    "OwnershipSettings",
    "PolicydSettings",
    "StoreSettings",
    "TablesSettings",
]

CheckName = Literal[
    "ownership", "compromised", "limits", "tables", "client", "dnslists", "greylist"
]
DEFAULT_ORDER: tuple[CheckName, ...] = (
    "ownership",
    "compromised",
    "limits",
    "tables",
    "client",
    "dnslists",
    "greylist",
)


class PolicydSettings(ServerSettings):
    """The policy server behind `check_policy_service`."""

    listen: ServedAddresses = Field(
        default=(Inet("127.0.0.1", 10023),),
        description="Where Postfix reaches the policy server: what `check_policy_service` names.",
    )
    socket_mode: SocketMode = Field(
        default=0o666,
        description="Mode of a unix socket. Who may connect may ask, no more.",
    )
    user: RunAs = Field(
        default=None,
        description="The user to run as when started as root. The store is in a folder of its.",
    )
    metrics_listen: MetricsAddress = Inet("127.0.0.1", 9102)
    order: tuple[CheckName, ...] = Field(
        default=DEFAULT_ORDER,
        description="The checks in the order in which they are asked. One that refuses, defers or "
        "allows ends the row. A check that is not named is not asked.",
    )
    budget: Duration = Field(
        default=8.0,
        gt=0,
        le=90,
        description="How long one request may take in all; then the strictest failure mode of "
        "the checks decides. Keep it below Postfix's smtpd_policy_service_timeout (100 s).",
    )
    max_connections: MaxConnections = Field(
        default=10_000,
        description="Connections held open at once. For a further one those make room that have "
        "been silent for longest, or have sent half a request for a second, and Postfix connects "
        "again when it needs them; where there is none it is closed. Postfix opens one for each "
        "smtpd process.",
    )
    request_memory: Size = Field(
        default=96 << 20,
        ge=1 << 20,
        description="Bytes of memory that the requests of all connections may take together, while "
        "they come in and while they are answered. Beyond it a request is deferred "
        "(`too-many-requests`), and a connection with half a request is closed.",
    )
    idle_timeout: IdleTimeout = Field(
        default=1200.0,
        description="A connection without a request is closed after this. Postfix itself closes "
        "after 300 s (smtpd_policy_service_max_idle), or 1000 s.",
    )
    request_timeout: Duration = Field(
        default=10.0,
        gt=0,
        description="How long the bytes of one request may take to arrive; then the connection "
        "is closed.",
    )
    drain_grace: DrainGrace = Field(
        default=20.0,
        description="How long requests under way may take when the server is stopped.",
    )
    store: StoreSettings = Field(
        default_factory=StoreSettings, description="Where the checks keep what they know."
    )
    ownership: OwnershipSettings = Field(
        default_factory=OwnershipSettings, description="Who may send as whom."
    )
    compromised: CompromisedSettings = Field(
        default_factory=CompromisedSettings, description="Signs of stolen passwords."
    )
    limits: LimitsSettings = Field(
        default_factory=LimitsSettings, description="How much may be sent."
    )
    tables: TablesSettings = Field(
        default_factory=TablesSettings, description="What is always let through, and what never."
    )
    client: ClientSettings = Field(
        default_factory=ClientSettings, description="Host name, HELO, sender domain, SPF."
    )
    dnslists: DnsListsSettings = Field(
        default_factory=DnsListsSettings, description="DNS lists of bad and good clients."
    )
    greylist: GreylistSettings = Field(
        default_factory=GreylistSettings, description="Delay of senders that are not known yet."
    )

    @field_validator("order")
    @classmethod
    def _check_order(cls, order: tuple[CheckName, ...]) -> tuple[CheckName, ...]:
        if len(set(order)) != len(order):
            raise ValueError("a check stands in it twice")
        return order
