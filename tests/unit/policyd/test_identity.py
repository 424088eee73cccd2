"""Who a client is."""

from __future__ import annotations

import pytest

from policyd.hostnames import looks_generic, organizational_domain
from policyd.identity import host_identity, network_identity
from policyd.match import parse_address


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
    assert network_identity(parse_address(address), 24, 64) == identity


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
        ("mail.joe.dyndns.org", "joe.dyndns.org"),
        ("mail.shop.uk.com", "shop.uk.com"),
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
    assert host_identity(parse_address(address), name) == identity


def test_generic_names() -> None:
    assert looks_generic(parse_address("203.0.113.9"), "cpe-203-0-113-9.res.example.com")
    assert not looks_generic(parse_address("203.0.113.9"), "mail.example.com")
    # the digits of a server's number are not its address
    assert not looks_generic(parse_address("203.0.113.9"), "mx9.example.com")


OWN = (
    ("17.57.155.4", "qs51p00im-qukt01072702.me.com"),
    ("216.71.154.42", "esa2.hc3370-68.iphmx.com"),
    ("54.174.59.1", "a1i241.smtp2go.com"),
    ("13.110.1.1", "smtp12-dfw-sp1.mta.example.org"),
    ("192.0.2.77", "exchange2019.example.org"),
    ("192.0.2.77", "example.org"),
    ("192.0.2.77", "mail.example.org"),
    ("192.0.2.77", "mx1.example.org"),
    ("192.0.2.77", "mx.berlin.example.org"),
    ("192.0.2.77", "hermes.example.org"),
    ("192.0.2.77", "web12.example.org"),
    ("192.0.2.77", "server.example.org"),
    ("192.0.2.77", "vps.example.org"),
    ("192.0.2.77", "ns1.example.org"),
    ("192.0.2.77", "mta4123.news.example.org"),
    ("192.0.2.77", "o1.ptr123.example.com"),
    ("192.0.2.77", "mail.joe.duckdns.org"),
    ("209.85.208.41", "mail-ed1-f41.google.com"),
    ("40.107.20.23", "smtp-out-23.outbound.protection.outlook.com"),
    ("40.92.1.17", "mail-bn7nam10on2089.outbound.protection.outlook.com"),
    ("54.240.4.12", "a4-12.smtp-out.eu-west-1.amazonses.com"),
    ("198.51.44.89", "mta-70-44-89.example.net.sparkpostmail.com"),
    ("198.2.1.1", "mail12.suw11.mcsv.net"),
    ("162.62.57.49", "out162-62-57-49.mail.qq.com"),
    ("74.6.133.123", "sonic305-20.consmr.mail.ne1.yahoo.com"),
    ("185.70.40.133", "mail-40133.protonmail.ch"),
    ("46.105.1.1", "6.mo173.mail-out.ovh.net"),
    ("81.169.1.1", "mo4-p00-ob.smtp.rzone.de"),
    ("217.70.1.1", "relay7-d.mail.gandi.net"),
    ("192.30.252.1", "out-17.smtp.github.com"),
    ("12.6.1.1", "p3plsmtpa11-06.prod.phx3.secureserver.net"),
    ("194.25.134.1", "mailout06.t-online.de"),
    ("2001:db8::25", "mx2.example.org"),
)
GENERATED = (
    ("198.51.100.7", "hosted-by.hoster.example"),
    ("198.51.100.7", "hostedby.hoster.example"),
    ("198.51.100.7", "no-reverse-dns-configured.example"),
    ("198.51.100.7", "noptr.hoster.example"),
    ("198.51.100.7", "undefined.hoster.example"),
    ("198.51.100.7", "placeholder.hoster.example"),
    ("198.51.100.7", "ptr.hoster.example"),
    ("198.51.7.7", "x7-7.isp.example"),
    ("51.38.201.99", "vps-1a2b3c4d.vps.ovh.net"),
    ("51.38.201.99", "vps-fcbadeab.vps.ovh.net"),
    ("51.38.201.99", "vps12345.ovh.net"),
    ("54.36.12.99", "ns3012345.ip-54-36-12.eu"),
    ("54.36.12.99", "ns1.ip-54-36-12.eu"),
    ("54.36.12.99", "ip99.ip-54-36-12.eu"),
    ("198.51.100.7", "mail.vps-1a2b3c4d.vps.ovh.net"),
    ("198.51.100.7", "ec2-198-51-100-7.eu-west-1.compute.amazonaws.com"),
    ("198.51.100.7", "ec2-1-2-3-4.eu-west-1.compute.amazonaws.com"),
    ("198.51.100.7", "ip-10-0-12-34.eu-west-1.compute.internal.example"),
    ("198.51.100.7", "li123-45.members.linode.com"),
    ("198.51.100.7", "198-51-100-7.ip.linodeusercontent.com"),
    ("198.51.100.7", "vmi123456.contaboserver.net"),
    ("1.2.3.4", "static.1.2.3.4.clients.your-server.de"),
    ("1.2.3.4", "static.4.3.2.1.clients.your-server.de"),
    ("198.51.100.7", "static.99.88.77.66.clients.your-server.de"),
    ("198.51.100.7", "s12345.hoster.example"),
    ("198.51.100.7", "mx1.s12345.hoster.example"),
    ("198.51.100.7", "smtp.c1234.hoster.example"),
    ("198.51.100.7", "h2345678.stratoserver.net"),
    ("198.51.100.7", "host-7.hoster.example"),
    ("198.51.100.7", "dedi1234.your-server.de"),
    ("198.51.100.7", "198.51.100.7.vultrusercontent.com"),
    ("198.51.100.7", "7.100.51.198.bc.googleusercontent.com"),
    ("198.51.100.7", "198051100007.isp.example"),
    ("198.51.100.7", "198.051.100.007.isp.example"),
    ("198.51.100.7", "customer198511007.isp.example"),
    ("198.51.100.7", "c6336407.isp.example"),
    ("198.51.100.7", "x-c6-33-64-07.isp.example"),
    ("198.51.100.7", "p336407.isp.example"),
    ("198.51.100.7", "3325256711.isp.example"),
    ("198.51.100.7", "cpe-100-7.isp.example"),
    ("198.51.100.7", "dyn.isp.example"),
    ("198.51.100.7", "static-mail.isp.example"),
    ("198.51.100.7", "acme.customers.hoster.example"),
    ("198.51.100.7", "mail-1-2-3-4.isp.example"),
    ("198.51.100.7", "mail123456.hoster.example"),
    ("198.51.100.7", "i-0abc123def456.hoster.example"),
    ("198.51.100.7", "cloud7.hoster.example"),
    ("2001:db8:1:2::dead:beef", "2001-db8-1-2--dead-beef.isp.example"),
    ("2001:db8:1:2::dead:beef", "g-dead-beef.isp.example"),
    ("2001:db8:1:2::25", "2001-db8-1-2--25.isp.example"),
    (
        "2001:db8:1:2::25",
        "5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.isp.example",
    ),
    ("2001:db8:1:2::25", "20010db8000100020000000000000025.isp.example"),
    ("198.51.100.7", "localhost"),
    ("198.51.100.7", ""),
)


@pytest.mark.parametrize(("address", "name"), OWN)
def test_a_name_of_its_own(address: str, name: str) -> None:
    assert host_identity(parse_address(address), name) == f"host:{organizational_domain(name)}"


@pytest.mark.parametrize(("address", "name"), GENERATED)
def test_a_name_that_was_generated(address: str, name: str) -> None:
    assert host_identity(parse_address(address), name) == ""
    assert host_identity(parse_address(address), name.upper() + ".") == ""


def test_a_number_alone_gets_nobody_refused() -> None:
    """`generic_name` of the check `client` asks the narrower question, as before."""
    assert not looks_generic(parse_address("198.51.100.7"), "s12345.hoster.example")
    assert not looks_generic(parse_address("198.51.100.7"), "vps-1a2b3c4d.vps.ovh.net")
