"""Records about the encryption of mail on its way: MTA-STS, TLSRPT and TLSA."""

from __future__ import annotations

import re

from accounts.dnscheck.expectations import Expectations
from accounts.dnscheck.finding import DnsFinding, FindingLevel, listed, unanswered
from msgauth.ask import Lookup, Rcode, ask

_STS_ID = re.compile(r"v=STSv1;(?:[^;]*;)*?[ \t]*id=[A-Za-z0-9]{1,32}[ \t]*(?:;|\Z)")
_TLSRPT_RUA = re.compile(r"v=TLSRPTv1;[ \t]*rua=([^;]+)")


def check_mta_sts(domain: str, expected: Expectations) -> Lookup[tuple[DnsFinding, ...]]:
    """Check the record that announces a policy (RFC 8461 section 3.1)."""
    name = f"_mta-sts.{domain}"
    wanted = (expected.mta_sts_record(),) if expected.mta_sts else ()
    answer = yield from ask(name, "TXT")
    if answer.rcode is Rcode.TEMPFAIL:
        return (unanswered("MTA-STS", name, "TXT", wanted),)
    # RFC 8461 section 3.1: records that do not begin with the version are left out
    found = tuple(text for text in answer.records if text.startswith("v=STSv1;"))
    if not found and not wanted:
        return ()
    level, text = _judge_mta_sts(domain, found, wished=bool(wanted))
    return (DnsFinding("MTA-STS", name, "TXT", level, text, found, wanted),)


def _judge_mta_sts(
    domain: str, found: tuple[str, ...], *, wished: bool
) -> tuple[FindingLevel, str]:
    if not found:
        return (
            FindingLevel.WARNING,
            f"{domain} announces no MTA-STS policy, so TLS can be stripped.",
        )
    if len(found) > 1:
        return (
            FindingLevel.WARNING,
            f"{domain} has {len(found)} MTA-STS records; none of them counts.",
        )
    if not _STS_ID.match(found[0]):
        return FindingLevel.WARNING, f"The MTA-STS record of {domain} has no usable id."
    if not wished:
        return (
            FindingLevel.WARNING,
            f"{domain} announces an MTA-STS policy that is not configured here.",
        )
    return (
        FindingLevel.OK,
        f"{domain} announces an MTA-STS policy. The id has to change when the policy does.",
    )


def check_tls_reports(domain: str, expected: Expectations) -> Lookup[tuple[DnsFinding, ...]]:
    """Check the record that says where reports about TLS go (RFC 8460 section 3)."""
    name = f"_smtp._tls.{domain}"
    wanted = (expected.tls_report_record(),) if expected.tls_reports else ()
    answer = yield from ask(name, "TXT")
    if answer.rcode is Rcode.TEMPFAIL:
        return (unanswered("TLSRPT", name, "TXT", wanted),)
    found = tuple(text for text in answer.records if text.startswith("v=TLSRPTv1;"))
    if not found and not wanted:
        return ()
    level, text = _judge_tls_reports(domain, found, expected.tls_reports)
    return (DnsFinding("TLSRPT", name, "TXT", level, text, found, wanted),)


def _judge_tls_reports(
    domain: str, found: tuple[str, ...], uris: tuple[str, ...]
) -> tuple[FindingLevel, str]:
    if not found:
        return FindingLevel.WARNING, f"{domain} does not say where reports about TLS go."
    if len(found) > 1:
        return (
            FindingLevel.WARNING,
            f"{domain} has {len(found)} TLSRPT records; none of them counts.",
        )
    match = _TLSRPT_RUA.match(found[0])
    if match is None:
        return FindingLevel.WARNING, f"The TLSRPT record of {domain} has no rua=."
    published = {uri.strip(" \t").lower() for uri in match[1].split(",")}
    missing = [uri for uri in uris if uri.lower() not in published]
    if missing:
        return FindingLevel.WARNING, f"The TLSRPT record of {domain} leaves out {listed(missing)}."
    return FindingLevel.OK, f"Reports about TLS go to {listed(sorted(published))}."


def check_tlsa(host: str, records: tuple[str, ...]) -> Lookup[tuple[DnsFinding, ...]]:
    """Check the TLSA records of port 25 of a host (RFC 7672 section 2.2).

    Whether they are signed by DNSSEC, without which they count for nothing, is not checked.
    """
    name = f"_25._tcp.{host}"
    answer = yield from ask(name, "TLSA")
    if answer.rcode is Rcode.TEMPFAIL:
        return (unanswered("TLSA", name, "TLSA", records),)
    if not answer.records and not records:
        return ()
    found = {_normal(record) for record in answer.records}
    if not records:
        level = FindingLevel.WARNING
        text = f"{host} has TLSA records: a certificate that matches none of them stops mail."
    elif not found:
        level, text = FindingLevel.WARNING, f"{host} has no TLSA record."
    elif found.isdisjoint(map(_normal, records)):
        level = FindingLevel.ERROR
        text = f"No TLSA record of {host} is the wished one, so hosts that check them send no mail."
    else:
        level, text = (
            FindingLevel.OK,
            f"{host} has the wished TLSA record; it counts if DNSSEC signs it.",
        )
    return (DnsFinding("TLSA", name, "TLSA", level, text, answer.records, records),)


def _normal(record: str) -> str:
    numbers, digits = record.split()[:3], record.split()[3:]
    return " ".join([*numbers, "".join(digits).lower()])
