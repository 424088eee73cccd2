"""Settings of the section `[accounts.attempts]`."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from gatepost.config import Duration, OwnNetworks, Section

MAX_HOLD: Final = 15.0
"""Longest time in seconds that an attempt is held; mail programs give up after 30 s or more."""


class AttemptSettings(Section):
    """Delays after wrong passwords. No account is ever locked."""

    free_account: int = Field(
        default=5,
        ge=1,
        le=100,
        description="Wrong passwords for one account before further attempts are delayed. The "
        "same wrong password counts once, because mail programs send it again and "
        "again.",
    )
    free_network: int = Field(
        default=20,
        ge=1,
        le=10_000,
        description="Wrong passwords from one network, for all accounts together, before further "
        "attempts are delayed.",
    )
    first_delay: Duration = Field(
        default=1.0, gt=0, le=60, description="The first delay; each further one is twice as long."
    )
    account_delay: Duration = Field(
        default=300.0, gt=0, le=3600, description="The longest delay for one account."
    )
    network_delay: Duration = Field(
        default=900.0, gt=0, le=86400, description="The longest delay for one network."
    )
    hold: Duration = Field(
        default=5.0,
        le=MAX_HOLD,
        description="An attempt whose delay is no longer than this is held and then checked. A "
        "longer delay is answered with a temporary error.",
    )
    forget: Duration = Field(
        default=3600.0,
        ge=60,
        description="After this time without a wrong password, the earlier ones are forgotten.",
    )
    repeat: Duration = Field(
        default=10.0,
        le=60,
        description="A wrong password that is repeated within this time is refused without "
        "another check.",
    )
    ipv4_network: int = Field(
        default=24,
        ge=8,
        le=32,
        description="Prefix length of the networks that are counted for IPv4.",
    )
    ipv6_network: int = Field(
        default=64,
        ge=16,
        le=128,
        description="Prefix length of the networks that are counted for IPv6.",
    )
    known: Duration = Field(
        default=90 * 86400.0,
        description="A network is known for an account if somebody logged in to the account from "
        "there within this time. Wrong passwords from elsewhere never delay it.",
    )
    unlimited: OwnNetworks = Field(
        default=(),
        description="Addresses of your own from which many people log in, such as a webmail "
        "server that does not pass on the addresses of its users. Only the limit per "
        "account applies to them.",
    )
    entries: int = Field(
        default=20_000,
        ge=100,
        le=1_000_000,
        description="Maximum number of accounts, of networks and of known networks that are "
        "remembered. Each takes about 500 bytes.",
    )
