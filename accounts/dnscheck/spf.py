"""The SPF record of a domain, tried with the addresses that send its mail."""

from __future__ import annotations

import ipaddress

from accounts.dnscheck.expectations import Expectations
from accounts.dnscheck.finding import DnsFinding, FindingLevel, listed, unanswered
from accounts.dnscheck.mx import addresses_in
from msgauth.address import IpAddress
from msgauth.ask import Lookup, Rcode, RdType, ask
from msgauth.results import SpfStatus
from msgauth.spf import SpfResult, check_spf
from msgauth.spf.record import SpfRecordError, is_record, parse

_STRANGER = ipaddress.IPv4Address("240.0.0.1")
"""An address that nobody has (RFC 1112 section 4): if it passes, everybody passes."""

_ADDRESSES: tuple[RdType, ...] = ("A", "AAAA")


def check_spf_record(domain: str, expected: Expectations) -> Lookup[tuple[DnsFinding, ...]]:
    """Check that there is exactly one record, and that it lets our hosts pass but not everybody."""
    wanted = (expected.spf_record(),)
    answer = yield from ask(domain, "TXT")
    if answer.rcode is Rcode.TEMPFAIL:
        return (unanswered("SPF", domain, "TXT", wanted),)
    found = tuple(text for text in answer.records if is_record(text))
    level, text = _judge_record(domain, found)
    if level is FindingLevel.OK:
        level, text = yield from _try_addresses(domain, expected)
    return (DnsFinding("SPF", domain, "TXT", level, text, found, wanted),)


def _judge_record(domain: str, found: tuple[str, ...]) -> tuple[FindingLevel, str]:
    if not found:
        return FindingLevel.ERROR, f"{domain} has no SPF record, so anybody can send in its name."
    if len(found) > 1:  # RFC 7208 section 4.5
        return (
            FindingLevel.ERROR,
            f"{domain} has {len(found)} SPF records; with more than one, none counts.",
        )
    try:
        parse(found[0])
    except SpfRecordError as error:
        return FindingLevel.ERROR, f"The SPF record of {domain} is broken: {error}."
    return FindingLevel.OK, ""


def _try_addresses(domain: str, expected: Expectations) -> Lookup[tuple[FindingLevel, str]]:
    helo = expected.hosts[0].name
    refused: list[str] = []
    reason = ""
    addresses = list(expected.all_senders())
    for host in expected.hosts:
        if host.addresses:
            continue
        for rdtype in _ADDRESSES:
            answer = yield from ask(host.name, rdtype)
            if answer.rcode is Rcode.TEMPFAIL:
                reason = f"DNS gives no answer about {host.name}"
                return FindingLevel.UNKNOWN, f"SPF of {domain} could not be tried: {reason}."
            addresses += addresses_in(answer)
    for address in dict.fromkeys(addresses):
        result = yield from _try(domain, helo, address)
        if result.status is SpfStatus.TEMPERROR:
            return FindingLevel.UNKNOWN, f"SPF of {domain} could not be tried: {result.reason}."
        if result.status is SpfStatus.PERMERROR:
            return FindingLevel.ERROR, f"The SPF record of {domain} is broken: {result.reason}."
        if result.status is not SpfStatus.PASS:
            refused.append(str(address))
            reason = result.status.value
    if refused:
        text = f"The SPF record of {domain} does not let {listed(refused)} pass ({reason})."
        return FindingLevel.ERROR, text
    stranger = yield from _try(domain, helo, _STRANGER)
    match stranger.status:
        case SpfStatus.PASS:
            return (
                FindingLevel.ERROR,
                f"The SPF record of {domain} lets every host in the world pass.",
            )
        case SpfStatus.TEMPERROR:
            return FindingLevel.UNKNOWN, f"SPF of {domain} could not be tried: {stranger.reason}."
        case SpfStatus.PERMERROR:
            return FindingLevel.ERROR, f"The SPF record of {domain} is broken: {stranger.reason}."
        case SpfStatus.FAIL | SpfStatus.SOFTFAIL:
            return FindingLevel.OK, f"The SPF record of {domain} lets our hosts pass and no others."
        case _:
            return FindingLevel.WARNING, (
                f"The SPF record of {domain} says nothing about other hosts: "
                f"let it end in {expected.spf_end}."
            )


def _try(domain: str, helo: str, address: IpAddress) -> Lookup[SpfResult]:
    sender = f"postmaster@{domain}"
    return (yield from check_spf(address, helo=helo, mail_from=sender, now=0, receiver=helo))
