"""The sections of gatepost.toml that every daemon shares."""

from __future__ import annotations

import ipaddress
import socket
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from gatepost.config.changes import AT_START
from gatepost.config.section import Section
from gatepost.config.types import Duration, Hostname, OwnNetworks


def parse_nameserver(text: str) -> tuple[str, int]:
    """Address and port of ``192.0.2.1``, ``192.0.2.1:5353``, ``2001:db8::1`` or ``[::1]:5353``."""
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
    """How the daemons ask DNS. One cache serves every check of a process."""

    nameservers: tuple[Annotated[str, AfterValidator(_check_nameserver)], ...] = Field(
        default=(),
        description="Addresses of recursive resolvers, with a port when it is not 53. "
        "Empty: those of /etc/resolv.conf. A resolver of your own on this machine or network is "
        "best: public resolvers are refused by DNS lists.",
    )
    timeout: Duration = Field(
        default=5.0,
        gt=0,
        le=60,
        description="How long one question may take, with its retries.",
    )
    cache_size: int = Field(
        default=20_000,
        ge=0,
        le=5_000_000,
        description="Answers kept in memory, about 0.5 KB each; together they take at most 1 KB "
        "for each. 0 keeps none.",
    )
    maximum_ttl: Duration = Field(
        default=86_400.0, description="No answer is kept longer than this, whatever its TTL."
    )
    failure_ttl: Duration = Field(
        default=2.0,
        le=300,
        description="How long a failure to get an answer is remembered, so that a dead server is "
        "not asked again for every message (RFC 2308 section 7 allows five minutes).",
    )


class LogSettings(Section):
    """What is logged, and how. Lines go to standard error."""

    format: Literal["auto", "console", "json"] = Field(
        json_schema_extra=AT_START,
        default="auto",
        description="`console` for people, `json` for machines, one object a line. "
        "`auto`: console on a terminal, json elsewhere.",
    )
    level: Literal["debug", "info", "warning", "error"] = Field(
        json_schema_extra=AT_START,
        default="info",
        description="The lowest level that is logged. A decision about mail is `info`.",
    )


def _own_hostname() -> str:
    return socket.gethostname()


def _refuse(point: str) -> str:
    # a newline would make two problems of one
    raise ValueError(f"{' '.join(point.split())} -- decide this, then take the line out")


class GroundSettings(Section):
    """What every daemon needs to know; gatepost.toml is this and a section a daemon."""

    hostname: Hostname = Field(
        default_factory=_own_hostname,
        description="The name of this mail system, as `myhostname` in main.cf: it stands in "
        "Authentication-Results and in replies. Empty: the name of this machine.",
    )
    proxy_networks: OwnNetworks = Field(
        default=(),
        description="Addresses of your load balancers and cluster nodes. A client with such an "
        "address means that Postfix did not see who the client is: PROXY protocol is missing in "
        "front of it. Then nothing is derived from the address: no SPF, iprev, DNS list or "
        "greylisting, and it is not internal. Log and metrics tell of it.",
    )
    undecided: tuple[Annotated[str, AfterValidator(_refuse)], ...] = Field(
        default=(),
        description="Points that an import could not decide, one line each. While there is one, "
        "the configuration is refused, by `gatepost config check` and by the daemons: decide, "
        "then take the line out.",
    )
    dns: DnsSettings = Field(default_factory=DnsSettings, description="How DNS is asked.")
    log: LogSettings = Field(default_factory=LogSettings, description="What is logged, and how.")
