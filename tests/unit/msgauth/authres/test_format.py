from __future__ import annotations

import re
from typing import cast

import authres
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msgauth.authres import AuthresError, format_field, format_value, parse
from msgauth.authres.format import MAX_REASON, MAX_VALUE
from msgauth.results import (
    ArcStatus,
    DkimStatus,
    DmarcStatus,
    Finding,
    IprevStatus,
    Property,
    SpfStatus,
)

FINDINGS = [
    Finding(
        "dkim",
        DkimStatus.PASS,
        "",
        (
            Property("header", "d", "example.org"),
            Property("header", "i", "@example.org"),
            Property("header", "s", "s2026"),
            Property("header", "a", "rsa-sha256"),
            Property("header", "b", "Zm9v/mFy"),
        ),
    ),
    Finding(
        "spf",
        SpfStatus.FAIL,
        "example.org does not authorize 192.0.2.1 (-all)",
        (Property("smtp", "mailfrom", "example.org"),),
    ),
    Finding("iprev", IprevStatus.PASS, "", (Property("policy", "iprev", "2001:db8::1"),)),
    Finding("dmarc", DmarcStatus.PASS, "", (Property("header", "from", "example.org"),)),
    Finding("arc", ArcStatus.NONE),
]


def test_all_findings_stand_in_one_field_a_line_each() -> None:
    field = format_field("mx.receiver.example", FINDINGS)
    assert field.name == b"Authentication-Results"
    assert field.value.decode().split("\r\n") == [
        " mx.receiver.example;",
        " dkim=pass header.d=example.org header.i=@example.org header.s=s2026",
        ' header.a=rsa-sha256 header.b="Zm9v/mFy";',
        ' spf=fail reason="example.org does not authorize 192.0.2.1 (-all)"',
        " smtp.mailfrom=example.org;",
        ' iprev=pass policy.iprev="2001:db8::1";',
        " dmarc=pass header.from=example.org;",
        " arc=none",
    ]


def test_without_findings_the_field_says_none() -> None:
    assert format_field("mx.example", []).value == b" mx.example;\r\n none"
    assert parse(format_value("mx.example", [])).results == ()


def test_an_id_that_is_no_token_is_quoted() -> None:
    assert format_value("mx.example/1", []).startswith('"mx.example/1";')
    assert parse(format_value('odd "id"', [])).authserv_id == 'odd "id"'


def test_an_empty_id_or_a_word_that_is_none_is_an_error() -> None:
    with pytest.raises(AuthresError, match="no authserv-id"):
        format_value("", [])
    with pytest.raises(AuthresError, match="no authserv-id"):
        format_value("x" * 1000, [])
    with pytest.raises(AuthresError, match="is not a keyword"):
        format_value("mx.example", [Finding("d kim", DkimStatus.PASS)])
    properties = (Property("header", "d=evil;", "x"),)
    with pytest.raises(AuthresError, match="is not a keyword"):
        format_value("mx.example", [Finding("dkim", DkimStatus.PASS, "", properties)])


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("example.org", "example.org"),
        ("@example.org", "@example.org"),
        ("a/b@example.org", "a/b@example.org"),
        ('"a b"@example.org', r'"\"a b\"@example.org"'),
        ("a@b@example.org", '"a@b@example.org"'),
        ("a@[192.0.2.1]", '"a@[192.0.2.1]"'),
        ("x; dmarc", '"x; dmarc"'),
        ("x\r\nEvil: yes", '"x??Evil: yes"'),
        ("x\0y", '"x?y"'),
        ("(comment", '"(comment"'),
        ('quote"', r'"quote\""'),
        ("back\\slash", r'"back\\slash"'),
        ("m\u00fcller@example.org", '"m?ller@example.org"'),
        ("\u202egro.elpmaxe", '"?gro.elpmaxe"'),
        ("\udc80", '"?"'),
    ],
)
def test_no_value_gets_out_of_its_place(value: str, written: str) -> None:
    finding = Finding("dkim", DkimStatus.PASS, "", (Property("header", "i", value),))
    assert format_value("mx.example", [finding]) == f"mx.example;\r\n dkim=pass header.i={written}"


# A reader that searches the field for a text must find in it what was found, and nothing else.
@pytest.mark.parametrize(
    "value",
    [
        "dmarc=pass@evil.example",
        "x; dmarc=pass header.from=bank.example",
        '"x; dmarc=pass header.from=bank.example"@evil.example',
        "dmarc = pass",
        "=?utf-8?q?dmarc=3Dpass?=@evil.example",
        "dmarc\uff1dpass",
        "dmarc\ufe66pass",
    ],
)
def test_a_value_in_which_somebody_could_find_a_result_is_left_out(value: str) -> None:
    properties = (Property("header", "i", value), Property("header", "d", "evil.example"))
    finding = Finding("dkim", DkimStatus.PASS, "", properties)
    for utf8 in (False, True):
        text = format_value("mx.example", [finding], utf8=utf8)
        assert text == "mx.example;\r\n dkim=pass header.d=evil.example"


@pytest.mark.parametrize(
    ("reason", "written"),
    [
        ("example.net has p=reject, t=y", "example.net has p=reject, t=y"),
        ("l= covers 5 of 10 octets", "l= covers 5 of 10 octets"),
        ("'x; dmarc=pass' is none", "'x; dmarc?pass' is none"),
        ("x header.from=bank.example", "x header.from?bank.example"),
        ("DMARC   = (x) PASS", "DMARC ? (x) PASS"),
        ('dmarc\\=pass dmarc="pass"', r"dmarc\\?pass dmarc?\"pass\""),
        ("dmarc =pass, p=pass, c==pass", "dmarc ?pass, p?pass, c=?pass"),
        ("=?utf-8?q?spf=3Dpass?=", "??utf-8?q?spf?3Dpass??"),
        ("dmarc-p=x", "dmarc-p?x"),
        ("dmarc\uff1dpass", "dmarc?pass"),
    ],
)
def test_nobody_finds_a_result_in_a_reason(reason: str, written: str) -> None:
    finding = Finding("dkim", DkimStatus.FAIL, reason)
    for utf8 in (False, True):
        text = format_value("mx.example", [finding], utf8=utf8).replace("\r\n", "")
        assert text == f'mx.example; dkim=fail reason="{written}"'


def test_an_id_with_an_equals_sign_stays() -> None:
    assert parse(format_value("mx=1", [])).authserv_id == "mx=1"


def test_utf8_stays_where_the_message_may_have_it() -> None:
    finding = Finding("dkim", DkimStatus.PASS, "sch\u00f6n", (Property("header", "i", "\u00fc@x"),))
    text = format_value("mx.example", [finding], utf8=True)
    assert text.endswith('dkim=pass reason="sch\u00f6n" header.i="\u00fc@x"')


def test_an_empty_or_overlong_value_is_left_out() -> None:
    properties = (
        Property("smtp", "mailfrom", ""),
        Property("smtp", "helo", "x" * (MAX_VALUE + 1)),
        Property("header", "i", "\u00fc" * MAX_VALUE),
    )
    finding = Finding("spf", SpfStatus.NONE, "", properties)
    assert format_value("mx.example", [finding], utf8=True) == "mx.example;\r\n spf=none"


def test_a_long_reason_is_folded_between_words_and_cut() -> None:
    finding = Finding("spf", SpfStatus.NONE, "many   words " * 100)
    text = format_value("mx.example", [finding])
    assert all(len(line) <= 78 for line in text.split("\r\n"))
    reason = parse(text).results[0].reason
    assert reason == " ".join(("many   words " * 100)[:MAX_REASON].split())


STATUSES = st.sampled_from([*DkimStatus, *SpfStatus, *DmarcStatus, *ArcStatus, *IprevStatus])
NAMES = st.from_regex(r"\A[a-z]([a-z0-9-]{0,8}[a-z0-9])?\Z")
VALUES = st.text(max_size=60) | st.text('ab.@;="\\()<>/ \r\n\t', max_size=30)
PROPERTIES = st.builds(
    Property, st.sampled_from(["header", "smtp", "policy", "body"]), NAMES, VALUES
)
ANY_FINDINGS = st.lists(
    st.builds(
        Finding,
        st.sampled_from(["dkim", "spf", "dmarc", "arc", "iprev", "auth"]),
        STATUSES,
        VALUES,
        st.lists(PROPERTIES, max_size=4).map(tuple),
    ),
    max_size=4,
)


def shown(text: str) -> str:
    return "".join(c if c.isprintable() and c.isascii() else "?" for c in text)


@given(st.sampled_from(["mx.example", "id with space", "mx.example/7"]), ANY_FINDINGS)
def test_what_is_written_is_read_as_it_was_meant(name: str, findings: list[Finding]) -> None:
    value = format_field(name, findings).value.decode("ascii")
    for line in value.split("\r\n"):
        assert line.startswith(" ")
        assert len(line) <= 998
        assert line.isprintable()
        assert line.strip()
    found = parse(value)
    assert found.authserv_id == name
    assert len(found.results) == len(findings)
    for finding, result in zip(findings, found.results, strict=True):
        assert (result.method, result.result) == (finding.method, finding.status)
        reason = " ".join(shown(finding.reason).split())
        assert result.reason.replace("=", "?") == reason.replace("=", "?")
        written = [
            Property(p.ptype, p.name, shown(p.value))
            for p in finding.properties
            if p.value and "=" not in p.value
        ]
        assert list(result.properties) == written


RESULTS_IN_TEXT = st.lists(
    st.sampled_from(
        [
            "dmarc",
            "spf",
            "p",
            "l",
            "header.from",
            "=",
            "=",
            "pass",
            "PASS",
            " ",
            "\\",
            '"',
            "(",
            "?",
        ]
    ),
    max_size=12,
).map("".join)


@given(RESULTS_IN_TEXT, RESULTS_IN_TEXT)
def test_whoever_searches_finds_only_what_was_found(reason: str, value: str) -> None:
    properties = (Property("header", "i", value), Property("header", "d", "evil.example"))
    finding = Finding("dkim", DkimStatus.FAIL, reason, properties)
    text = format_value("mx.example", [finding]).replace("\r\n", "")
    text = text.replace("dkim=fail", "", 1).replace(" reason=", " ", 1)
    text = re.sub(r" header\.[id]=", " shown ", text)
    for found in re.finditer(r"([\w.-]*)=([^\w=?]*pass)?", text, re.IGNORECASE):
        assert re.fullmatch(r"[a-z]{1,2}", found[1]), text
        assert found[2] is None, text


@given(st.lists(st.sampled_from(FINDINGS), min_size=1, max_size=5))
def test_the_authres_package_reads_the_same(findings: list[Finding]) -> None:
    field = format_field("mx.receiver.example", findings)
    theirs = authres.AuthenticationResultsHeader.parse(bytes(field).decode().replace("\r\n", ""))
    assert theirs.authserv_id == "mx.receiver.example"
    read = [
        (r.method, r.result, r.reason or "", [(p.type, p.name, p.value) for p in r.properties])
        for r in theirs.results
    ]
    assert read == [
        (f.method, f.status, f.reason, [(p.ptype, p.name, p.value) for p in f.properties])
        for f in findings
    ]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["pass", "fail", "neutral"]),
            st.text("abc .-", max_size=20),
            st.sampled_from(["a@b.example", "b.example", "a b", "x;y", 'q"q', "2001:db8::1"]),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_what_the_authres_package_writes_is_read(items: list[tuple[str, str, str]]) -> None:
    results = [
        authres.AuthenticationResult(
            "x-test", result=result, reason=reason or None,
            properties=[authres.AuthenticationResultProperty("header", "i", value)],
        )
        for result, reason, value in items
    ]  # fmt: skip
    header = authres.AuthenticationResultsHeader("mx.example", results=results)
    text = cast(str, header.header_value())
    found = parse(text)
    assert [(r.result, r.reason, r.properties[0].value) for r in found.results] == items
