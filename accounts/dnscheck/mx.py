"""Hosts that receive a domain's mail: MX, their addresses and the reverse names of these."""

from __future__ import annotations

import ipaddress

from accounts.dnscheck.expectations import Expectations, MailHost
from accounts.dnscheck.finding import DnsFinding, FindingLevel, listed, unanswered
from msgauth.address import IpAddress
from msgauth.ask import Answer, Lookup, Question, Rcode, RdType, ask
from msgauth.domain import DomainError, to_alabels
from msgauth.iprev import check_iprev
from msgauth.results import IprevStatus


def check_mx(domain: str, expected: Expectations) -> Lookup[tuple[DnsFinding, ...]]:
    """Check the MX records of the domain (RFC 5321 section 5.1, RFC 7505)."""
    wanted = tuple(f"{10 * (at + 1)} {host.name}" for at, host in enumerate(expected.hosts))
    answer = yield from ask(domain, "MX")
    if answer.rcode is Rcode.TEMPFAIL:
        return (unanswered("MX", domain, "MX", wanted),)
    level, text = _judge_mx(domain, answer, [host.name for host in expected.hosts])
    return (DnsFinding("MX", domain, "MX", level, text, answer.records, wanted),)


def _judge_mx(domain: str, answer: Answer, ours: list[str]) -> tuple[FindingLevel, str]:
    if answer.rcode is Rcode.NXDOMAIN:
        return FindingLevel.ERROR, f"{domain} does not exist in DNS."
    if not answer.records:
        return FindingLevel.ERROR, f"{domain} has no MX record, so its mail does not come here."
    found = [_target(record) for record in answer.records]
    if "" in found:  # RFC 7505 section 3
        return (
            FindingLevel.ERROR,
            f"{domain} has a null MX record, which says that it takes no mail.",
        )
    others = [host for host in found if host not in ours]
    missing = [host for host in ours if host not in found]
    if len(others) == len(found):
        return (
            FindingLevel.ERROR,
            f"The mail of {domain} goes to {listed(others)} and not to our hosts.",
        )
    if others:
        return (
            FindingLevel.WARNING,
            f"Some mail of {domain} may go to {listed(others)}, not a host of ours.",
        )
    if missing:
        return FindingLevel.WARNING, f"The MX records of {domain} leave out {listed(missing)}."
    return FindingLevel.OK, f"The mail of {domain} goes to {listed(found)}."


def _target(record: str) -> str:
    host = record.rpartition(" ")[2]
    try:
        return to_alabels(host) if host.strip(".") else ""
    except DomainError:
        return host


def check_host(host: MailHost) -> Lookup[tuple[DnsFinding, ...]]:
    """Check the addresses of a host, and the names of those that are in DNS alone."""
    findings: list[DnsFinding] = []
    alias = yield from ask(host.name, "CNAME")
    if alias.records:
        # RFC 2181 section 10.3
        text = f"{host.name} is an alias, which the host of an MX record must not be."
        findings.append(
            DnsFinding("host", host.name, "CNAME", FindingLevel.ERROR, text, alias.records)
        )
    addresses: list[IpAddress] = []
    found_any = failed = False
    for rdtype in ("A", "AAAA"):
        answer = yield from ask(host.name, rdtype)
        failed = failed or answer.rcode is Rcode.TEMPFAIL
        found_any = found_any or bool(answer.records)
        if not host.addresses:
            addresses += addresses_in(answer)
        finding = _judge_addresses(host, rdtype, answer)
        if finding is not None:
            findings.append(finding)
    if not found_any and not failed and not host.addresses:
        text = f"{host.name} has no address, so no mail can reach it."
        findings.append(DnsFinding("host", host.name, "A", FindingLevel.ERROR, text))
    for address in addresses:
        findings += yield from check_reverse(host.name, address)
    return tuple(findings)


def addresses_in(answer: Answer) -> list[IpAddress]:
    """Return the addresses in the records of an answer, at most 16."""
    found: list[IpAddress] = []
    for record in answer.records[:16]:
        try:
            found.append(ipaddress.ip_address(record))
        except ValueError:
            continue
    return found


def _judge_addresses(host: MailHost, rdtype: RdType, answer: Answer) -> DnsFinding | None:
    version = 4 if rdtype == "A" else 6
    expected = [address for address in host.addresses if address.version == version]
    wanted = tuple(map(str, expected))
    if answer.rcode is Rcode.TEMPFAIL:
        return unanswered("host", host.name, rdtype, wanted)
    found = addresses_in(answer)
    missing = [str(address) for address in expected if address not in found]
    others = [str(address) for address in found if address not in expected]
    if not found and not expected:
        return None
    level, text = FindingLevel.OK, f"{host.name} has the address {listed([*map(str, found)])}."
    if missing and len(missing) == len(expected):
        level, text = FindingLevel.ERROR, f"{host.name} does not lead to {listed(missing)}."
    elif missing:
        level, text = FindingLevel.WARNING, f"{host.name} leaves out its address {listed(missing)}."
    elif others and host.addresses:
        level = FindingLevel.WARNING
        text = f"{host.name} also leads to {listed(others)}, which is not known as its address."
    return DnsFinding("host", host.name, rdtype, level, text, answer.records, wanted)


def check_reverse(name: str | None, address: IpAddress) -> Lookup[tuple[DnsFinding, ...]]:
    """Check that the name of an address is `name`, or any name, and leads back to the address.

    RFC 8601 section 3.
    """
    at, wanted = address.reverse_pointer, (name,) if name else ()
    pointers: Answer = yield Question(at, "PTR")
    result = yield from check_iprev(address)
    match result.status:
        case IprevStatus.TEMPERROR:
            return (unanswered("reverse name", at, "PTR", wanted),)
        case IprevStatus.PASS if name in (None, result.name):
            level, text = (
                FindingLevel.OK,
                f"{address} has the name {result.name}, which leads back to it.",
            )
        case IprevStatus.PASS:
            level = FindingLevel.WARNING
            text = f"{address} has the name {result.name}, which is not that of the mail host."
        case _ if not pointers.records:
            level = FindingLevel.ERROR
            text = f"{address} has no name, so many hosts refuse mail from it."
        case _:
            level = FindingLevel.ERROR
            text = f"No name of {address} leads back to it, so many hosts refuse mail from it."
    return (DnsFinding("reverse name", at, "PTR", level, text, pointers.records, wanted),)
