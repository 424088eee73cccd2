"""The section `[accounts.attempts]` of gatepost.toml."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from gatepost.config import Duration, OwnNetworks, Section

MAX_HOLD: Final = 15.0
"""Seconds that an attempt is held at most; mail programs give up after 30 s or more."""


class AttemptSettings(Section):
    """How wrong passwords slow down further attempts. No account is ever locked."""

    free_account: int = Field(
        default=5,
        ge=1,
        le=100,
        description="Wrong passwords for one account before further attempts have to wait. The "
        "same wrong password counts once: mail programs send it again and again.",
    )
    free_network: int = Field(
        default=20,
        ge=1,
        le=10_000,
        description="Wrong passwords from one network, for all accounts together, before further "
        "attempts have to wait.",
    )
    first_delay: Duration = Field(
        default=1.0, gt=0, le=60, description="The first wait; each further one is twice as long."
    )
    account_delay: Duration = Field(
        default=300.0, gt=0, le=3600, description="The longest wait for one account."
    )
    network_delay: Duration = Field(
        default=900.0, gt=0, le=86400, description="The longest wait for one network."
    )
    hold: Duration = Field(
        default=5.0,
        le=MAX_HOLD,
        description="An attempt that has to wait no longer than this is held and then checked. A "
        "longer wait is a temporary error.",
    )
    forget: Duration = Field(
        default=3600.0,
        ge=60,
        description="After this time without a wrong password, all is as it was before the first.",
    )
    repeat: Duration = Field(
        default=10.0,
        le=60,
        description="A wrong password that comes again within this time is wrong without being "
        "checked again.",
    )
    ipv4_network: int = Field(
        default=24, ge=8, le=32, description="Bits of an IPv4 address that make a network."
    )
    ipv6_network: int = Field(
        default=64, ge=16, le=128, description="Bits of an IPv6 address that make a network."
    )
    known: Duration = Field(
        default=90 * 86400.0,
        description="A network from which an account was logged in to within this time is known. "
        "Wrong passwords from elsewhere never make it wait.",
    )
    unlimited: OwnNetworks = Field(
        default=(),
        description="Addresses of your own from which many people log in, such as a webmail server "
        "that does not tell the address of its users. Only the limit of the account counts for "
        "them.",
    )
    entries: int = Field(
        default=20_000,
        ge=100,
        le=1_000_000,
        description="Accounts, networks and known networks that are remembered, of each so many, "
        "with about 500 bytes for one.",
    )
