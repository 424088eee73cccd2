import ipaddress

import pytest

from gatepost.dns import Zone
from msgauth.ask import Answer, Question
from msgauth.drive import solve
from msgauth.iprev import check_iprev
from msgauth.results import IprevStatus, Property

ZONE = Zone.parse("""
["1.2.0.192.in-addr.arpa"]
PTR = ["other.example", "MX.example", "later.example"]
["mx.example"]
A = ["203.0.113.1", "192.0.2.1"]
AAAA = "2001:db8::1"
["other.example"]
A = "203.0.113.1"
["later.example"]
A = "192.0.2.1"

["1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"]
PTR = "mx.example"

["2.2.0.192.in-addr.arpa"]
PTR = ["other.example", "nowhere.example", "a b.example", "", "mx.example"]
["4.2.0.192.in-addr.arpa"]
rcode = "tempfail"
["5.2.0.192.in-addr.arpa"]
PTR = ["dead.example", "mx.example"]
["dead.example"]
rcode = "tempfail"
["6.2.0.192.in-addr.arpa"]
PTR = ["dead.example", "six.example"]
["six.example"]
A = ["nonsense", "2001:db8::6", "192.0.2.6"]
""")


@pytest.mark.parametrize(
    ("client", "status", "name", "reason"),
    [
        ("192.0.2.1", "pass", "mx.example", "mx.example has the address 192.0.2.1"),
        ("::ffff:192.0.2.1", "pass", "mx.example", "mx.example has the address 192.0.2.1"),
        ("2001:db8::1", "pass", "mx.example", "mx.example has the address 2001:db8::1"),
        ("192.0.2.2", "fail", "", "no name of 192.0.2.2 has this address"),
        ("192.0.2.3", "permerror", "", "192.0.2.3 has no name"),
        ("192.0.2.4", "temperror", "", "DNS gave no answer for the name of 192.0.2.4"),
        ("192.0.2.5", "temperror", "", "DNS gave no answer for dead.example A"),
        ("192.0.2.6", "pass", "six.example", "six.example has the address 192.0.2.6"),
    ],
)
def test_a_name_counts_when_it_leads_back(client: str, status: str, name: str, reason: str) -> None:
    result = solve(check_iprev(ipaddress.ip_address(client)), ZONE.resolve)
    assert (result.status, result.name, result.reason) == (status, name, reason)
    address = "192.0.2.1" if "ffff" in client else client
    assert result.properties == (Property("policy", "iprev", address),)


def test_no_more_than_ten_names_are_looked_up() -> None:
    names = tuple(f'"n{n}.example"' for n in range(100))
    zone = Zone.parse(f'["1.2.0.192.in-addr.arpa"]\nPTR = [{", ".join(names)}]')
    asked: list[Question] = []

    def resolve(question: Question) -> Answer:
        asked.append(question)
        return zone.resolve(question)

    result = solve(check_iprev(ipaddress.ip_address("192.0.2.1")), resolve)
    assert result.status is IprevStatus.FAIL
    assert len(asked) == 1 + 10
