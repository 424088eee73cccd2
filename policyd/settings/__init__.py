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
from policyd.settings.accounts import AccountsForPolicyd, CompromisedSettings, OwnershipSettings
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
        description="The address or socket on which the policy server listens; name it in "
        "`check_policy_service`.",
    )
    socket_mode: SocketMode = Field(
        default=0o666,
        description="File mode of a unix socket. A client that can connect can send requests, "
        "nothing else.",
    )
    user: RunAs = Field(
        default=None,
        description="The user to run as when started as root. It needs write access to the "
        "folder of the store.",
    )
    metrics_listen: MetricsAddress = Inet("127.0.0.1", 9102)
    order: tuple[CheckName, ...] = Field(
        default=DEFAULT_ORDER,
        description="The checks in the order in which they run. The first one that refuses, "
        "defers or allows the mail ends the sequence. A check that is not named here does "
        "not run.",
    )
    budget: Duration = Field(
        default=8.0,
        gt=0,
        le=90,
        description="Time limit for one request. When it expires, the strictest failure mode of "
        "the checks decides. Keep it below Postfix's smtpd_policy_service_timeout (100 s).",
    )
    max_connections: MaxConnections = Field(
        default=10_000,
        description="Connections open at once. A connection beyond this takes the place of one "
        "that has been silent for longest, or that sent an incomplete request more than a "
        "second ago; Postfix reconnects when it needs to. If there is none of these, the new "
        "connection is closed. Postfix opens one connection per smtpd process.",
    )
    request_memory: Size = Field(
        default=96 << 20,
        ge=1 << 20,
        description="Memory in bytes that the requests of all connections may use together, "
        "while they arrive and while they are answered. Beyond it, a request is deferred "
        "(`too-many-requests`), and a connection with an incomplete request is closed.",
    )
    idle_timeout: IdleTimeout = Field(
        default=1200.0,
        description="A connection is closed after this time without a request. Postfix itself "
        "closes an idle connection after 300 s (smtpd_policy_service_max_idle) and any "
        "connection after 1000 s (smtpd_policy_service_max_ttl).",
    )
    request_timeout: Duration = Field(
        default=10.0,
        gt=0,
        description="How long one request may take to arrive completely; then the connection is "
        "closed.",
    )
    drain_grace: DrainGrace = Field(
        default=20.0,
        description="How long requests in progress may take to finish when the server is stopped.",
    )
    store: StoreSettings = Field(
        default_factory=StoreSettings, description="Where the checks keep their data."
    )
    accounts: AccountsForPolicyd = Field(
        default_factory=AccountsForPolicyd, description="Data from `gatepost accounts`."
    )
    ownership: OwnershipSettings = Field(
        default_factory=OwnershipSettings, description="Which login may use which sender address."
    )
    compromised: CompromisedSettings = Field(
        default_factory=CompromisedSettings, description="Signs of stolen passwords."
    )
    limits: LimitsSettings = Field(
        default_factory=LimitsSettings, description="Limits on the volume of mail."
    )
    tables: TablesSettings = Field(
        default_factory=TablesSettings, description="Mail that is always allowed or always refused."
    )
    client: ClientSettings = Field(
        default_factory=ClientSettings, description="Host name, HELO, sender domain, SPF."
    )
    dnslists: DnsListsSettings = Field(
        default_factory=DnsListsSettings, description="DNS lists of bad and good clients."
    )
    greylist: GreylistSettings = Field(
        default_factory=GreylistSettings, description="Delays mail from unknown senders."
    )

    @field_validator("order")
    @classmethod
    def _check_order(cls, order: tuple[CheckName, ...]) -> tuple[CheckName, ...]:
        if len(set(order)) != len(order):
            raise ValueError("a check is listed twice")
        return order
