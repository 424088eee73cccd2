"""Expectations for a domain: the records that its DNS should have."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from accounts.address import parse_domain
from msgauth.address import IpAddress
from msgauth.domain import DomainError, to_alabels

ServiceName: TypeAlias = Literal[
    "submissions", "submission", "imaps", "imap", "pop3s", "pop3", "sieve", "autodiscover"
]
"""Services that mail programs look for (RFC 6186, RFC 8314 section 5.1, RFC 5804 section 1.8);
autodiscover is Microsoft's."""

_URI = re.compile(r"(?:mailto:[!-+\--:<-~]+@[!-+\--:<-~]+|https://[!-+\--:<-~]+)\Z")


def _selector(text: str) -> str:
    try:
        return to_alabels(text)
    except DomainError as error:
        raise ValueError(str(error)) from None


def _printable_ascii(text: str) -> str:
    if not re.fullmatch(r"[ -~]*", text):
        raise ValueError("a record is printable ASCII on one line")
    return text


def _report_uri(text: str) -> str:
    # RFC 8460 section 3 and RFC 9989 section 4.8: "," and ";" would have to be encoded
    if not _URI.match(text) or "!" in text:
        raise ValueError("write mailto:USER@DOMAIN or https://..., without ',', ';' and '!'")
    return text


HostName: TypeAlias = Annotated[str, AfterValidator(parse_domain)]
SelectorName: TypeAlias = Annotated[str, Field(max_length=200), AfterValidator(_selector)]
RecordText: TypeAlias = Annotated[str, Field(max_length=4000), AfterValidator(_printable_ascii)]
# RFC 6698 section 2.2
TlsaText: TypeAlias = Annotated[
    str, Field(pattern=r"\A[0-3] [01] [0-2] (?:[0-9a-fA-F]{2}){1,2000}\z")
]
ReportUri: TypeAlias = Annotated[str, Field(max_length=300), AfterValidator(_report_uri)]
Ip: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MailHost(_Model):
    """A host that receives the domain's mail, with its public addresses.

    Without `addresses` those in DNS are taken for right.
    """

    name: HostName
    addresses: Annotated[tuple[Ip, ...], Field(max_length=16)] = ()


class Service(_Model):
    """The host and port of a service."""

    host: HostName
    port: Annotated[int, Field(ge=1, le=65535)]


class Expectations(_Model):
    """Expected DNS of a domain. Raises `pydantic.ValidationError` for a bad wish."""

    hosts: Annotated[tuple[MailHost, ...], Field(min_length=1, max_length=16)]
    """The hosts of its MX records, the preferred one first."""
    senders: Annotated[tuple[Ip, ...], Field(max_length=32)] = ()
    """Addresses that send the domain's mail, besides those of `hosts`."""
    spf: RecordText = ""
    """The SPF record; empty: one that lets `hosts` and `senders` pass and ends in `spf_end`."""
    spf_end: Literal["-all", "~all"] = "-all"
    dkim: Annotated[dict[SelectorName, RecordText], Field(max_length=20)] = Field(
        default_factory=dict
    )
    """The key records by selector."""
    only_bounces: bool = False
    """True for a domain of bounce addresses alone: no mail is signed by it."""
    dmarc_policy: Literal["none", "quarantine", "reject"] = "reject"
    dmarc_reports: Annotated[tuple[ReportUri, ...], Field(max_length=5)] = ()
    """Where aggregate reports go, such as ``mailto:dmarc@example.org``."""
    mta_sts: Literal["testing", "enforce"] | None = None
    """The mode of the MTA-STS policy (RFC 8461); None for no policy."""
    mta_sts_max_age: Annotated[int, Field(ge=86400, le=31557600)] = 604800
    """Seconds for which senders keep the policy."""
    tls_reports: Annotated[tuple[ReportUri, ...], Field(max_length=5)] = ()
    """Where reports about TLS go (RFC 8460)."""
    services: Annotated[dict[ServiceName, Service | None], Field(max_length=8)] = Field(
        default_factory=dict
    )
    """Where mail programs find a service; None says that there is none (RFC 6186 section 3.4)."""
    web_host: HostName | None = None
    """The web server that answers for the names mta-sts, autoconfig and autodiscover; None when
    mail programs are not to find their settings there."""
    tlsa: Annotated[
        dict[HostName, Annotated[tuple[TlsaText, ...], Field(max_length=8)]], Field(max_length=16)
    ] = Field(default_factory=dict)
    """The TLSA records of port 25 by host (RFC 7672)."""
    ttl: Annotated[int, Field(ge=60, le=604800)] = 3600
    """Seconds in the zone file."""

    def all_senders(self) -> tuple[IpAddress, ...]:
        """Return the addresses that send, each once."""
        received = (address for host in self.hosts for address in host.addresses)
        return tuple(dict.fromkeys((*received, *self.senders)))

    def spf_record(self) -> str:
        """Return the SPF record to publish (RFC 7208 section 3)."""
        if self.spf:
            return self.spf
        hosts = {address for host in self.hosts for address in host.addresses}
        others = (address for address in dict.fromkeys(self.senders) if address not in hosts)
        return " ".join(["v=spf1", "mx", *(f"ip{a.version}:{a}" for a in others), self.spf_end])

    def dmarc_record(self) -> str:
        """Return the DMARC record to publish (RFC 9989 section 4.7)."""
        rua = f"; rua={','.join(self.dmarc_reports)}" if self.dmarc_reports else ""
        return f"v=DMARC1; p={self.dmarc_policy}{rua}"

    def tls_report_record(self) -> str:
        """Return the record that says where reports about TLS go (RFC 8460 section 3)."""
        return f"v=TLSRPTv1; rua={','.join(self.tls_reports)}"

    def mta_sts_policy(self) -> str:
        """Return the file of the MTA-STS policy, with CR LF (RFC 8461 section 3.2)."""
        lines = ["version: STSv1", f"mode: {self.mta_sts or 'none'}"]
        lines += [f"mx: {host.name}" for host in self.hosts]
        lines.append(f"max_age: {self.mta_sts_max_age}")
        return "".join(f"{line}\r\n" for line in lines)

    def mta_sts_record(self) -> str:
        """Return the record that announces the policy (RFC 8461 section 3.1).

        The id is made of the policy, so that it changes when the policy does.
        """
        digest = hashlib.sha256(self.mta_sts_policy().encode("ascii")).hexdigest()
        return f"v=STSv1; id={digest[:20]};"
