"""Each record of a domain is judged by what it does, and a failure of DNS is none of a record."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.address import AccountAddressError
from accounts.dnscheck import (
    DnsFinding,
    DomainReport,
    Expectations,
    FindingLevel,
    check,
    one_by_one,
)
from msgauth import Answer, Question, Rcode, RdType, answers_from, solve
from tests.unit.accounts.dnscheck.wished import ED25519, GOOD, KEY, TLSA, Records, expectations

NOTHING: list[str] = []


def report(changes: Records | None = None, expected: Expectations | None = None) -> DomainReport:
    answers = answers_from({**GOOD, **(changes or {})})
    return solve(one_by_one(check("Example.org.", expected or expectations())), answers)


def found(name: str, rdtype: str, made: DomainReport) -> DnsFinding:
    (finding,) = [one for one in made.findings if (one.name, one.type) == (name, rdtype)]
    return finding


def test_a_domain_that_is_as_it_should_be_has_no_complaint() -> None:
    made = report()
    assert [one for one in made.findings if one.level is not FindingLevel.OK] == []
    assert made.level is FindingLevel.OK
    assert made.domain == "example.org"
    # every name that was made up for the test is looked at, but for those on the way
    seen = {(one.name, one.type) for one in made.findings}
    on_the_way = {"n.example", "out.example.org", "www.example.org", "autoconfig.example.org"}
    assert {key for key in GOOD if key[0] not in on_the_way} <= seen


@pytest.mark.parametrize(
    ("name", "rdtype", "records", "level", "text"),
    [
        ("example.org", "MX", NOTHING, "error",
         "example.org has no MX record, so its mail does not come here."),
        ("example.org", "MX", Rcode.NXDOMAIN, "error", "example.org does not exist in DNS."),
        ("example.org", "MX", ["0 ."], "error",
         "example.org has a null MX record, which says that it takes no mail."),
        ("example.org", "MX", ["10 a.example", "20 b.example"], "error",
         "The mail of example.org goes to a.example and b.example and not to our hosts."),
        ("example.org", "MX", ["10 mx1.example.org", "10 mx2.example.org", "20 a.example"],
         "warning", "Some mail of example.org may go to a.example, not a host of ours."),
        ("example.org", "MX", ["10 mx1.example.org"], "warning",
         "The MX records of example.org leave out mx2.example.org."),
        ("mx1.example.org", "CNAME", ["a.example"], "error",
         "mx1.example.org is an alias, which the host of an MX record must not be."),
        ("mx1.example.org", "A", ["192.0.2.9"], "error",
         "mx1.example.org does not lead to 192.0.2.1."),
        ("mx1.example.org", "A", ["192.0.2.9", "192.0.2.1"], "warning",
         "mx1.example.org also leads to 192.0.2.9, which is not known as its address."),
        ("mx2.example.org", "AAAA", ["2001:db8::2"], "warning",
         "mx2.example.org also leads to 2001:db8::2, which is not known as its address."),
        ("mx1.example.org", "AAAA", NOTHING, "error",
         "mx1.example.org does not lead to 2001:db8::1."),
        ("1.2.0.192.in-addr.arpa", "PTR", NOTHING, "error",
         "192.0.2.1 has no name, so many hosts refuse mail from it."),
        ("1.2.0.192.in-addr.arpa", "PTR", ["pool-1.isp.example"], "error",
         "No name of 192.0.2.1 leads back to it, so many hosts refuse mail from it."),
        ("example.org", "TXT", ["other"], "error",
         "example.org has no SPF record, so anybody can send in its name."),
        ("example.org", "TXT", ["v=spf1 mx -all", "v=spf1 -all"], "error",
         "example.org has 2 SPF records; with more than one, none counts."),
        ("example.org", "TXT", ["v=spf1 mx ipv4:192.0.2.1 -all"], "error",
         "The SPF record of example.org is broken: 'ipv4:192.0.2.1' is not a mechanism."),
        ("example.org", "TXT", ["v=spf1 mx -all"], "error",
         "The SPF record of example.org does not let 198.51.100.7 pass (fail)."),
        ("example.org", "TXT", ["v=spf1 mx ip4:198.51.100.7 +all"], "error",
         "The SPF record of example.org lets every host in the world pass."),
        ("example.org", "TXT", ["v=spf1 mx ip4:198.51.100.7"], "warning",
         "The SPF record of example.org says nothing about other hosts: let it end in -all."),
        ("example.org", "TXT", ["v=spf1 mx ip4:198.51.100.7 ~all"], "ok",
         "The SPF record of example.org lets our hosts pass and no others."),
        ("s1._domainkey.example.org", "TXT", NOTHING, "error",
         "The key s1._domainkey.example.org is not in DNS, so signatures with it do not verify."),
        ("s1._domainkey.example.org", "TXT", [KEY, KEY], "error",
         "s1._domainkey.example.org has 2 records; verifiers may take the wrong one."),
        ("s1._domainkey.example.org", "TXT", ["v=DKIM1; p="], "error",
         "DNS says that the key s1._domainkey.example.org is revoked."),
        ("s1._domainkey.example.org", "TXT", [KEY[:60]], "error", None),
        ("s1._domainkey.example.org", "TXT", [ED25519], "error",
         "DNS has another key at s1._domainkey.example.org than the one that signs."),
        ("s1._domainkey.example.org", "TXT", [f"{KEY}; t=y"], "warning",
         "The record of the key s1._domainkey.example.org says that it is only a test (t=y)."),
        ("s1._domainkey.example.org", "TXT", [f"{KEY}; h=sha1"], "error",
         "The record of the key s1._domainkey.example.org does not allow SHA-256."),
        ("s1._domainkey.example.org", "TXT", [f"{KEY}; s=tlsrpt"], "error",
         "The record of the key s1._domainkey.example.org does not allow mail."),
        ("s1._domainkey.example.org", "TXT", [f"{KEY}; n=note; s=email"], "ok",
         "The key s1._domainkey.example.org is in DNS."),
        ("_dmarc.example.org", "TXT", NOTHING, "error",
         "example.org has no DMARC record, so forgeries of its mail pass."),
        ("_dmarc.example.org", "TXT", ["v=DMARC1; p=reject"] * 2, "error",
         "example.org has 2 DMARC records; with more than one, none counts."),
        ("_dmarc.example.org", "TXT", ["v=DMARC1; p=refuse"], "error",
         "The DMARC record of example.org is broken, so forgeries pass."),
        ("_dmarc.example.org", "TXT", ["v=DMARC1; p=none; rua=mailto:dmarc@reports.example"],
         "warning", "DMARC asks for none when mail of example.org fails, "
         "less than the reject that is wished."),
        ("_dmarc.example.org", "TXT", ["v=DMARC1; p=reject; t=y"], "warning",
         "DMARC asks for quarantine when mail of example.org fails, "
         "less than the reject that is wished."),
        ("_dmarc.example.org", "TXT", ["v=DMARC1; p=reject; np=none"], "warning",
         "DMARC asks for none when mail of a name below example.org fails, "
         "and for reject when mail of example.org does."),
        ("_dmarc.example.org", "TXT", ["v=DMARC1; p=reject"], "warning",
         "The DMARC record of example.org sends mailto:dmarc@reports.example no report."),
        ("example.org._report._dmarc.reports.example", "TXT", NOTHING, "warning",
         "reports.example does not say that it takes DMARC reports about example.org, "
         "so none are sent."),
        ("_mta-sts.example.org", "TXT", ["v=STSv2; id=1"], "warning",
         "example.org announces no MTA-STS policy, so TLS can be stripped."),
        ("_mta-sts.example.org", "TXT", ["v=STSv1; id=1"] * 2, "warning",
         "example.org has 2 MTA-STS records; none of them counts."),
        ("_mta-sts.example.org", "TXT", ["v=STSv1; id=a-b"], "warning",
         "The MTA-STS record of example.org has no usable id."),
        ("_smtp._tls.example.org", "TXT", NOTHING, "warning",
         "example.org does not say where reports about TLS go."),
        ("_smtp._tls.example.org", "TXT", ["v=TLSRPTv1; rua=mailto:a@example.org"] * 2, "warning",
         "example.org has 2 TLSRPT records; none of them counts."),
        ("_smtp._tls.example.org", "TXT", ["v=TLSRPTv1;"], "warning",
         "The TLSRPT record of example.org has no rua=."),
        ("_smtp._tls.example.org", "TXT", ["v=TLSRPTv1; rua=https://a.example/b"], "warning",
         "The TLSRPT record of example.org leaves out mailto:tls@example.org."),
        ("_smtp._tls.example.org", "TXT",
         ["v=TLSRPTv1;rua= https://a.example/b , mailto:tls@example.org ;"], "ok",
         "Reports about TLS go to https://a.example/b and mailto:tls@example.org."),
        ("_25._tcp.mx1.example.org", "TLSA", NOTHING, "warning",
         "mx1.example.org has no TLSA record."),
        ("_25._tcp.mx1.example.org", "TLSA", [TLSA.replace("ab", "cd")], "error",
         "No TLSA record of mx1.example.org is the wished one, so hosts that check them send no "
         "mail."),
        ("_25._tcp.mx1.example.org", "TLSA", [TLSA.upper(), "2 0 1 00"], "ok",
         "mx1.example.org has the wished TLSA record; it counts if DNSSEC signs it."),
        ("_25._tcp.mx2.example.org", "TLSA", [TLSA], "warning",
         "mx2.example.org has TLSA records: a certificate that matches none of them stops mail."),
        ("_imaps._tcp.example.org", "SRV", NOTHING, "warning",
         "Mail programs find no record of imaps for example.org."),
        ("_imaps._tcp.example.org", "SRV", ["0 1 993 imap.old.example"], "warning",
         "Mail programs are sent to another place for imaps of example.org."),
        ("_imaps._tcp.example.org", "SRV", ["0 1 143 imap.example.org"], "warning",
         "Mail programs are sent to another place for imaps of example.org."),
        ("_pop3._tcp.example.org", "SRV", ["0 1 110 pop.example.org"], "warning",
         "Mail programs are sent to another place for pop3 of example.org."),
        ("autodiscover.example.org", "CNAME", NOTHING, "warning",
         "autodiscover.example.org has no address."),
        ("autodiscover.example.org", "CNAME", ["old.example"], "warning",
         "autodiscover.example.org has no address."),
    ],
)  # fmt: skip
def test_a_record_is_judged(
    name: str, rdtype: RdType, records: list[str] | Rcode, level: str, text: str | None
) -> None:
    finding = found(name, rdtype, report({(name, rdtype): records}))
    assert finding.level == level
    assert text is None or finding.text == text
    if isinstance(records, list) and level != "ok" and records != ["other"]:
        assert set(finding.found) <= set(records)


def test_a_name_that_leads_back_and_is_another_one_is_a_warning() -> None:
    made = report(
        {("1.2.0.192.in-addr.arpa", "PTR"): ["x.example"], ("x.example", "A"): ["192.0.2.1"]}
    )
    finding = found("1.2.0.192.in-addr.arpa", "PTR", made)
    assert finding.level is FindingLevel.WARNING
    assert finding.text == "192.0.2.1 has the name x.example, which is not that of the mail host."


def test_a_web_name_may_lead_elsewhere() -> None:
    made = report({("autoconfig.example.org", "A"): ["192.0.2.81", "192.0.2.80"]})
    finding = found("autoconfig.example.org", "CNAME", made)
    assert finding.level is FindingLevel.WARNING
    assert finding.text == "autoconfig.example.org leads to 192.0.2.81 and not to www.example.org."


@pytest.mark.parametrize(
    ("records", "level", "text"),
    [
        ({}, "warning", "mta-sts.example.org has no address."),
        ({("mta-sts.example.org", "A"): ["192.0.2.5"]}, "ok",
         "mta-sts.example.org leads to 192.0.2.5."),
    ],
)  # fmt: skip
def test_the_host_of_the_policy_needs_an_address(records: Records, level: str, text: str) -> None:
    """Also where nothing is said about web servers."""
    made = report(
        {("mta-sts.example.org", "CNAME"): NOTHING, **records}, expectations(web_host=None)
    )
    finding = found("mta-sts.example.org", "CNAME", made)
    assert (finding.level, finding.text) == (level, text)
    assert not [one for one in made.findings if one.name.startswith("auto")]


def test_spf_that_asks_too_much_is_broken() -> None:
    terms = " ".join(f"include:i{n}.example" for n in range(11))
    includes: Records = {(f"i{n}.example", "TXT"): ["v=spf1 -all"] for n in range(11)}
    made = report({("example.org", "TXT"): [f"v=spf1 {terms} mx -all"], **includes})
    finding = found("example.org", "TXT", made)
    assert finding.level is FindingLevel.ERROR
    assert finding.text.startswith("The SPF record of example.org is broken: ")


@pytest.mark.parametrize(
    ("record", "level", "text"),
    [
        ("v=spf1 mx -all", FindingLevel.OK, "lets our hosts pass and no others."),
        ("v=spf1 -all", FindingLevel.ERROR, "does not let 192.0.2.1 and 2001:db8::1 pass (fail)."),
        ("v=spf1 ip4:192.0.2.1 -all", FindingLevel.ERROR, "does not let 2001:db8::1 pass (fail)."),
    ],
)
def test_spf_is_tried_with_the_addresses_that_hosts_have_in_dns(
    record: str, level: FindingLevel, text: str
) -> None:
    by_name = expectations(hosts=[{"name": "mx1.example.org"}], senders=[])
    changes: Records = {
        ("example.org", "TXT"): [record],
        ("example.org", "MX"): ["10 mx1.example.org"],
    }
    finding = found("example.org", "TXT", report(changes, by_name))
    assert (finding.level, finding.text) == (level, f"The SPF record of example.org {text}")
    failures: list[Records] = [
        {("mx1.example.org", "A"): Rcode.TEMPFAIL},
        {("mx1.example.org", "AAAA"): Rcode.TEMPFAIL},
    ]
    for failure in failures:
        finding = found("example.org", "TXT", report(changes | failure, by_name))
        assert finding.level is FindingLevel.UNKNOWN


@pytest.mark.parametrize(("name", "rdtype"), list(GOOD))
def test_a_failure_of_dns_is_said_as_such(name: str, rdtype: RdType) -> None:
    """A question without an answer never makes a record missing or wrong."""
    made = report({(name, rdtype): Rcode.TEMPFAIL})
    levels = {one.level for one in made.findings}
    assert levels == {FindingLevel.OK, FindingLevel.UNKNOWN}
    for finding in made.findings:
        if finding.level is FindingLevel.UNKNOWN:
            assert "gave no answer" in finding.text or "could not be tried" in finding.text


def test_nothing_is_known_while_dns_is_away() -> None:
    made = solve(
        one_by_one(check("example.org", expectations())), lambda question: Answer(Rcode.TEMPFAIL)
    )
    assert {one.level for one in made.findings} == {FindingLevel.UNKNOWN}


@pytest.mark.parametrize("answer", [Rcode.TEMPFAIL, NOTHING])
def test_a_host_whose_addresses_are_those_of_dns(answer: list[str] | Rcode) -> None:
    hosts = [{"name": "mx.example.org"}]
    made = report(
        {("mx.example.org", "A"): answer, ("mx.example.org", "AAAA"): NOTHING},
        expectations(hosts=hosts),
    )
    told = [(one.type, one.level) for one in made.findings if one.name == "mx.example.org"]
    assert told == [("A", FindingLevel.ERROR if answer == NOTHING else FindingLevel.UNKNOWN)]


def test_a_domain_without_anything_has_all_to_publish() -> None:
    made = solve(one_by_one(check("example.org", expectations())), answers_from({}))
    assert {one.level for one in made.findings} == {FindingLevel.ERROR, FindingLevel.WARNING}
    assert all(one.wanted or one.topic == "reverse name" for one in made.findings)


def test_the_policy_of_a_domain_above_applies() -> None:
    def of(sub: str, record: str) -> DnsFinding:
        answers = answers_from({("_dmarc.example.org", "TXT"): [record]})
        expected = expectations(dmarc_reports=[])
        made = solve(one_by_one(check(sub, expected)), answers)
        return found(f"_dmarc.{sub}", "TXT", made)

    finding = of("a.b.example.org", "v=DMARC1; p=reject")
    assert finding.level is FindingLevel.OK
    assert finding.text == (
        "DMARC asks for reject when mail of a.b.example.org fails by the record of example.org."
    )
    assert (finding.found, finding.wanted) == ((), ())
    assert of("a.b.example.org", "v=DMARC1; p=reject; sp=none").level is FindingLevel.WARNING
    assert of("a.b.example.org", "v=DMARC1; p=none; sp=reject").level is FindingLevel.OK


def test_reports_to_a_domain_of_the_same_owner_need_no_leave() -> None:
    made = report(
        {("_dmarc.example.org", "TXT"): ["v=DMARC1; p=reject; rua=mailto:a@mail.example.org"]},
        expectations(dmarc_reports=["mailto:a@mail.example.org"]),
    )
    assert [one.name for one in made.findings if one.topic == "DMARC"] == ["_dmarc.example.org"]


def test_a_policy_file_is_not_fetched_but_shown() -> None:
    (file,) = report().files
    assert file.url == "https://mta-sts.example.org/.well-known/mta-sts.txt"
    assert file.text == (
        "version: STSv1\r\nmode: enforce\r\nmx: mx1.example.org\r\nmx: mx2.example.org\r\n"
        "max_age: 604800\r\n"
    )


def test_the_id_of_the_policy_changes_with_the_policy() -> None:
    one, other = expectations(), expectations(mta_sts="testing")
    assert one.mta_sts_record() == expectations(ttl=60).mta_sts_record() != other.mta_sts_record()


def test_what_is_not_wished_is_not_missed() -> None:
    made = solve(
        one_by_one(check("example.org", Expectations.model_validate({"hosts": [{"name": "m.x"}]}))),
        answers_from({("m.x", "A"): ["192.0.2.1"]}),
    )
    assert {one.topic for one in made.findings} == {
        "MX", "host", "reverse name", "SPF", "DKIM", "DMARC",
    }  # fmt: skip
    assert made.files == ()
    # the addresses of the host are those of DNS, and no key is active
    assert found("1.2.0.192.in-addr.arpa", "PTR", made).level is FindingLevel.ERROR
    assert found("_domainkey.example.org", "TXT", made).level is FindingLevel.WARNING


def test_what_is_published_without_a_wish_is_said() -> None:
    made = report(None, expectations(mta_sts=None, tls_reports=[]))
    finding = found("_mta-sts.example.org", "TXT", made)
    assert finding.level is FindingLevel.WARNING
    assert found("_smtp._tls.example.org", "TXT", made).level is FindingLevel.OK


def test_a_domain_that_is_none_is_refused() -> None:
    with pytest.raises(AccountAddressError):
        next(check("a b", expectations()))


_HOSTILE = st.text(st.characters(max_codepoint=255), max_size=40) | st.sampled_from(
    ["v=spf1 " + "a:x " * 50, "v=DMARC1; p=none; rua=mailto:a@\x1b[31m", "v=STSv1; id=" + "a" * 40,
     "v=TLSRPTv1; rua=,,,", "0 .", ". . . .", "10 " + "a" * 300, "\u00ff", "x" * 5000,
     "v=DKIM1; p=AAAA", "v=spf1 redirect=example.org", " ".join("1234")]
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_answer_makes_a_report(data: st.DataObject) -> None:
    """Records of strangers end no check and reach no terminal as they are."""
    answers = st.builds(
        Answer, st.sampled_from(Rcode), st.lists(_HOSTILE, max_size=12).map(tuple)
    )  # fmt: skip

    def resolve(question: Question) -> Answer:
        assert question.rdtype in get_args(RdType)
        return data.draw(answers)

    made = solve(one_by_one(check("example.org", expectations())), resolve)
    text: Any = made.as_text()
    assert text.replace("\n", "").isprintable()
    assert max(map(len, text.split("\n"))) <= 80
    assert made.as_data()["domain"] == "example.org"
    assert made.as_zone()
