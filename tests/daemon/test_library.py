"""The example of docs/library.md that uses dnspython, against a real DNS server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import dns.resolver
import pytest

import msgauth
from tests.testbed.dns import Behaviour, DnsServer
from tests.unit.docs.library import run

ZONE = """
["example.org"]
TXT = "v=spf1 mx -all"
MX = ["10 mx.example.org"]
["mx.example.org"]
A = "192.0.2.1"
["long.example.org"]
TXT = "{long}"
["_dmarc.example.org"]
TXT = "v=DMARC1; p=reject"
["1.2.0.192.in-addr.arpa"]
PTR = "mx.example.org"
""".format(long="x" * 600)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[DnsServer]:
    with DnsServer(ZONE) as running:
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers = [running.host]
        resolver.port = running.port
        monkeypatch.setattr(dns.resolver, "default_resolver", resolver)
        yield running


def example() -> dict[str, Any]:
    return run(lambda code: "import dns." in code or code.startswith("import msgauth"))


def test_the_example_verifies_a_message(server: DnsServer) -> None:
    assert [got for got, _ in example()["printed"]] == ["fail reject", "pass"]
    assert server.asked("_dmarc.example.org")


def test_the_three_kinds_of_answer_are_not_mixed_up(server: DnsServer) -> None:
    resolve = example()["resolver"](5)

    def ask(name: str, rdtype: msgauth.RdType) -> msgauth.Answer:
        answer: msgauth.Answer = resolve(msgauth.Question(name, rdtype))
        return answer

    assert ask("example.org", "MX").records == ("10 mx.example.org",)
    assert ask("1.2.0.192.in-addr.arpa", "PTR").records == ("mx.example.org",)
    assert ask("long.example.org", "TXT").records == ("x" * 600,)
    nothing = ask("mx.example.org", "TXT")
    assert (nothing.rcode, nothing.records) == (msgauth.Rcode.OK, ())
    for name in ("none.example.org", "a..example.org", "x" * 64 + ".example.org", "x." * 200):
        assert ask(name, "TXT").rcode is msgauth.Rcode.NXDOMAIN
    server.misbehave("broken.example.org", Behaviour.SERVFAIL)
    assert ask("broken.example.org", "TXT").rcode is msgauth.Rcode.TEMPFAIL


def test_the_time_is_bounded(server: DnsServer) -> None:
    page = example()
    for name in ("_dmarc.example.org", "example.org", "mx.example.org"):
        server.misbehave(name, Behaviour.TIMEOUT)
    lookup = msgauth.verify(
        page["message"],
        client="192.0.2.1",
        helo="mx.example.org",
        mail_from="ann@example.org",
        now=1795000000,
    )
    began = time.monotonic()
    found = msgauth.solve(lookup, page["resolver"](1))
    assert time.monotonic() - began < 3
    assert found.dmarc is not None
    assert found.dmarc.status is msgauth.DmarcStatus.TEMPERROR
