"""Check of a domain's DNS against the records that it should have."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from accounts.address import parse_domain
from accounts.dnscheck.clients import check_service, check_web_name
from accounts.dnscheck.dkim import check_key, check_no_key
from accounts.dnscheck.dmarc import check_dmarc_record
from accounts.dnscheck.expectations import Expectations
from accounts.dnscheck.finding import DnsFinding
from accounts.dnscheck.mx import check_host, check_mx, check_reverse
from accounts.dnscheck.report import DomainReport, WebFile
from accounts.dnscheck.spf import check_spf_record
from accounts.dnscheck.tls import check_mta_sts, check_tls_reports, check_tlsa
from accounts.dnscheck.together import Batch, together
from msgauth.ask import Lookup


def check(domain: str, expectations: Expectations) -> Batch[DomainReport]:
    """Check the DNS of `domain` and return a report.

    `solve_together` drives it in an event loop, and `one_by_one` makes a lookup for
    `msgauth.solve` of it. A question without an answer is a finding of its own level, never a
    missing record. Files on web servers are not fetched: the report says what they should contain.
    Raises `accounts.address.AccountAddressError` for a bad domain, at the first step.
    """
    domain = parse_domain(domain)
    results = yield from together(_checks(domain, expectations))
    files: tuple[WebFile, ...] = ()
    if expectations.mta_sts:
        url = f"https://mta-sts.{domain}/.well-known/mta-sts.txt"
        files = (WebFile(url, expectations.mta_sts_policy()),)
    findings = tuple(chain.from_iterable(results))
    return DomainReport(domain, findings, files, expectations.ttl)


def _checks(domain: str, expected: Expectations) -> Iterator[Lookup[tuple[DnsFinding, ...]]]:
    yield check_mx(domain, expected)
    for host in expected.hosts:
        yield check_host(host)
        for address in host.addresses:
            yield check_reverse(host.name, address)
    for address in expected.senders:
        yield check_reverse(None, address)
    yield check_spf_record(domain, expected)
    if not (expected.dkim or expected.only_bounces):
        yield check_no_key(domain)
    for selector, record in expected.dkim.items():
        yield check_key(domain, selector, record)
    yield check_dmarc_record(domain, expected)
    yield check_mta_sts(domain, expected)
    if expected.mta_sts:
        # RFC 8461 section 3.3
        yield check_web_name(f"mta-sts.{domain}", expected.web_host)
    yield check_tls_reports(domain, expected)
    for host in expected.hosts:
        yield check_tlsa(host.name, expected.tlsa.get(host.name, ()))
    for service, wish in expected.services.items():
        yield check_service(domain, service, wish)
    if expected.web_host:
        for label in ("autoconfig", "autodiscover"):
            yield check_web_name(f"{label}.{domain}", expected.web_host)
