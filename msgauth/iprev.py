"""Check of the client's reverse name (iprev, RFC 8601 section 3)."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from msgauth.address import IpAddress, plain
from msgauth.ask import Answer, Lookup, Question, Rcode, RdType
from msgauth.domain import DomainError, to_alabels
from msgauth.results import Finding, IprevStatus, Property

MAX_NAMES = 10
"""Maximum names of an address to look up: the owner of the address can publish any number. RFC 8601
section 3 requires a limit and suggests that of RFC 7208 section 4.6.4."""


@dataclass(frozen=True, slots=True)
class IprevResult(Finding):
    """The result of the reverse lookup of a client's address."""

    name: str = ""
    """The name that resolves back to the address, in A-labels; empty unless the status is
    "pass"."""


def check_iprev(client: IpAddress) -> Lookup[IprevResult]:
    """Look up the names of `client`, and find one that has its address.

    The first such name, in the order of the answer, is the result's. An IPv4-mapped address is
    looked up as an IPv4 address.
    """
    client = plain(client)
    status, reason, name = yield from _find_name(client)
    # RFC 8601 section 2.7.3
    return IprevResult("iprev", status, reason, (Property("policy", "iprev", str(client)),), name)


def _find_name(client: IpAddress) -> Lookup[tuple[IprevStatus, str, str]]:
    pointers: Answer = yield Question(client.reverse_pointer, "PTR")
    if pointers.rcode is Rcode.TEMPFAIL:
        return IprevStatus.TEMPERROR, f"DNS gave no answer for the name of {client}", ""
    if not pointers.records:
        return IprevStatus.PERMERROR, f"{client} has no name", ""
    rdtype: RdType = "A" if client.version == 4 else "AAAA"
    failed = ""
    for pointer in pointers.records[:MAX_NAMES]:
        try:
            name = to_alabels(pointer)
        except DomainError:
            continue
        answer: Answer = yield Question(name, rdtype)
        if answer.rcode is Rcode.TEMPFAIL:
            failed = failed or name
        elif any(_is(client, address) for address in answer.records):
            return IprevStatus.PASS, f"{name} has the address {client}", name
    if failed:
        return IprevStatus.TEMPERROR, f"DNS gave no answer for {failed} {rdtype}", ""
    return IprevStatus.FAIL, f"no name of {client} has this address", ""


def _is(client: IpAddress, text: str) -> bool:
    try:
        return ipaddress.ip_address(text) == client
    except ValueError:
        return False
