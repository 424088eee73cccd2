"""The check of a domain asks a real DNS server, all at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from accounts.dnscheck import DomainReport, FindingLevel, check, one_by_one, solve_together
from gatepost.config import DnsSettings
from gatepost.dns import AsyncResolver, Resolver
from msgauth import Rcode, solve
from tests.testbed.dns import Behaviour, DnsServer
from tests.unit.accounts.dnscheck.wished import GOOD, expectations

TIMEOUT = 1.0


@pytest.fixture
def server() -> Iterator[DnsServer]:
    with DnsServer() as running:
        for (name, rdtype), records in GOOD.items():
            assert not isinstance(records, Rcode)
            running.add(name, rdtype, *records)
        yield running


def settings(server: DnsServer) -> DnsSettings:
    return DnsSettings(nameservers=(server.address,), timeout=TIMEOUT)


def at_once(server: DnsServer) -> DomainReport:
    async def run() -> DomainReport:
        resolver = AsyncResolver(settings(server))
        try:
            return await solve_together(check("example.org", expectations()), resolver.resolve)
        finally:
            await resolver.close()

    return asyncio.run(run())


def test_a_domain_is_checked_over_the_network(server: DnsServer) -> None:
    made = at_once(server)
    assert [one for one in made.findings if one.level is not FindingLevel.OK] == []
    assert server.asked("_imaps._tcp.example.org", "SRV") == 1
    assert server.asked("_25._tcp.mx1.example.org", "TLSA") == 1
    assert server.asked("example.org", "TXT") == 1
    in_thread = solve(
        one_by_one(check("example.org", expectations())), Resolver(settings(server)).resolve
    )
    assert in_thread.as_data() == made.as_data()


def test_a_record_that_is_gone_is_missing(server: DnsServer) -> None:
    server.remove("ed._domainkey.example.org")
    made = at_once(server)
    assert [one.name for one in made.findings if one.level is FindingLevel.ERROR] == [
        "ed._domainkey.example.org"
    ]


@pytest.mark.parametrize("behaviour", [Behaviour.SERVFAIL, Behaviour.REFUSE, Behaviour.TIMEOUT])
def test_a_server_that_fails_is_no_missing_record(server: DnsServer, behaviour: Behaviour) -> None:
    server.misbehave("ed._domainkey.example.org", behaviour)
    made = at_once(server)
    assert [(one.name, one.level) for one in made.findings if one.level is not FindingLevel.OK] == [
        ("ed._domainkey.example.org", FindingLevel.UNKNOWN)
    ]


def test_many_silent_names_cost_the_time_of_one(server: DnsServer) -> None:
    silent = [
        "s1._domainkey.example.org", "ed._domainkey.example.org", "_dmarc.example.org",
        "_mta-sts.example.org", "_smtp._tls.example.org", "_imaps._tcp.example.org",
        "_submissions._tcp.example.org", "_pop3._tcp.example.org", "_25._tcp.mx1.example.org",
        "autoconfig.example.org", "autodiscover.example.org", "mta-sts.example.org",
    ]  # fmt: skip
    for name in silent:
        server.misbehave(name, Behaviour.TIMEOUT)
    start = time.monotonic()
    made = at_once(server)
    elapsed = time.monotonic() - start
    unknown = {one.name for one in made.findings if one.level is FindingLevel.UNKNOWN}
    assert unknown == set(silent)
    assert elapsed < len(silent) * TIMEOUT / 2
