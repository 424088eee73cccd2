"""The section `[policyd.greylist]`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from gatepost.config import Duration, SecretPath, WatchedPath
from policyd.match import AddressTable, ClientTable
from policyd.settings.base import CheckSection
from policyd.template import check_template

TEXT_FIELDS = frozenset({"seconds", "client", "sender", "recipient", "domain", "hostname"})
GreylistIdentity = Literal["host", "spf", "dnswl"]


class GreylistSettings(CheckSection):
    """Greylisting (RFC 6647): mail from an unknown sender is deferred until the client retries."""

    delay: Duration = Field(
        default=300.0,
        le=86400,
        description="How long a new triplet (client, sender, recipient) is deferred after its "
        "first attempt. 0: nothing is deferred, but triplets are still recorded.",
    )
    retry_window: Duration = Field(
        default=2 * 86400.0,
        description="How long after the first attempt a retry still counts.",
    )
    max_age: Duration = Field(
        default=35 * 86400.0,
        description="A triplet or client is forgotten when it has not been seen for this long.",
    )
    auto_allow_clients: int = Field(
        default=5,
        ge=0,
        le=1000,
        description="A client that has retried successfully this many times is no longer "
        "delayed, for any sender and recipient. At most one retry per hour counts. 0: never.",
    )
    ipv4_prefix: int = Field(
        default=24,
        ge=8,
        le=32,
        description="Prefix length: IPv4 clients in the same network count as one.",
    )
    ipv6_prefix: int = Field(
        default=64,
        ge=16,
        le=128,
        description="Prefix length: IPv6 clients in the same network count as one.",
    )
    identities: tuple[GreylistIdentity, ...] = Field(
        default=("host", "spf", "dnswl"),
        description="How a client is identified besides its network, so that a retry from "
        "another server of the same sender counts. `host`: the domain of its verified host "
        "name, unless a provider generated that name. `spf`: the domain of the sender, when "
        "SPF passes. `dnswl`: a DNS list of good senders (with a negative weight) that lists "
        "the client. The last two are looked up only before mail from a client without such "
        "a host name would be deferred.",
    )
    selective: bool = Field(
        default=False,
        description="Delay only suspicious clients: those without a verified host name, with a "
        "host name derived from the address, with a HELO name that is malformed or one of "
        "ours, on a DNS list (with a weight below the threshold), or noted by a rule of the "
        "check `client`.",
    )
    dns_budget: Duration = Field(
        default=2.0,
        gt=0,
        le=30,
        description="Time limit for the DNS queries of SPF; then mail is deferred.",
    )
    opt_in: bool = Field(
        default=False,
        description="Delay mail only for the recipients in `opt_in_recipients`.",
    )
    opt_in_recipients: tuple[str, ...] = Field(
        default=(),
        description="Recipients that want greylisting, when `opt_in` is on: `user@example.org`, "
        "`user@`, `example.org` or `/regex/`.",
    )
    opt_in_files: tuple[WatchedPath, ...] = Field(
        default=(), description="Files with more recipients, one per line."
    )
    allow_clients: tuple[str, ...] = Field(
        default=(),
        description="Clients that are never delayed: `example.org` (host names there and below), "
        "`192.0.2.0/24`, `2001:db8::/32` or `/regex/` (Perl's syntax).",
    )
    allow_clients_files: tuple[WatchedPath, ...] = Field(
        default=(),
        description="Files with more clients, in the format of postgrey's `whitelist_clients`. A "
        "file named `*.local` may be missing.",
    )
    allow_recipients: tuple[str, ...] = Field(
        default=(),
        description="Recipients whose mail is never delayed.",
    )
    allow_recipients_files: tuple[WatchedPath, ...] = Field(
        default=(),
        description="Files with more recipients, in the format of postgrey's "
        "`whitelist_recipients`.",
    )
    action: Literal["defer_if_permit", "defer"] = Field(
        default="defer_if_permit",
        description="`defer_if_permit`: 450, unless a later Postfix restriction rejects the "
        "mail. `defer`: 450 at once.",
    )
    text: str = Field(
        default="Greylisted, please try again in {seconds} seconds",
        description="Text after `450 4.2.0`; may use {seconds}, {client}, {sender}, {recipient}, "
        "{domain} (of the recipient) and {hostname} (ours).",
    )
    header: bool = Field(
        default=True,
        description="Add `X-Greylist: delayed 302 seconds …` to mail that was delayed.",
    )
    privacy_key_file: SecretPath | None = Field(
        default=None,
        description="A file with a secret. With it, clients, senders and recipients are stored "
        "as keyed hashes. Records made without the secret, or with another one, no longer "
        "match: greylisting starts over.",
    )

    @field_validator("text")
    @classmethod
    def _check_text(cls, text: str) -> str:
        return check_template(text, TEXT_FIELDS)

    @field_validator("allow_clients")
    @classmethod
    def _check_clients(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        ClientTable(entries)
        return entries

    @field_validator("allow_recipients", "opt_in_recipients")
    @classmethod
    def _check_recipients(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        AddressTable(entries)
        return entries

    @model_validator(mode="after")
    def _check_times(self) -> GreylistSettings:
        if self.retry_window <= self.delay:
            raise ValueError("retry_window must be longer than delay, or mail never passes")
        return self
