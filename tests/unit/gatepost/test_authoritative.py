from __future__ import annotations

import pytest

from gatepost.dns import Zone
from gatepost.dns.authoritative import (
    NameServer,
    NoServersError,
    Said,
    ServerAnswer,
    ServerQuestion,
    ask_everywhere,
    find_servers,
    named_servers,
)
from msgauth.ask import TEMPFAIL, Answer, Question, Rcode
from msgauth.drive import solve

ZONE = """
["example.org"]
NS = ["NS1.example.org", "ns2.example.net"]
["ns1.example.org"]
A = ["192.0.2.1"]
AAAA = ["2001:db8::1"]
["ns2.example.net"]
A = "192.0.2.2"
["sub.example.org"]
NS = "ns.sub.example.org"
["ns.sub.example.org"]
A = "192.0.2.3"
["broken.example"]
NS = "nowhere.example"
["away.example.org"]
CNAME = "target.provider.example"
["provider.example"]
NS = "ns.provider.example"
["ns.provider.example"]
A = "192.0.2.9"
["loop.example.org"]
CNAME = "loop2.example.org"
["loop2.example.org"]
CNAME = "loop.example.org"
["silent.example"]
NS = "dead.example"
["dead.example"]
rcode = "tempfail"
"""


class Net:
    """A resolver with a zone, and name servers by address."""

    def __init__(self, **servers: str) -> None:
        self.resolver = Zone.parse(ZONE)
        self.servers = {address: Zone.parse(text) for address, text in servers.items()}

    def ask(self, question: Question) -> Answer:
        if isinstance(question, ServerQuestion):
            return self.servers[question.server.address].resolve(question)
        return self.resolver.resolve(question)


def servers(name: str) -> list[tuple[str, str]]:
    return [(s.host, s.address) for s in solve(find_servers(name), Net().ask)]


@pytest.mark.parametrize(
    "name", ["example.org", "s1._domainkey.example.org", "_domainkey.www.example.org"]
)
def test_the_servers_of_the_zone_of_a_name(name: str) -> None:
    assert servers(name) == [
        ("ns1.example.org", "192.0.2.1"),
        ("ns1.example.org", "2001:db8::1"),
        ("ns2.example.net", "192.0.2.2"),
    ]


def test_a_zone_below_has_servers_of_its_own() -> None:
    assert servers("s1._domainkey.sub.example.org") == [("ns.sub.example.org", "192.0.2.3")]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("s1.broken.example", "nowhere.example, a name server of broken.example, has no address"),
        ("s1.nothing.test", "no zone contains s1.nothing.test"),
        ("dead.example", "DNS does not answer for the NS records of dead.example"),
        ("silent.example", "DNS does not answer for the addresses of dead.example"),
    ],
)
def test_servers_that_cannot_be_found(name: str, told: str) -> None:
    with pytest.raises(NoServersError) as caught:
        servers(name)
    assert str(caught.value) == told


def test_each_server_is_asked() -> None:
    with_record = '["s1.example.org"]\nTXT = "v=DKIM1"'
    net = Net(**{"192.0.2.1": with_record, "2001:db8::1": with_record, "192.0.2.2": ""})
    said = solve(ask_everywhere("s1.example.org", "TXT"), net.ask)
    assert [(str(one.server), one.answer.records) for one in said] == [
        ("ns1.example.org (192.0.2.1)", ("v=DKIM1",)),
        ("ns1.example.org (2001:db8::1)", ("v=DKIM1",)),
        ("ns2.example.net (192.0.2.2)", ()),
    ]


def test_an_alias_is_asked_for_at_its_own_servers_and_its_target_at_others() -> None:
    alias = '["away.example.org"]\nCNAME = "Target.provider.example"'
    net = Net(
        **{
            "192.0.2.1": alias,
            "2001:db8::1": alias,
            "192.0.2.2": "",
            "192.0.2.9": '["target.provider.example"]\nTXT = "v=DKIM1"',
        }
    )
    said = solve(ask_everywhere("away.example.org", "TXT"), net.ask)
    assert [(one.server.host, one.name, one.answer.rcode) for one in said] == [
        ("ns2.example.net", "away.example.org", Rcode.NXDOMAIN),
        ("ns.provider.example", "target.provider.example", Rcode.OK),
    ]


def test_aliases_that_lead_in_a_circle_end() -> None:
    alias = '["loop.example.org"]\nCNAME = "loop2.example.org"\n'
    other = '["loop2.example.org"]\nCNAME = "loop.example.org"\n'
    net = Net(**dict.fromkeys(("192.0.2.1", "2001:db8::1", "192.0.2.2"), alias + other))
    net.resolver = Direct(net.resolver)
    with pytest.raises(NoServersError, match="lead nowhere"):
        solve(ask_everywhere("loop.example.org", "TXT"), net.ask)


class Direct(Zone):
    """A zone that does not follow aliases when it is asked for NS records."""

    def __init__(self, zone: Zone) -> None:
        super().__init__(zone.entries)

    def resolve(self, question: Question) -> Answer:
        if question.rdtype == "NS" and question.name.startswith("loop"):
            return Answer(Rcode.OK)
        return super().resolve(question)


def test_addresses_of_a_host() -> None:
    found = solve(named_servers("ns1.example.org"), Net().ask)
    assert [server.address for server in found] == ["192.0.2.1", "2001:db8::1"]


@pytest.mark.parametrize(
    ("host", "told"),
    [
        ("ns9.example.org", "ns9.example.org has no address"),
        ("dead.example", "DNS does not answer for the addresses of dead.example"),
    ],
)
def test_no_addresses_of_a_host(host: str, told: str) -> None:
    with pytest.raises(NoServersError) as caught:
        solve(named_servers(host), Net().ask)
    assert str(caught.value) == told


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("192.0.2.7", [("192.0.2.7", 53)]),
        ("192.0.2.7:5353", [("192.0.2.7", 5353)]),
        ("2001:db8::7", [("2001:db8::7", 53)]),
        ("[2001:db8::7]", [("2001:db8::7", 53)]),
        ("[2001:db8::7]:5353", [("2001:db8::7", 5353)]),
        ("ns2.example.net", [("192.0.2.2", 53)]),
        ("ns1.example.org:5353", [("192.0.2.1", 5353), ("2001:db8::1", 5353)]),
    ],
)
def test_servers_by_address_or_name(text: str, found: list[tuple[str, int]]) -> None:
    got = solve(named_servers(text), Net().ask)
    assert [(server.address, server.port) for server in got] == found


@pytest.mark.parametrize("text", ["", "ns9.example.org", "ns1.example.org:port", "a:b:c"])
def test_no_servers(text: str) -> None:
    with pytest.raises(NoServersError):
        solve(named_servers(text), Net().ask)


def test_the_port_of_the_network_is_for_addresses_without_one() -> None:
    (server,) = solve(named_servers("192.0.2.7", 5300), Net().ask)
    assert server == NameServer("192.0.2.7", "192.0.2.7", 5300)


def test_why_there_is_no_answer() -> None:
    server = NameServer("ns", "192.0.2.1")
    assert Said(server, "a", Answer(Rcode.OK)).why == ""
    assert Said(server, "a", TEMPFAIL).why == "no answer"
    assert Said(server, "a", ServerAnswer(Rcode.TEMPFAIL, why="is gone")).why == "is gone"
