"""The section `[milters]` of gatepost.toml."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from gatepost.config import (
    AT_START,
    DrainGrace,
    Duration,
    Hostname,
    IdleTimeout,
    MaxConnections,
    MetricsAddress,
    MoreAddresses,
    OwnNetworks,
    RunAs,
    Section,
    ServedAddresses,
    ServerSettings,
    Size,
    SocketMode,
)
from gatepost.listen import Inet
from milters.keys.settings import KeySettings
from milters.ownership import OwnershipSettings
from milters.signed_headers import header_policy
from msgauth.errors import MsgauthError

Action = Literal["accept", "tag", "quarantine", "defer", "reject"]
"""What is done with a message; from the mildest to the hardest, see `milters.policy`."""

Canonicalization = Literal["relaxed/relaxed", "relaxed/simple", "simple/relaxed", "simple/simple"]
Algorithm = Literal["rsa-sha256", "ed25519-sha256"]

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


def _check_field_name(name: str) -> str:
    # RFC 5322 section 3.6.8: printable US-ASCII without the colon
    if not name or any(not 33 <= ord(char) <= 126 or char == ":" for char in name):
        raise ValueError(f"{name!r} is not the name of a header field")
    return name


FieldName = Annotated[str, AfterValidator(_check_field_name)]


def _check_expiry(seconds: float) -> float:
    if 0 < seconds < 1:
        raise ValueError("write 0 for no end, or a second or more")
    return seconds


Expiry = Annotated[Duration, AfterValidator(_check_expiry)]


class DomainSigning(Section):
    """What is different for the mail of one domain; what is not set is as in `[milters.sign]`."""

    selectors: tuple[str, ...] = Field(
        default=(), description="Only keys with these selectors sign. Empty: every key there is."
    )
    algorithms: tuple[Algorithm, ...] = Field(
        default=(), description="Only keys of these algorithms sign. Empty: those of all domains."
    )
    canonicalization: Canonicalization | None = Field(
        default=None, description="How header and body are canonicalized (RFC 6376 section 3.4)."
    )
    expiry: Expiry | None = Field(
        default=None, description="How long a signature holds (tag x=). 0: for ever."
    )


class SignSettings(Section):
    """Whose mail is signed, and how."""

    authenticated: bool = Field(
        default=True, description="Mail of clients that have logged in (SASL)."
    )
    internal: bool = Field(default=True, description="Mail of clients in `internal_networks`.")
    daemon_names: tuple[str, ...] = Field(
        default=(),
        description="Mail through the smtpd services with these names: what "
        "`-o milter_macro_daemon_name=NAME` in master.cf says.",
    )
    algorithms: tuple[Algorithm, ...] = Field(
        default=("rsa-sha256", "ed25519-sha256"),
        min_length=1,
        description="Keys of these algorithms sign; each that the domain has makes a signature of "
        "its own (RFC 8463 section 5).",
    )
    canonicalization: Canonicalization = Field(
        default="relaxed/relaxed",
        description="How header and body are canonicalized (RFC 6376 section 3.4).",
    )
    expiry: Expiry | None = Field(
        default=None,
        description="How long a signature holds (tag x=). Not set: for ever, as with most signers.",
    )
    no_ed25519_to: tuple[Hostname, ...] = Field(
        default=(),
        description="Domains of recipients, with all below them, whose receivers stumble over "
        "Ed25519: mail to any of them gets RSA signatures only.",
    )
    also_sign: tuple[FieldName, ...] = Field(
        default=(), description="Header fields that are signed when present, besides the usual."
    )
    oversign: tuple[FieldName, ...] = Field(
        default=(),
        description="Header fields that are signed once more than they occur, besides the usual: "
        "nobody can add one later.",
    )
    unaligned_domain: Hostname | None = Field(
        default=None,
        description="Mail whose From domain has no key is signed for this domain. Such a signature "
        "is not aligned and earns no DMARC pass; by default it is not made.",
    )
    required: bool = Field(
        default=False,
        description="Defer mail that is to be signed and cannot be, as when a domain has no key. "
        "False: it leaves unsigned, which the log and the metrics show.",
    )
    domains: dict[Hostname, DomainSigning] = Field(
        default={}, description="What is different for single domains, by name."
    )

    @model_validator(mode="after")
    def _check_headers(self) -> Self:
        try:
            header_policy(self.oversign, self.also_sign)
        except MsgauthError as error:
            raise ValueError(f"oversign or also_sign: {error}") from None
        return self


class VerifySettings(Section):
    """What is checked of mail from outside. Authenticated and internal mail is not judged."""

    dkim: bool = Field(default=True, description="DKIM signatures (RFC 6376).")
    spf: bool = Field(default=True, description="SPF of HELO and MAIL FROM (RFC 7208).")
    dmarc: bool = Field(default=True, description="DMARC (RFC 9989); needs `dkim` and `spf`.")
    arc: bool = Field(default=True, description="ARC chains (RFC 8617).")
    iprev: bool = Field(
        default=True, description="The reverse name of the client's address (RFC 8601 2.7.3)."
    )
    max_signatures: int = Field(
        default=8,
        ge=1,
        le=100,
        description="DKIM signatures of one message that are verified, from the top; the others "
        "are reported as not checked.",
    )
    dns_budget: Duration = Field(
        default=20.0,
        gt=0,
        le=240,
        description="How long all DNS of one message may take together; what is then not known is "
        "`temperror`. Two fifths of it are only for the DMARC policy of the author. Below "
        "Postfix's milter_content_timeout of 300 s.",
    )
    received_spf: bool = Field(
        default=False,
        description="Also add a Received-SPF field (RFC 7208 section 9.1). Those that come in are "
        "then removed, because they bear no name.",
    )


class DmarcPolicy(Section):
    """What is done for each outcome of DMARC that is not `pass`."""

    none: Action | None = Field(default=None, description="No DMARC record applies.")
    fail_none: Action | None = Field(default=None, description="It failed; the domain says p=none.")
    fail_quarantine: Action | None = Field(
        default=None, description="It failed; the domain says p=quarantine."
    )
    fail_reject: Action | None = Field(
        default=None,
        description="It failed; the domain says p=reject. RFC 9989 section 7.4: not a reason to "
        "reject by itself, because mail of lists would be lost.",
    )
    temperror: Action | None = Field(
        default=None,
        description="DNS did not answer for the record, or for something that could have made it "
        "pass while the domain says p=none.",
    )
    temperror_quarantine: Action | None = Field(
        default=None,
        description="Nothing aligned passed, DNS did not answer for something that could have, and "
        "the domain says p=quarantine. Not set: the preset's or that of `temperror`, whichever is "
        "harder.",
    )
    temperror_reject: Action | None = Field(
        default=None, description="The same, and the domain says p=reject."
    )
    permerror: Action | None = Field(
        default=None, description="It cannot be evaluated: no From, several of them, a bad one."
    )


class SpfPolicy(Section):
    """What is done for each outcome of SPF for MAIL FROM, unless DMARC passes or still could."""

    none: Action | None = Field(default=None, description="The domain publishes no SPF record.")
    neutral: Action | None = Field(default=None, description="The domain takes no position.")
    softfail: Action | None = Field(default=None, description="Probably not authorized (~all).")
    fail: Action | None = Field(default=None, description="Not authorized (-all).")
    temperror: Action | None = Field(default=None, description="DNS did not answer.")
    permerror: Action | None = Field(default=None, description="The record is broken.")


class DkimPolicy(Section):
    """What is done for each outcome of DKIM when no signature passes."""

    none: Action | None = Field(default=None, description="There is no signature.")
    fail: Action | None = Field(
        default=None,
        description="No signature verifies. RFC 6376 section 6.1: to be treated as no signature.",
    )
    policy: Action | None = Field(
        default=None,
        description="The best one verifies and counts for nothing: l= or a key below 1024 bits.",
    )
    second_field: Action | None = Field(
        default=None,
        description="The best one verifies and counts for nothing, because a field that a message "
        "may have once, as From, Subject or Content-Type, was added to the signed one (RFC 6376 "
        "section 8.15). Not set: as `policy`.",
    )
    neutral: Action | None = Field(
        default=None, description="No signature is written as RFC 6376 wants, or was checked."
    )
    temperror: Action | None = Field(default=None, description="DNS did not answer for a key.")
    permerror: Action | None = Field(
        default=None, description="No signature can be evaluated: no such key, rsa-sha1, expired."
    )


class ArcPolicy(Section):
    """What is done for each outcome of ARC."""

    fail: Action | None = Field(default=None, description="The chain is broken.")
    temperror: Action | None = Field(default=None, description="DNS did not answer for a key.")


class IprevPolicy(Section):
    """What is done for each outcome of the reverse lookup."""

    fail: Action | None = Field(
        default=None, description="The address has names, and none leads back to it."
    )
    temperror: Action | None = Field(default=None, description="DNS did not answer.")
    permerror: Action | None = Field(default=None, description="The address has no name.")


class PolicySettings(Section):
    """What is done with mail from outside, by method and result; the hardest of them wins.

    What is not set comes from the preset. `pass` is always accepted.
    """

    preset: Literal["default", "strict", "report"] = Field(
        default="default",
        description="`default`: DMARC failures are quarantined where the domain asks for "
        "quarantine or reject (RFC 9989 section 7.4), all else is accepted. `strict`: p=reject "
        "and SPF -all are rejected, errors of DNS deferred. `report`: nothing is ever done.",
    )
    quarantine: Literal["header", "hold"] = Field(
        default="header",
        description="`header`: the message is delivered with the field `X-Gatepost-Verdict: "
        "quarantine`, for the mail store to file. `hold`: it waits in Postfix's hold queue.",
    )
    dmarc: DmarcPolicy = Field(default=DmarcPolicy(), description="By result of DMARC.")
    spf: SpfPolicy = Field(default=SpfPolicy(), description="By result of SPF.")
    dkim: DkimPolicy = Field(default=DkimPolicy(), description="By result of DKIM.")
    arc: ArcPolicy = Field(default=ArcPolicy(), description="By result of ARC.")
    iprev: IprevPolicy = Field(default=IprevPolicy(), description="By result of iprev.")
    trusted_sealers: tuple[Hostname, ...] = Field(
        default=(),
        description="Domains (d=) whose ARC seals are believed: a DMARC failure of mail that they "
        "forwarded is overlooked when they saw it pass (RFC 8617 section 7.2.1).",
    )


class SealSettings(Section):
    """ARC seals (RFC 8617) on mail from outside, for a server that forwards much of it."""

    domain: Hostname | None = Field(
        default=None,
        description="The domain that seals, with a key in `keys`. Not set: nothing is sealed.",
    )
    selector: str | None = Field(
        default=None, description="The selector of the RSA key. Not set: the first RSA key."
    )


class MiltersSettings(ServerSettings, KeySettings):
    """The milter behind `smtpd_milters`."""

    listen: ServedAddresses = Field(
        default=(Inet("127.0.0.1", 8891),),
        description="Where Postfix reaches the milter: what `smtpd_milters` names. Whoever can "
        "connect can have mail signed: over TCP that is every account of the machine, and of each "
        "machine that reaches the port. A unix socket, with `socket_group`, admits Postfix alone.",
    )
    submission_listen: MoreAddresses = Field(
        default=(),
        description="Addresses whose mail is always signed and never judged, for the "
        "`smtpd_milters` of a submission service.",
    )
    metrics_listen: MetricsAddress = Inet("127.0.0.1", 9101)
    socket_mode: SocketMode = Field(
        default=0o660, description="Mode of a unix socket: Postfix has to be able to write to it."
    )
    user: RunAs = Field(
        default=None,
        description="The user to run as when started as root. It has to be able to read the keys.",
    )
    workers: int = Field(
        json_schema_extra=AT_START,
        default=0,
        ge=0,
        le=64,
        description="Processes that take mail. 0: one a core, at most 16.",
    )
    max_connections: MaxConnections = Field(
        default=1000,
        description="Connections that each worker holds open at once; a further one waits until "
        "there is room. Postfix opens one for each session.",
    )
    idle_timeout: IdleTimeout = Field(
        default=7200.0,
        description="A connection on which nothing moves is closed after this. Postfix waits "
        "300 s for a client (smtpd_timeout), Sendmail an hour.",
    )
    drain_grace: DrainGrace = Field(
        default=30.0,
        description="How long messages under way may take to finish when the daemon is stopped.",
    )
    authserv_id: Hostname | None = Field(
        default=None,
        description="The name in Authentication-Results (RFC 8601 section 2.5). Not set: "
        "`hostname`. Fields that already carry it are removed from every message.",
    )
    strip_authserv_ids: tuple[Hostname, ...] = Field(
        default=(),
        description="Further names whose Authentication-Results are removed: those of your other "
        "servers, unless they are in front of this one.",
    )
    internal_networks: OwnNetworks = Field(
        default=LOOPBACK,
        description="Clients whose mail is yours: signed and not judged. Never list a load "
        "balancer or a relay that brings mail of others. A list with more than a sixteenth of the "
        "public addresses is refused.",
    )
    max_header: Size = Field(
        default=4 << 20,
        ge=65536,
        le=64 << 20,
        description="Octets of header that a message may have; more is refused.",
    )
    message_memory: Size = Field(
        default=192 << 20,
        ge=16 << 20,
        description="Octets of memory that all messages under way may take together, shared by the "
        "workers in equal parts. Beyond it a message is deferred (`too-much-mail`), unless it is "
        "alone in its worker. A container needs twice that.",
    )
    sign: SignSettings = Field(default=SignSettings(), description="Whose mail is signed, and how.")
    verify: VerifySettings = Field(default=VerifySettings(), description="What is checked.")
    policy: PolicySettings = Field(default=PolicySettings(), description="What is then done.")
    seal: SealSettings = Field(default=SealSettings(), description="ARC seals.")
    ownership: OwnershipSettings = Field(
        default=OwnershipSettings(), description="Who may use which From."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.verify.dmarc and not (self.verify.dkim and self.verify.spf):
            raise ValueError("verify.dmarc needs verify.dkim and verify.spf: it judges by both")
        if self.seal.domain is not None and not self.verify.arc:
            raise ValueError("seal.domain needs verify.arc: a seal says what the chain was before")
        return self
