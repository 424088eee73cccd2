"""Checks of whole records: the golden cases of tests/vectors/spf, and hostile DNS data."""

from __future__ import annotations

import ipaddress
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.dns import Zone
from msgauth.ask import Answer, Question, Rcode
from msgauth.drive import solve
from msgauth.mail_address import MailAddress
from msgauth.results import SpfStatus
from msgauth.spf import SpfResult, check_helo, check_mail_from

VECTORS = Path(__file__).parents[3] / "vectors" / "spf"
CLIENT = ipaddress.ip_address("192.0.2.1")


def golden() -> list[Any]:
    cases = []
    for path in sorted(VECTORS.glob("*.toml")):
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        zone = Zone.of(data["zone"])
        cases += [
            pytest.param(zone, case, id=f"{path.stem}: {case['what']}") for case in data["case"]
        ]
    return cases


@pytest.mark.parametrize(("zone", "case"), golden())
def test_golden_case(zone: Zone, case: dict[str, Any]) -> None:
    client = ipaddress.ip_address(case["client"])
    helo = case.get("helo", "helo.example")
    receiver, now = "mail.receiver.example", 1_700_000_000
    if case.get("identity") == "helo":
        lookup = check_helo(client, helo, receiver=receiver, now=now)
    else:
        lookup = check_mail_from(
            client, helo, MailAddress.parse(case["sender"]), receiver=receiver, now=now
        )
    result = solve(lookup, zone.resolve)
    assert result.status == case["status"], result.reason
    found = {
        "reason": result.reason,
        "mechanism": result.mechanism,
        "explanation": result.explanation,
        "checked": result.sender,
        "properties": [f"{p.ptype}.{p.name}={p.value}" for p in result.properties],
    }
    assert found == found | {key: case[key] for key in found if key in case}


def check(zone: Zone, sender: str = "a@example.org") -> tuple[SpfResult, list[Question]]:
    asked: list[Question] = []

    def resolve(question: Question) -> Answer:
        asked.append(question)
        return zone.resolve(question)

    return solve(check_mail_from(CLIENT, "helo.example", MailAddress.parse(sender)), resolve), asked


def test_an_explanation_is_only_asked_for_when_it_is_wanted() -> None:
    zone = Zone.of(
        {"example.org": {"TXT": "v=spf1 -all exp=why.example"}, "why.example": {"TXT": "x"}}
    )
    asked: list[str] = []

    def resolve(question: Question) -> Answer:
        asked.append(question.name)
        return zone.resolve(question)

    result = solve(
        check_mail_from(CLIENT, "h.example", MailAddress.parse("a@example.org"), explain=False),
        resolve,
    )
    assert (result.status, result.explanation) == (SpfStatus.FAIL, "")
    assert asked == ["example.org"]


def test_a_hostile_tree_of_records_asks_a_bounded_number_of_questions() -> None:
    hosts = [f"{n} h{n}.example" for n in range(10)]
    names = [f"{n}.ptr.example" for n in range(100)]
    zone = Zone.of(
        {
            "example.org": {
                "TXT": "v=spf1 " + "mx:m.example " * 9 + "ptr:ptr.example exists:%{p}.example -all"
            },
            "m.example": {"MX": hosts},
            "1.2.0.192.in-addr.arpa": {"PTR": names},
        }
    )
    result, asked = check(zone)
    assert result.status == SpfStatus.PERMERROR
    assert len(asked) <= 1 + 9 * 11 + 11


def test_a_hundred_records_at_a_name_are_looked_through() -> None:
    texts = [f"v=spf1{n} -all" for n in range(99)] + ["v=spf1 +all"]
    result, asked = check(Zone.of({"example.org": {"TXT": texts}}))
    assert result.status == SpfStatus.PASS
    assert len(asked) == 1
    result, _ = check(Zone.of({"example.org": {"TXT": ["v=spf1 +all"] * 100}}))
    assert result.status == SpfStatus.PERMERROR


@pytest.mark.parametrize(
    "text",
    [
        "v=spf1 " + "ip4:192.0.2.1 " * 5000,
        "v=spf1 " + "a" * 65000,
        "v=spf1 exists:" + "%{s}" * 16000,
        "v=spf1 a:" + "%" * 60000,
        "v=spf1 ip4:" + "1" * 60000,
        "v=spf1 a:x.example/" + "1" * 60000,
    ],
)
def test_a_record_of_64_kilobytes_is_refused(text: str) -> None:
    result, _ = check(Zone.of({"example.org": {"TXT": text}}))
    assert result.status == SpfStatus.PERMERROR
    assert len(result.reason) < 300


def test_a_name_that_expands_beyond_all_bounds_is_cut_or_not_asked_for() -> None:
    zone = Zone.of({"example.org": {"TXT": "v=spf1 exists:" + "%{l}." * 1000 + "example.org ?all"}})
    result, asked = check(zone, "a.b@example.org")
    assert result.status == SpfStatus.NEUTRAL
    assert all(len(question.name) <= 253 for question in asked)
    _, asked = check(zone, "x" * 5000 + "@example.org")
    assert [question.name for question in asked] == ["example.org", "example.org"]
    _, asked = check(zone, "x" * 64 + "@example.org")
    assert [question.name for question in asked] == ["example.org"]


def test_lies_of_the_dns_are_no_matches() -> None:
    zone = Zone.of(
        {
            "example.org": {
                "TXT": "v=spf1 a mx ptr ?all",
                "A": ["2001:db8::1", "nonsense", ""],
                "MX": ["", "x", "10"],
            },
            "1.2.0.192.in-addr.arpa": {"PTR": ["", "..", "example.org"]},
        }
    )
    result, _ = check(zone)
    assert result.status == SpfStatus.NEUTRAL


@pytest.mark.parametrize("path", ["TXT", "A", "MX", "mx host"])
def test_a_temporary_failure_is_never_a_permanent_verdict(path: str) -> None:
    zone = Zone.of(
        {
            "example.org": {"TXT": "v=spf1 a:h.example mx -all", "MX": "10 mx.example"},
            "h.example": {"A": "203.0.113.1"},
            "mx.example": {"A": "203.0.113.2"},
        }
    )

    def resolve(question: Question) -> Answer:
        fails = question.name == "mx.example" if path == "mx host" else question.rdtype == path
        return Answer(Rcode.TEMPFAIL) if fails else zone.resolve(question)

    result = solve(
        check_mail_from(CLIENT, "helo.example", MailAddress.parse("a@example.org")), resolve
    )
    assert result.status == SpfStatus.TEMPERROR


SOME_TERMS = """
    a mx ptr all -all ~all ?all a:a.example mx:b.example//64 a/24 include:a.example moo a:%{h}
    include:b.example exists:%{ir}.%{v}.c.example exists:%{p}.b.example redirect=a.example
    redirect=c.example exp=b.example ip4:192.0.2.0/24 -ip6:::/0 x=%{l} a:%{d1r}.example
    ptr:example exists:%{l}.%{o}.%{d}
"""
TERMS = st.sampled_from(SOME_TERMS.split())
RECORDS = st.lists(TERMS, max_size=6).map(lambda terms: " ".join(["v=spf1", *terms]))
NAMES = ["a.example", "b.example", "c.example", "example", "1.2.0.192.in-addr.arpa"]
TABLES = st.fixed_dictionaries(
    {},
    optional={
        "TXT": st.one_of(RECORDS, st.lists(RECORDS | st.text(max_size=20), max_size=3)),
        "A": st.lists(st.sampled_from(["192.0.2.1", "203.0.113.1"]), max_size=3),
        "AAAA": st.lists(st.sampled_from(["2001:db8::1", "2001:db8::2"]), max_size=3),
        "MX": st.lists(st.sampled_from(["10 a.example", "0 ."]), max_size=12),
        "PTR": st.lists(st.sampled_from(NAMES), max_size=12),
        "rcode": st.just("tempfail"),
    },
)


@given(
    st.dictionaries(st.sampled_from(NAMES), TABLES),
    st.ip_addresses(),
    st.text(max_size=30),
    st.text(max_size=30) | st.sampled_from(["x@a.example", "", "ü.ö@b.example"]),
)
def test_any_zone_and_client_give_a_result_in_a_bounded_number_of_questions(
    tables: dict[str, Any], client: ipaddress.IPv4Address, helo: str, sender: str
) -> None:
    zone = Zone.of(tables)
    asked = 0

    def resolve(question: Question) -> Answer:
        nonlocal asked
        asked += 1
        return zone.resolve(question)

    result = solve(check_mail_from(client, helo, MailAddress.parse(sender)), resolve)
    assert isinstance(result.status, SpfStatus)
    assert result.reason.isprintable()
    assert result.explanation.isascii()
    assert asked <= 1 + 10 * 11 + 11 + 1


@pytest.mark.parametrize("name", ["localhost", "com.", "", "[192.0.2.1]", "a..example", "x" * 300])
def test_what_is_no_name_of_a_domain_asks_nothing(name: str) -> None:
    """RFC 7208 section 4.3: the result is "none" at once."""

    def never(question: Question) -> Answer:
        raise AssertionError(question)

    for lookup in (check_helo(CLIENT, name), check_mail_from(CLIENT, name, MailAddress.parse(""))):
        assert solve(lookup, never).status == "none"
    assert (
        solve(check_mail_from(CLIENT, "h.example", MailAddress.parse(f"a@{name}")), never).status
        == "none"
    )
