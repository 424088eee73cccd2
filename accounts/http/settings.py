"""The bounds of the API, section `[accounts.http]` of gatepost.toml."""

from __future__ import annotations

from pydantic import Field

from gatepost.config import Duration, OwnNetworks, Section


class HttpSettings(Section):
    """How much of the API anybody may use at a time."""

    max_body: int = Field(
        default=1 << 20,
        ge=1024,
        le=1 << 24,
        description="Octets that the body of a request may have.",
    )
    principal_rate: float = Field(
        default=20.0,
        gt=0,
        le=100_000,
        description="Requests a second that one login or token may make for a long time.",
    )
    principal_burst: int = Field(
        default=200,
        ge=1,
        le=1_000_000,
        description="Requests that one login or token may make at once.",
    )
    network_rate: float = Field(
        default=100.0,
        gt=0,
        le=100_000,
        description="Requests a second that one network may make for a long time.",
    )
    network_burst: int = Field(
        default=1000,
        ge=1,
        le=1_000_000,
        description="Requests that one network may make at once.",
    )
    failure_rate: float = Field(
        default=0.2,
        gt=0,
        le=1000,
        description="Tokens that are not valid and one network may show a second, for a long time. "
        "Wrong passwords have limits of their own, in `[accounts.attempts]`.",
    )
    failure_burst: int = Field(
        default=20,
        ge=1,
        le=10_000,
        description="Tokens that are not valid and one network may show at once.",
    )
    request_timeout: Duration = Field(
        default=30.0,
        gt=0,
        le=300,
        description="How long a request may take from its head to its answer.",
    )
    proxies: OwnNetworks = Field(
        default=(),
        description="Proxies whose X-Forwarded-For is believed. Behind any other, all clients have "
        "the address of the proxy.",
    )
