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
from milters.accounts import AccountsForMilters
from milters.keys.settings import KeySettings
from milters.ownership import FromOwnershipSettings
from milters.policy_settings import PolicySettings
from milters.signed_headers import header_policy
from milters.virus_settings import VirusScanSettings
from msgauth.errors import MsgauthError
from msgauth.keys import Algorithm

CanonicalizationName = Literal[
    "relaxed/relaxed", "relaxed/simple", "simple/relaxed", "simple/simple"
]
"""A value of the tag c= (RFC 6376 section 3.5), header first; see `msgauth.Canonicalization`."""

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


def _check_field_name(name: str) -> str:
    # RFC 5322 section 3.6.8: printable US-ASCII without the colon
    if not name or any(not 33 <= ord(char) <= 126 or char == ":" for char in name):
        raise ValueError(f"{name!r} is not a header field name")
    return name


FieldName = Annotated[str, AfterValidator(_check_field_name)]


def _check_expiry(seconds: float) -> float:
    if 0 < seconds < 1:
        raise ValueError("write 0 for no expiry, or at least one second")
    return seconds


Expiry = Annotated[Duration, AfterValidator(_check_expiry)]


class DomainSigning(Section):
    """Exceptions for the mail of one domain; keys that are not set are as in `[milters.sign]`."""

    selectors: tuple[str, ...] = Field(
        default=(),
        description="Only keys with these selectors sign. Empty: all keys of the domain.",
    )
    algorithms: tuple[Algorithm, ...] = Field(
        default=(), description="Only keys of these algorithms sign. Empty: those of all domains."
    )
    canonicalization: CanonicalizationName | None = Field(
        default=None, description="How header and body are canonicalized (RFC 6376 section 3.4)."
    )
    expiry: Expiry | None = Field(
        default=None, description="How long a signature is valid (tag x=). 0: without limit."
    )


class SignSettings(Section):
    """Which mail is signed, and how."""

    authenticated: bool = Field(
        default=True, description="Sign mail from clients that have logged in (SASL)."
    )
    internal: bool = Field(
        default=True, description="Sign mail from clients in `internal_networks`."
    )
    daemon_names: tuple[str, ...] = Field(
        default=(),
        description="Sign mail through the smtpd services with these names, set by `-o "
        "milter_macro_daemon_name=NAME` in master.cf.",
    )
    algorithms: tuple[Algorithm, ...] = Field(
        default=("rsa-sha256", "ed25519-sha256"),
        min_length=1,
        description="Keys of these algorithms sign. If the domain has keys of several, each adds "
        "its own signature (RFC 8463 section 5).",
    )
    canonicalization: CanonicalizationName = Field(
        default="relaxed/relaxed",
        description="How header and body are canonicalized (RFC 6376 section 3.4).",
    )
    expiry: Expiry | None = Field(
        default=None,
        description="How long a signature is valid (tag x=). Not set: without limit, as with "
        "most signers.",
    )
    no_ed25519_to: tuple[Hostname, ...] = Field(
        default=(),
        description="Recipient domains, including their subdomains, whose receivers cannot "
        "handle Ed25519: mail to any of them only gets RSA signatures.",
    )
    also_sign: tuple[FieldName, ...] = Field(
        default=(), description="Header fields to sign when present, in addition to the usual ones."
    )
    oversign: tuple[FieldName, ...] = Field(
        default=(),
        description="Header fields to sign once more than they occur, in addition to the usual "
        "ones, so that nobody can add another later.",
    )
    unaligned_domain: Hostname | None = Field(
        default=None,
        description="Mail whose From domain has no key is signed for this domain. Such a "
        "signature is not aligned and does not make DMARC pass. Not set: such mail is not "
        "signed.",
    )
    required: bool = Field(
        default=False,
        description="Defer mail that should be signed but cannot be, for example because its "
        "domain has no key. False: it is sent unsigned, which the log and the metrics show.",
    )
    domains: dict[Hostname, DomainSigning] = Field(
        default={}, description="Exceptions for single domains, by name."
    )

    @model_validator(mode="after")
    def _check_headers(self) -> Self:
        try:
            header_policy(self.oversign, self.also_sign)
        except MsgauthError as error:
            raise ValueError(f"oversign or also_sign: {error}") from None
        return self


class VerifySettings(Section):
    """Checks of mail from outside. Authenticated and internal mail is not checked."""

    dkim: bool = Field(default=True, description="DKIM signatures (RFC 6376).")
    spf: bool = Field(default=True, description="SPF of HELO and MAIL FROM (RFC 7208).")
    dmarc: bool = Field(default=True, description="DMARC (RFC 9989); needs `dkim` and `spf`.")
    arc: bool = Field(default=True, description="ARC chains (RFC 8617).")
    iprev: bool = Field(
        default=True,
        description="The reverse name of the client's address (RFC 8601 section 2.7.3).",
    )
    max_signatures: int = Field(
        default=8,
        ge=1,
        le=100,
        description="Maximum DKIM signatures verified per message, from the top; the others are "
        "reported as not checked.",
    )
    dns_budget: Duration = Field(
        default=20.0,
        gt=0,
        le=240,
        description="Time limit for all DNS queries of one message; results that are still "
        "unknown then are `temperror`. Two fifths of it are reserved for the DMARC policy of "
        "the author. Keep it below Postfix's milter_content_timeout (300 s).",
    )
    received_spf: bool = Field(
        default=False,
        description="Also add a Received-SPF field (RFC 7208 section 9.1). Received-SPF fields "
        "in incoming mail are then removed, because nothing in them shows who added them.",
    )


class SealSettings(Section):
    """ARC seals (RFC 8617) on mail from outside, for a server that forwards mail."""

    domain: Hostname | None = Field(
        default=None,
        description="The sealing domain, with a key in `keys`. Not set: no mail is sealed.",
    )
    selector: str | None = Field(
        default=None, description="The selector of the RSA key. Not set: the first RSA key."
    )


class MiltersSettings(ServerSettings, KeySettings):
    """The milter behind `smtpd_milters`."""

    listen: ServedAddresses = Field(
        default=(Inet("127.0.0.1", 8891),),
        description="The addresses or sockets on which the milter listens; name them in "
        "`smtpd_milters`. Every client that can connect can have mail signed: over TCP this "
        "includes every account on this machine, and every machine that can reach the port. "
        "A unix socket with `socket_group` only admits Postfix.",
    )
    submission_listen: MoreAddresses = Field(
        default=(),
        description="Addresses on which all mail is signed and never checked, for the "
        "`smtpd_milters` of a submission service.",
    )
    metrics_listen: MetricsAddress = Inet("127.0.0.1", 9101)
    socket_mode: SocketMode = Field(
        default=0o660, description="File mode of a unix socket. Postfix needs write access."
    )
    user: RunAs = Field(
        default=None,
        description="The user to run as when started as root. It needs read access to the keys.",
    )
    workers: int = Field(
        json_schema_extra=AT_START,
        default=0,
        ge=0,
        le=64,
        description="Number of worker processes. 0: one per core, at most 16.",
    )
    max_connections: MaxConnections = Field(
        default=1000,
        description="Connections that each worker keeps open at once; a new one waits until "
        "there is room. Postfix opens one connection per session.",
    )
    idle_timeout: IdleTimeout = Field(
        default=7200.0,
        description="An idle connection is closed after this time. Postfix waits 300 s for its "
        "client (smtpd_timeout), Sendmail an hour.",
    )
    drain_grace: DrainGrace = Field(
        default=30.0,
        description="How long messages in progress may take to finish when the daemon is stopped.",
    )
    authserv_id: Hostname | None = Field(
        default=None,
        description="The name in Authentication-Results (RFC 8601 section 2.5). Not set: "
        "`hostname`. Existing fields with this name are removed from every message.",
    )
    strip_authserv_ids: tuple[Hostname, ...] = Field(
        default=(),
        description="More names whose Authentication-Results are removed: those of your other "
        "servers, except those that pass mail to this one.",
    )
    internal_networks: OwnNetworks = Field(
        default=LOOPBACK,
        description="Networks of your own clients, whose mail is signed and not checked. Never "
        "list a load balancer or a relay that delivers mail from outside. A list that covers "
        "more than a sixteenth of the public addresses is refused.",
    )
    max_header: Size = Field(
        default=4 << 20,
        ge=65536,
        le=64 << 20,
        description="Maximum octets of a message's header; a larger header is refused.",
    )
    message_memory: Size = Field(
        default=192 << 20,
        ge=16 << 20,
        description="Octets of memory for all messages in progress, divided equally among the "
        "workers. Beyond it, a message is deferred (`too-much-mail`), unless it is the only "
        "one in its worker. A container needs twice as much memory.",
    )
    sign: SignSettings = Field(default=SignSettings(), description="Which mail is signed, and how.")
    verify: VerifySettings = Field(
        default=VerifySettings(), description="Checks of mail from outside."
    )
    policy: PolicySettings = Field(
        default=PolicySettings(), description="The action for each result of the checks."
    )
    seal: SealSettings = Field(default=SealSettings(), description="ARC seals.")
    virus: VirusScanSettings = Field(
        default=VirusScanSettings(), description="The scan for viruses."
    )
    accounts: AccountsForMilters = Field(
        default=AccountsForMilters(), description="Data from `gatepost accounts`."
    )
    ownership: FromOwnershipSettings = Field(
        default=FromOwnershipSettings(), description="Which login may use which From."
    )

    @property
    def all_connections(self) -> int:
        """Return the connections of all messages, with the files and scans of their content."""
        if self.virus.address is None:
            return self.max_connections
        return 2 * self.max_connections + self.virus.max_scans

    @property
    def budget(self) -> float:
        """Return the seconds that a message may wait for others at its end."""
        scan = self.virus.timeout if self.virus.address is not None else 0.0
        return self.verify.dns_budget + scan

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.verify.dmarc and not (self.verify.dkim and self.verify.spf):
            raise ValueError("verify.dmarc needs verify.dkim and verify.spf: it uses both")
        if self.seal.domain is not None and not self.verify.arc:
            raise ValueError(
                "seal.domain needs verify.arc: a seal states whether the chain was valid"
            )
        return self
