"""The DNS server of the tests answers and misbehaves as it says."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest

from tests.testbed.dns import Behaviour, DnsServer

ZONE = """
["example.org"]
SOA = "ns.example.org. hostmaster.example.org. 7 3600 600 86400 30"
MX = ["10 mx.example.org", "20 mx2.example.org"]
TXT = ["v=spf1 mx -all", "long %s"]
ttl = 77

["www.example.org"]
CNAME = "example.org"

["_dmarc.deep.example.org"]
TXT = "v=DMARC1"

["slow.example.org"]
behaviour = "timeout"

["broken.example.org"]
rcode = "tempfail"
""" % ("x" * 600)


@pytest.fixture
def server() -> Iterator[DnsServer]:
    with DnsServer(ZONE) as running:
        yield running


def ask(
    server: DnsServer, name: str, rdtype: str, *, tcp: bool = False, payload: int = 0
) -> dns.message.Message:
    query = dns.message.make_query(name, rdtype, use_edns=0 if payload else -1, payload=payload)
    exchange = dns.query.tcp if tcp else dns.query.udp
    return exchange(query, server.host, port=server.port, timeout=5)


def texts(response: dns.message.Message) -> list[str]:
    return sorted(str(record).lower() for rrset in response.answer for record in rrset)


@pytest.mark.parametrize("tcp", [False, True])
def test_records_have_their_ttl_and_authority(server: DnsServer, tcp: bool) -> None:
    response = ask(server, "EXAMPLE.org", "MX", tcp=tcp)
    assert texts(response) == ["10 mx.example.org.", "20 mx2.example.org."]
    assert response.answer[0].ttl == 77
    assert response.flags & dns.flags.AA
    assert server.asked("example.org", "MX") == server.asked() == 1


def test_an_alias_is_shown_with_what_it_leads_to(server: DnsServer) -> None:
    assert "example.org." in texts(ask(server, "www.example.org", "MX"))
    assert len(texts(ask(server, "www.example.org", "MX"))) == 3


def test_no_such_name_and_no_such_record_are_told_apart(server: DnsServer) -> None:
    missing = ask(server, "nobody.example.org", "A")
    empty = ask(server, "example.org", "A")
    assert (missing.rcode(), empty.rcode()) == (dns.rcode.NXDOMAIN, dns.rcode.NOERROR)
    assert ask(server, "deep.example.org", "A").rcode() == dns.rcode.NOERROR
    assert ask(server, "org", "A").rcode() == dns.rcode.NOERROR
    assert ask(server, "example.net", "A").rcode() == dns.rcode.NXDOMAIN
    assert ask(server, "example.org", "HTTPS").rcode() == dns.rcode.NOERROR
    assert missing.authority[0].name.to_text() == "example.org."
    assert missing.authority[0].rdtype == empty.authority[0].rdtype == dns.rdatatype.SOA


def test_what_is_too_long_for_udp_is_truncated_and_whole_over_tcp(server: DnsServer) -> None:
    cut = ask(server, "example.org", "TXT")
    assert cut.flags & dns.flags.TC
    assert not cut.answer
    whole = ask(server, "example.org", "TXT", tcp=True)
    assert {len(record.strings) for rrset in whole.answer for record in rrset} == {1, 3}
    assert len(ask(server, "example.org", "TXT", payload=1232).answer[0]) == 2


def test_a_hundred_records_are_answered(server: DnsServer) -> None:
    server.add("many.example.org", "A", *(f"192.0.2.{n}" for n in range(100)))
    assert len(texts(ask(server, "many.example.org", "A", tcp=True))) == 100


@pytest.mark.parametrize(
    ("behaviour", "rcode"),
    [(Behaviour.SERVFAIL, dns.rcode.SERVFAIL), (Behaviour.REFUSE, dns.rcode.REFUSED)],
)
def test_errors_on_request(server: DnsServer, behaviour: Behaviour, rcode: dns.rcode.Rcode) -> None:
    server.misbehave("example.org", behaviour)
    assert ask(server, "example.org", "MX").rcode() == rcode
    server.misbehave("example.org", None)
    assert ask(server, "example.org", "MX").rcode() == dns.rcode.NOERROR
    assert ask(server, "broken.example.org", "A").rcode() == dns.rcode.SERVFAIL


def test_truncation_on_request(server: DnsServer) -> None:
    server.misbehave("example.org", Behaviour.TRUNCATE)
    assert ask(server, "example.org", "MX").flags & dns.flags.TC
    assert len(texts(ask(server, "example.org", "MX", tcp=True))) == 2
    server.misbehave("example.org", Behaviour.TRUNCATE_ALWAYS)
    assert ask(server, "example.org", "MX", tcp=True).flags & dns.flags.TC


def test_lies_on_request(server: DnsServer) -> None:
    for behaviour in (Behaviour.WRONG_ID, Behaviour.WRONG_QUESTION, Behaviour.GARBAGE):
        server.misbehave("example.org", behaviour)
        with pytest.raises((dns.exception.DNSException, dns.query.BadResponse)):
            ask(server, "example.org", "MX")


def test_silence_on_request(server: DnsServer) -> None:
    query = dns.message.make_query("slow.example.org", "A")
    with pytest.raises(dns.exception.Timeout):
        dns.query.udp(query, server.host, port=server.port, timeout=0.2)
    assert server.asked("slow.example.org") == 1


def test_octets_that_are_no_query_are_survived(server: DnsServer) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for octets in (b"", b"x", b"\xff" * 100, bytes(12)):
            client.sendto(octets, (server.host, server.port))
    with socket.create_connection((server.host, server.port)) as stream:
        stream.sendall(b"\0\5half")
    assert texts(ask(server, "example.org", "MX"))


def test_it_runs_as_a_program(tmp_path: Path) -> None:
    zone = tmp_path / "zone.toml"
    zone.write_text(ZONE)
    command = [sys.executable, "-m", "tests.testbed.dns", "--zone", str(zone)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        host, _, port = process.stdout.readline().split()[-1].partition(":")
        query = dns.message.make_query("example.org", "MX")
        assert dns.query.udp(query, host, port=int(port), timeout=5).answer
        process.terminate()


def test_a_zone_that_cannot_be_read_is_told_in_a_line(tmp_path: Path) -> None:
    zone = tmp_path / "zone.toml"
    zone.write_text('["example.org"]\nbehaviour = "sulk"\n')
    done = subprocess.run(
        [sys.executable, "-m", "tests.testbed.dns", "--zone", str(zone)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "behaviour 'sulk': write one of" in done.stderr
    assert "Traceback" not in done.stderr
