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
    """Checks of the client's host name, its HELO name and the sender's domain.

    Each rule is `off`, `note` (the client is logged, and selective greylisting treats it as
    suspicious), `defer` (450) or `reject` (550). Clients that have logged in are not checked.
    """

    no_name: Treatment = Field(
        default="off",
        description="The client's address has no host name that resolves back to it (FCrDNS).",
    )
    generic_name: Treatment = Field(
        default="off",
        description="The host name is derived from the address, or looks like that of a consumer "
        "line.",
    )
    helo_forged: Treatment = Field(
        default="off", description="The HELO name is one of our own names or addresses."
    )
    helo_malformed: Treatment = Field(
        default="off",
        description="The HELO name is not a domain name, is an address without brackets, or is "
        "the address of another client.",
    )
    helo_unqualified: Treatment = Field(
        default="off", description="The HELO name has no dot, such as `localhost`."
    )
    sender_unknown: Treatment = Field(
        default="off",
        description="The sender's domain has neither an MX record nor an address, or declares "
        "that it accepts no mail (RFC 7505). Queries DNS.",
    )
    spf_fail: Treatment = Field(
        default="off",
        description="SPF does not authorize the client to send for the domain (fail). Forwarded "
        "mail fails as well, even if its DKIM signature is valid: rejecting by SPF alone "
        "loses such mail, the milter's DMARC check does not. Queries DNS.",
    )
    spf_softfail: Treatment = Field(
        default="off",
        description="SPF says that the client is probably not authorized (softfail). Queries DNS.",
    )
    own_names: tuple[Hostname, ...] = Field(
        default=(),
        description="Names besides `hostname` that only your own servers may use in HELO.",
    )
    own_addresses: tuple[str, ...] = Field(
        default=(),
        description="Addresses that only your own servers may use in HELO, besides the one on "
        "which Postfix accepted the connection.",
    )
    exempt_networks: OwnNetworks = Field(
        default=(), description="Clients in these networks are not checked."
    )
    dns_budget: Duration = Field(
        default=3.0, gt=0, le=30, description="Time limit for the DNS queries of one request."
    )
    text: str = Field(
        default="{problem}",
        description="Text after the code; may use {problem} (a sentence that states the "
        "problem), {client}, {name}, {helo}, {sender}, {recipient} and {hostname}.",
    )

    @property
    def treatments(self) -> tuple[Treatment, ...]:
        """The treatment of each rule."""
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
                raise ValueError(f"{address!r} is not an IP address")
        return tuple(str(parse_address(address)) for address in addresses)
