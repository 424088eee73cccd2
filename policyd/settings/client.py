"""The section `[policyd.client]`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from gatepost.config import Duration, Hostname, OwnNetworks
from policyd.match import parse_address
from policyd.settings.base import CheckSection
from policyd.template import check_template

Treatment = Literal["off", "note", "defer", "reject"]
TEXT_FIELDS = frozenset({"problem", "client", "name", "helo", "sender", "recipient", "hostname"})


class ClientSettings(CheckSection):
    """What a client looks like: its host name, its HELO, and the domain it sends for.

    Each rule is `off`, `note` (the log tells of it and selective greylisting takes the client for
    odd), `defer` (450) or `reject` (550). Clients that have logged in are not judged.
    """

    no_name: Treatment = Field(
        default="off",
        description="The address has no host name that leads back to it (FCrDNS).",
    )
    generic_name: Treatment = Field(
        default="off",
        description="The host name is made from the address, or says that it is a customer's line.",
    )
    helo_forged: Treatment = Field(
        default="off", description="The HELO name is one of our own names or addresses."
    )
    helo_malformed: Treatment = Field(
        default="off",
        description="The HELO name is no domain name, an address without brackets, or the address "
        "of another client.",
    )
    helo_unqualified: Treatment = Field(
        default="off", description="The HELO name has no dot, as `localhost`."
    )
    sender_unknown: Treatment = Field(
        default="off",
        description="The domain of the sender has neither MX nor address, or says that it takes "
        "no mail (RFC 7505). Asks DNS.",
    )
    spf_fail: Treatment = Field(
        default="off",
        description="SPF says that the client may not send for the domain. A mail that was "
        "forwarded fails as well, though its DKIM signature may be good: to reject by SPF alone "
        "loses such mail; the milter's DMARC check does not. Asks DNS.",
    )
    spf_softfail: Treatment = Field(
        default="off",
        description="SPF says that the client should probably not send for it. Asks DNS.",
    )
    own_names: tuple[Hostname, ...] = Field(
        default=(),
        description="Names that only we may use in HELO, besides `hostname`.",
    )
    own_addresses: tuple[str, ...] = Field(
        default=(),
        description="Addresses that only we may use in HELO, besides the one that Postfix was "
        "reached at.",
    )
    exempt_networks: OwnNetworks = Field(
        default=(), description="Clients in these networks are not judged."
    )
    dns_budget: Duration = Field(
        default=3.0, gt=0, le=30, description="How long the DNS questions of one request may take."
    )
    text: str = Field(
        default="{problem}",
        description="What the client reads behind the code; may use {problem} (what is wrong, in a "
        "sentence), {client}, {name}, {helo}, {sender}, {recipient} and {hostname}.",
    )

    @property
    def treatments(self) -> tuple[Treatment, ...]:
        """How the rules are treated."""
        return (
            self.no_name,
            self.generic_name,
            self.helo_forged,
            self.helo_malformed,
            self.helo_unqualified,
            self.sender_unknown,
            self.spf_fail,
            self.spf_softfail,
        )

    @field_validator("text")
    @classmethod
    def _check_text(cls, text: str) -> str:
        return check_template(text, TEXT_FIELDS)

    @field_validator("own_addresses")
    @classmethod
    def _check_addresses(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        for address in addresses:
            if parse_address(address) is None:
                raise ValueError(f"{address!r} is no IP address")
        return tuple(str(parse_address(address)) for address in addresses)
