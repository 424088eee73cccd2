"""A report as text, as data and as a zone file that name servers read."""

from __future__ import annotations

import json

import dns.name
import dns.rdatatype
import dns.zone
import dns.zonefile
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.dnscheck import DnsFinding, DomainReport, FindingLevel, WebFile, check, one_by_one
from accounts.dnscheck.zonefile import record_line
from gatepost.dns.names import to_text
from msgauth import answers_from, solve
from tests.unit.accounts.dnscheck.wished import ED25519, GOOD, KEY, expectations

LONG = "v=DKIM1; k=rsa; p=" + "A" * 392


def served(text: str, origin: str = ".") -> set[tuple[str, str, str]]:
    """Every record that a name server reads from the text."""
    zone = dns.zone.from_text(
        text, origin=origin, relativize=False, check_origin=False, allow_include=False
    )
    return {
        (name.to_text(omit_final_dot=True), dns.rdatatype.to_text(rdata.rdtype), to_text(rdata))
        for name, _, rdata in zone.iterate_rdatas()
    }


def test_the_zone_file_is_what_makes_all_well() -> None:
    """The records of the zone file, served, leave nothing to complain of but others' zones."""
    nothing = solve(one_by_one(check("example.org", expectations())), answers_from({}))
    records = dict(GOOD)
    for key in GOOD:
        if key[0].endswith("example.org") and key[0] not in ("out.example.org", "www.example.org"):
            del records[key]
    for name, rdtype, record in served(nothing.as_zone()):
        kept = records.setdefault((name, rdtype), [])  # type: ignore[arg-type]
        assert isinstance(kept, list)
        kept.append(record)
    again = solve(one_by_one(check("example.org", expectations())), answers_from(records))
    assert [one for one in again.findings if one.level is not FindingLevel.OK] == []
    assert ("example.org", "MX") in records
    assert ("s1._domainkey.example.org", "TXT") in records


def test_records_of_others_are_comments() -> None:
    made = solve(one_by_one(check("example.org", expectations())), answers_from({}))
    zone = made.as_zone()
    assert "\n; 1.2.0.192.in-addr.arpa. 3600 IN PTR mx1.example.org." in zone
    assert all(name.endswith("example.org") for name, _, _ in served(zone))


def test_a_text_that_is_right_stays() -> None:
    made = solve(one_by_one(check("example.org", expectations())), answers_from(GOOD))
    texts = {record for name, _, record in served(made.as_zone()) if name == "example.org"}
    assert "v=spf1 mx ip4:198.51.100.7 include:n.example -all" in texts
    assert served(made.as_zone(only_missing=True)) == set()


def test_only_what_is_missing() -> None:
    records = {key: value for key, value in GOOD.items() if key[0] != "ed._domainkey.example.org"}
    made = solve(one_by_one(check("example.org", expectations())), answers_from(records))
    assert served(made.as_zone(only_missing=True)) == {
        ("ed._domainkey.example.org", "TXT", ED25519)
    }


@given(st.text(st.characters(max_codepoint=255), max_size=600))
def test_a_text_is_read_back(text: str) -> None:
    line = record_line("a.example.org", "TXT", text, 60)
    assert line.isascii()
    assert served(line + "\n") == {("a.example.org", "TXT", text)}


@pytest.mark.parametrize(
    ("rdtype", "record"),
    [("MX", "10 mx.example.org"), ("MX", "0 ."), ("SRV", "0 1 993 imap.example.org"),
     ("SRV", "0 0 0 ."), ("CNAME", "www.example.org"), ("A", "192.0.2.1"), ("AAAA", "2001:db8::1"),
     ("PTR", "mx.example.org"), ("TLSA", "3 1 1 " + "ab" * 32)],
)  # fmt: skip
def test_a_record_is_read_back(rdtype: str, record: str) -> None:
    line = record_line("a.example.org", rdtype, record, 60)  # type: ignore[arg-type]
    assert served(line + "\n") == {("a.example.org", rdtype, record)}


def test_a_long_text_is_split_within_parentheses() -> None:
    line = record_line("s._domainkey.example.org", "TXT", LONG, 3600)
    assert line == (
        f's._domainkey.example.org. 3600 IN TXT (\n    "{LONG[:255]}"\n    "{LONG[255:]}" )'
    )


TEXT = f"""\
example.org: 1 error, 1 without an answer, 1 as it should be

error    DKIM: s1._domainkey.example.org TXT
  The key s1._domainkey.example.org is not in DNS, so signatures with it do not
  verify.
  should  {LONG[:8]} k=rsa; p={"A" * 52}
          {"A" * 70}
          {"A" * 70}
          {"A" * 70}
          {"A" * 70}
          {"A" * 60}

ok       example.org MX
  The mail of example.org goes to a\\x1b[31mb.
  is      10 a\\x1b[31mb

unknown  example.org AAAA
  no answer

Not fetched, so not checked: https://mta-sts.example.org/x
  The file should contain:
    version: STSv1
    mode: testing
"""


def test_the_text_fits_a_terminal() -> None:
    made = DomainReport(
        "example.org",
        (
            DnsFinding("DKIM", "s1._domainkey.example.org", "TXT", FindingLevel.ERROR,
                    "The key s1._domainkey.example.org is not in DNS, so signatures with it do not "
                    "verify.", (), (LONG,)),
            DnsFinding("MX", "example.org", "MX", FindingLevel.OK,
                    "The mail of example.org goes to a\x1b[31mb.", ("10 a\x1b[31mb",), ("x",)),
            DnsFinding("AAAA", "example.org", "AAAA", FindingLevel.UNKNOWN, "no answer"),
        ),
        (WebFile("https://mta-sts.example.org/x", "version: STSv1\r\nmode: testing\r\n"),),
    )  # fmt: skip
    assert made.as_text() == TEXT
    assert max(map(len, made.as_text(40).split("\n"))) <= 40
    assert made.level is FindingLevel.ERROR


def test_the_text_shows_some_of_many_records() -> None:
    records = tuple(f"record {at} " + "x" * 5000 for at in range(60))
    made = DomainReport(
        "a.example", (DnsFinding("SPF", "a.example", "TXT", FindingLevel.OK, "Many.", records),)
    )
    assert "record 9" in made.as_text()
    assert "record 10" not in made.as_text()
    assert "and 50 more" in made.as_text()
    assert len(made.as_text()) < 20_000
    assert len(made.as_data()["findings"][0]["found"]) == 50


def test_the_data_is_json() -> None:
    made = solve(one_by_one(check("example.org", expectations())), answers_from(GOOD))
    data = json.loads(json.dumps(made.as_data()))
    assert (data["domain"], data["level"]) == ("example.org", "ok")
    assert {
        "topic": "DKIM",
        "name": "s1._domainkey.example.org",
        "type": "TXT",
        "level": "ok",
        "text": "The key s1._domainkey.example.org is in DNS.",
        "found": [KEY],
        "wanted": [KEY],
    } in data["findings"]
    assert [file["url"] for file in data["files"]] == [
        "https://mta-sts.example.org/.well-known/mta-sts.txt"
    ]
