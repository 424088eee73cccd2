"""Who a client is."""

from __future__ import annotations

import pytest

from policyd.identity import (
    host_identity,
    looks_generic,
    network_identity,
    organizational_domain,
)


@pytest.mark.parametrize(
    ("address", "identity"),
    [
        ("192.0.2.77", "net:192.0.2.0/24"),
        ("2001:db8:1:2:3::4", "net:2001:db8:1:2::/64"),
        ("::ffff:192.0.2.77", "net:192.0.2.0/24"),
        ("", ""),
        ("unknown", ""),
        ("192.0.2.256", ""),
    ],
)
def test_network(address: str, identity: str) -> None:
    assert network_identity(address, 24, 64) == identity


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("mail-yw1-f169.google.com", "google.com"),
        ("mail.example.co.uk", "example.co.uk"),
        ("a.b.example.com.au", "example.com.au"),
        ("mout.web.de", "web.de"),
        ("mx.gov.uk", "mx.gov.uk"),
        ("example.org", "example.org"),
        ("co.uk", "co.uk"),
        ("com.br", ""),
        ("localhost", ""),
        ("a..b", ""),
    ],
)
def test_organizational_domain(name: str, domain: str) -> None:
    assert organizational_domain(name) == domain


@pytest.mark.parametrize(
    ("address", "name", "identity"),
    [
        ("209.85.128.169", "mail-yw1-f169.google.com", "host:google.com"),
        ("40.92.1.17", "mail-bn7.outbound.protection.outlook.com", "host:outlook.com"),
        ("192.0.2.77", "mx77.example.net", "host:example.net"),
        ("192.0.2.77", "host-192-0-2-77.isp.example", ""),
        ("192.0.2.77", "77.2.0.192.isp.example", ""),
        ("192.0.2.77", "c000024d.isp.example", ""),
        ("192.0.2.77", "p4fd1.dip0.isp.example", ""),
        ("192.0.2.77", "x1.dynamic.isp.example", ""),
        ("192.0.2.77", "dsl.pool.isp.example", ""),
        ("2001:db8::dead:beef:1:2", "0000deadbeef00010002.isp.example", ""),
        ("192.0.2.77", "", ""),
    ],
)
def test_host(address: str, name: str, identity: str) -> None:
    assert host_identity(address, name) == identity


def test_generic_names() -> None:
    assert looks_generic("203.0.113.9", "cpe-203-0-113-9.res.example.com")
    assert not looks_generic("203.0.113.9", "mail.example.com")
    # the digits of a server's number are not its address
    assert not looks_generic("203.0.113.9", "mx9.example.com")
