"""Settings of the section `[accounts.http]`: limits of the API."""

from __future__ import annotations

from pydantic import Field

from gatepost.config import Duration, OwnNetworks, Section


class HttpSettings(Section):
    """Limits on requests to the API."""

    max_body: int = Field(
        default=1 << 20,
        ge=1024,
        le=1 << 24,
        description="Maximum size of the body of a request in octets.",
    )
    principal_rate: float = Field(
        default=20.0,
        gt=0,
        le=100_000,
        description="Sustained requests per second of one login or token.",
    )
    principal_burst: int = Field(
        default=200,
        ge=1,
        le=1_000_000,
        description="Burst of requests of one login or token.",
    )
    network_rate: float = Field(
        default=100.0,
        gt=0,
        le=100_000,
        description="Sustained requests per second of one network.",
    )
    network_burst: int = Field(
        default=1000,
        ge=1,
        le=1_000_000,
        description="Burst of requests of one network.",
    )
    failure_rate: float = Field(
        default=0.2,
        gt=0,
        le=1000,
        description="Sustained invalid tokens per second from one network. Wrong passwords have "
        "their own limits in `[accounts.attempts]`.",
    )
    failure_burst: int = Field(
        default=20,
        ge=1,
        le=10_000,
        description="Burst of invalid tokens from one network.",
    )
    request_timeout: Duration = Field(
        default=30.0,
        gt=0,
        le=300,
        description="Time limit for a request, from its head to its answer.",
    )
    proxies: OwnNetworks = Field(
        default=(),
        description="Proxies whose X-Forwarded-For is trusted. Behind any other, all clients "
        "have the address of the proxy.",
    )
