"""The sections of gatepost.toml that every daemon shares."""

from __future__ import annotations

import ipaddress
import socket
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from gatepost.config.backup import BackupSettings
from gatepost.config.changes import AT_START
from gatepost.config.section import Section
from gatepost.config.types import Duration, Hostname, OwnNetworks


def parse_nameserver(text: str) -> tuple[str, int]:
    """Parse ``192.0.2.1``, ``192.0.2.1:5353``, ``2001:db8::1`` or ``[::1]:5353`` into address and
    port."""
    host, port = text, "53"
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":") or "53"
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    try:
        address = str(ipaddress.ip_address(host))
    except ValueError:
        address = ""
    if not address or not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise ValueError(f'{text!r} is not a name server: write "192.0.2.1" or "127.0.0.1:5353"')
    return address, int(port)


def _check_nameserver(text: Any) -> Any:
    parse_nameserver(text)
    return text


class DnsSettings(Section):
    """DNS queries of the daemons. All checks of a process share one cache."""

    nameservers: tuple[Annotated[str, AfterValidator(_check_nameserver)], ...] = Field(
        default=(),
        description="Addresses of recursive resolvers, with a port if it is not 53. Empty: those "
        "of /etc/resolv.conf. Use your own resolver on this machine or network: DNS lists "
        "refuse public resolvers.",
    )
    timeout: Duration = Field(
        default=5.0,
        gt=0,
        le=60,
        description="Time limit for one query, including retries.",
    )
    cache_size: int = Field(
        default=20_000,
        ge=0,
        le=5_000_000,
        description="Number of answers cached in memory: about 0.5 KB each, and at most 1 KB "
        "each on average. 0: no cache.",
    )
    maximum_ttl: Duration = Field(
        default=86_400.0, description="Maximum time an answer is cached, whatever its TTL."
    )
    failure_ttl: Duration = Field(
        default=2.0,
        le=300,
        description="How long a failed query is cached, so that a dead server is not queried "
        "again for every message (RFC 2308 section 7 allows five minutes).",
    )


class LogSettings(Section):
    """Format and level of the log, which goes to standard error."""

    format: Literal["auto", "console", "json"] = Field(
        json_schema_extra=AT_START,
        default="auto",
        description="`console` for people, `json` for machines, one object per line. `auto`: "
        "console on a terminal, otherwise json.",
    )
    level: Literal["debug", "info", "warning", "error"] = Field(
        json_schema_extra=AT_START,
        default="info",
        description="The lowest level that is logged. Decisions about mail have the level `info`.",
    )


def _own_hostname() -> str:
    return socket.gethostname()


def _refuse(point: str) -> str:
    # a newline would split the problem in two
    raise ValueError(f"{' '.join(point.split())} -- decide this, then remove the line")


class GroundSettings(Section):
    """The settings common to all daemons; gatepost.toml has these and a section for each daemon."""

    hostname: Hostname = Field(
        default_factory=_own_hostname,
        description="The name of this mail system, like `myhostname` in main.cf, for "
        "Authentication-Results and replies. Empty: the name of this machine.",
    )
    proxy_networks: OwnNetworks = Field(
        default=(),
        description="Addresses of your load balancers and cluster nodes. If a client has such an "
        "address, Postfix does not know the real client because it does not get the PROXY "
        "protocol. The address is then not used for SPF, iprev, DNS lists or greylisting, "
        "and does not count as internal. Log and metrics report it.",
    )
    undecided: tuple[Annotated[str, AfterValidator(_refuse)], ...] = Field(
        default=(),
        description="Points that an import could not decide, one line each. While there are any, "
        "`gatepost config check` and the daemons refuse the configuration: decide each "
        "point, then remove its line.",
    )
    dns: DnsSettings = Field(default_factory=DnsSettings, description="Settings for DNS queries.")
    log: LogSettings = Field(
        default_factory=LogSettings, description="Format and level of the log."
    )
    backup: BackupSettings = Field(
        default_factory=BackupSettings, description="What `gatepost backup` takes besides."
    )
