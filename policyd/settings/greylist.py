"""The section `[policyd.greylist]`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from gatepost.config import Duration, LocalPath, SecretPath
from policyd.match import AddressTable, ClientTable
from policyd.settings.base import CheckSection
from policyd.template import check_template

TEXT_FIELDS = frozenset({"seconds", "client", "sender", "recipient", "domain", "hostname"})
Identity = Literal["host", "spf", "dnswl"]


class GreylistSettings(CheckSection):
    """Greylisting (RFC 6647): a sender that is not known yet is asked to come again."""

    delay: Duration = Field(
        default=300.0,
        le=86400,
        description="How long the first attempt of a triplet (client, sender, recipient) is "
        "deferred. 0 defers nothing, and still learns.",
    )
    retry_window: Duration = Field(
        default=2 * 86400.0,
        description="How long after its first attempt a triplet may come back.",
    )
    max_age: Duration = Field(
        default=35 * 86400.0,
        description="A triplet or client that was not seen for so long is forgotten.",
    )
    auto_allow_clients: int = Field(
        default=5,
        ge=0,
        le=1000,
        description="A client that came back so many times is not delayed any more, whomever it "
        "writes to. At most one return an hour counts. 0: never.",
    )
    ipv4_prefix: int = Field(
        default=24, ge=8, le=32, description="IPv4 clients in one network of this size are one."
    )
    ipv6_prefix: int = Field(
        default=64, ge=16, le=128, description="IPv6 clients in one network of this size are one."
    )
    identities: tuple[Identity, ...] = Field(
        default=("host", "spf", "dnswl"),
        description="By what a client is known besides its network, so that a retry from another "
        "server of the same sender counts. `host`: the domain of its verified host name. `spf`: "
        "the domain of the sender, when SPF passes. `dnswl`: a DNS list of good senders has it (a "
        "list with a negative weight). The last two are looked at before mail of a client without "
        "such a host name would be deferred.",
    )
    selective: bool = Field(
        default=False,
        description="Delay only clients that look odd: no verified host name, a name made from the "
        "address, a HELO name that is malformed or ours, listed on a DNS list (with a weight below "
        "the threshold), or noted by a rule of the check `client`.",
    )
    dns_budget: Duration = Field(
        default=2.0, gt=0, le=30, description="How long SPF may ask DNS before mail is deferred."
    )
    opt_in: bool = Field(
        default=False,
        description="Delay mail only for recipients that are in `opt_in_recipients`.",
    )
    opt_in_recipients: tuple[str, ...] = Field(
        default=(),
        description="Recipients that want greylisting, when `opt_in` is on: `user@example.org`, "
        "`user@`, `example.org` or `/regex/`.",
    )
    opt_in_files: tuple[LocalPath, ...] = Field(
        default=(), description="Files with more of them, one a line."
    )
    allow_clients: tuple[str, ...] = Field(
        default=(),
        description="Clients that are never delayed: `example.org` (host names there and below), "
        "`192.0.2.0/24`, `2001:db8::/32` or `/regex/`.",
    )
    allow_clients_files: tuple[LocalPath, ...] = Field(
        default=(),
        description="Files with more of them, in the format of postgrey's `whitelist_clients`; a "
        "file named `*.local` may be missing.",
    )
    allow_recipients: tuple[str, ...] = Field(
        default=(),
        description="Recipients that opted out: their mail is never delayed.",
    )
    allow_recipients_files: tuple[LocalPath, ...] = Field(
        default=(),
        description="Files with more of them, in the format of postgrey's `whitelist_recipients`.",
    )
    action: Literal["defer_if_permit", "defer"] = Field(
        default="defer_if_permit",
        description="`defer_if_permit`: 450, unless a later restriction of Postfix refuses for "
        "good. `defer`: 450 at once.",
    )
    text: str = Field(
        default="Greylisted, please try again in {seconds} seconds",
        description="What the client reads behind `450 4.2.0`; may use {seconds}, {client}, "
        "{sender}, {recipient}, {domain} (of the recipient) and {hostname} (ours).",
    )
    header: bool = Field(
        default=True,
        description="Put `X-Greylist: delayed 302 seconds …` on mail that was delayed.",
    )
    privacy_key_file: SecretPath | None = Field(
        default=None,
        description="A file with a secret: clients, senders and recipients are then kept as hashes "
        "made with it. A store that was begun without one (or with another) is learned anew.",
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
            raise ValueError("retry_window has to be longer than delay, or no mail ever passes")
        return self
