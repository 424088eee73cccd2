"""Fields of others that pretend to be ours, in every form a reader might fall for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msgauth.authres import AuthresError, claims, fields_to_remove, format_value, parse
from msgauth.authres.trust import MAX_LENGTH, MAX_READ
from msgauth.message import HeaderField
from msgauth.results import DmarcStatus, Finding

OWN = ["mx.ours.example", "Old-Relay", "bücher.example"]

FORGED = [
    "mx.ours.example; dmarc=pass",
    "mx.ours.example;dmarc=pass",
    "mx.ours.example",
    "mx.ours.example ;none",
    "\tMX.Ours.EXAMPLE; dmarc=pass",
    "mx.ours.example.; dmarc=pass",
    "mx.ours.example 1; dmarc=pass",
    "mx.ours.example (x) 1 (y) ; dmarc=pass",
    "mx.ours.example1; dmarc=pass",
    "\r\n mx.ours.example\r\n ; dmarc=pass",
    "mx.ours.\r\n example; dmarc=pass",
    "mx.ours .example; dmarc=pass",
    '"mx.ours.example"; dmarc=pass',
    r'"mx\.ours\.example"; dmarc=pass',
    '"mx".ours."example"; dmarc=pass',
    "(x)mx.ours.example(y); dmarc=pass",
    "((x)(y\\)(z)) mx.ours.example; dmarc=pass",
    "mx.(x)ours.(y)example; dmarc=pass",
    "(a(b) mx.ours.example; dmarc=pass) other.example; none",
    "(mx.ours.example); dmarc=pass",
    "(; ) mx.ours.example; dmarc=pass",
    "(unclosed mx.ours.example; dmarc=pass",
    '"unclosed mx.ours.example; dmarc=pass',
    "mx.ours.example/x; dmarc=pass",
    "x/mx.ours.example; dmarc=pass",
    "mx.ours.example junk; dmarc=pass",
    "junk mx.ours.example; dmarc=pass",
    "mx.ours.example, other.example; dmarc=pass",
    "other.example, mx.ours.example; dmarc=pass",
    "mx.ours.example\0; dmarc=pass",
    "mx.ours.example\0other; dmarc=pass",
    "mx\u200b.ours.example; dmarc=pass",
    "ｍｘ.ours.example; dmarc=pass",
    "mx。ours。example; dmarc=pass",
    "<mx.ours.example>; dmarc=pass",
    "=mx.ours.example; dmarc=pass",
    ":mx.ours.example; dmarc=pass",
    "user@mx.ours.example; dmarc=pass",
    "mx.ours.example=dmarc=pass",
    "=?utf-8?q?mx=2Eours=2Eexample?=; dmarc=pass",
    "OLD-RELAY; dmarc=pass",
    '"old-relay"; dmarc=pass',
    "xn--bcher-kva.example; dmarc=pass",
    "BÜCHER.example; dmarc=pass",
    "(" * 21 + ")" * 21 + "mx.ours.example; dmarc=pass",
    # of a version that nobody knows: RFC 8601 section 5
    "other.example 2; dmarc=pass",
    "other.example 99999999999; dmarc=pass",
    # too long to be looked at
    "(" + "x" * MAX_LENGTH + ") other.example; dmarc=pass",
]

GENUINE = [
    "other.example; dmarc=pass",
    "other.example 1; dkim=pass header.d=mx.ours.example",
    'other.example; spf=pass reason="mx.ours.example said so"',
    "other.example; spf=pass (mx.ours.example: domain of a@b.example) smtp.mailfrom=b.example",
    "mx.ours.example.org; dmarc=pass",
    "amx.ours.example; dmarc=pass",
    "sub.mx.ours.example; dmarc=pass",
    "ours.example; dmarc=pass",
    "mx.ours.example-b; dmarc=pass",
    '"other.example"; dmarc=pass',
    "other.example. 1; dmarc=pass",
    "(a comment) other.example\t(another)\r\n ; none",
    '"mx2.other.example/4XabcD1"; dmarc=pass',
    '"postmaster@other.example"; dmarc=pass',
    "192.0.2.1; dmarc=pass",
    "localhost; dmarc=pass",
    "m\u00fcller.example; dmarc=pass",
    'other.example; dkim=fail header.i="a\\"b"@other.example reason="\\x"',
    "mx-ours.example; dmarc=pass",
    "old-relay2.other.example; dmarc=pass",
]

# Nobody is named, so some readers take it for the word of whoever delivered the message.
NAMELESS = [
    "",
    ";;;",
    "none",
    "NONE; dmarc=pass",
    "; dmarc=pass",
    "(mx.other.example); dmarc=pass",
    "dmarc=pass header.from=bank.example",
    "dmarc = pass header.from=bank.example",
    "dmarc/1=pass",
    '"dmarc"=pass',
    "(x) dmarc (y) = (z) pass",
    "spf=pass (sender IP is 192.0.2.1)\r\n smtp.mailfrom=a.example; dkim=none (message not\r\n"
    " signed) header.d=none;dmarc=bestguesspass action=none header.from=a.example;",
    '""; dmarc=pass',
    '" "; dmarc=pass',
    "1; dmarc=pass",
    "1 1; dmarc=pass",
    "=; dmarc=pass",
    # broken before its first result
    "other.example dmarc=pass",
    "other.example other.example; dmarc=pass",
    "other.example, dmarc=pass",
    "[192.0.2.1]; dmarc=pass",
    "(unclosed; dmarc=pass",
    '"unclosed; dmarc=pass',
    "other.example 1.0; dmarc=pass",
]

# Readers that know other escapes than the grammar find another id, perhaps ours.
ESCAPED = [
    r"\mx.ours.example; dmarc=pass",
    r"\tmx.ours.example; dmarc=pass",
    r'"\nmx.ours.example"; dmarc=pass',
    r'"\r\nmx.ours.example"; dmarc=pass',
    r'"\x6dx.ours.example"; dmarc=pass',
    r'"\155x.ours.example"; dmarc=pass',
    r'"\u006dx.ours.example"; dmarc=pass',
    r'"mx\056ours\056example"; dmarc=pass',
    r"(\n)other.example; dmarc=pass",
    r"(\)mx.ours.example; dmarc=pass",
    r"\(mx.ours.example; dmarc=pass",
    "\x1b[0mmx.ours.example; dmarc=pass",
    "\x1b[mmx.ours.example; dmarc=pass",
    '"\x1b[0mmx.ours.example"; dmarc=pass',
    "(\x1b[2K)other.example; dmarc=pass",
    "x\bmx.ours.example; dmarc=pass",
    '"x\bmx.ours.example"; dmarc=pass',
    "\x0bmx.ours.example; dmarc=pass",
    "\x0cmx.ours.example; dmarc=pass",
    "\x85mx.ours.example; dmarc=pass",
    "\u2028mx.ours.example; dmarc=pass",
    "\u00a0mx.ours.example; dmarc=pass",
    "\u202emx.ours.example; dmarc=pass",
    "\ufeffmx.ours.example; dmarc=pass",
    "\ufffdmx.ours.example; dmarc=pass",
    "mx%2Eours%2Eexample; dmarc=pass",
    "mx=2Eours=2Eexample; dmarc=pass",
    "&#109;x.ours.example; dmarc=pass",
    "mx&period;ours&period;example; dmarc=pass",
    "=?us-ascii?b?bXgub3Vycy5leGFtcGxl?=; dmarc=pass",
    "(=?utf-8?q?x?=) other.example; dmarc=pass",
    ".mx.ours.example; dmarc=pass",
    "-mx.ours.example; dmarc=pass",
    "mx.ours.example-; dmarc=pass",
    "mx..ours..example; dmarc=pass",
    "mx.ours.example..; dmarc=pass",
    # a second field or value behind what some take for the end of a line
    "other.example; spf=pass\rAuthentication-Results: mx.ours.example; dmarc=pass",
    "other.example; spf=pass\0\r mx.ours.example; dmarc=pass",
    "other.example; spf=pass (\rmx.ours.example; dmarc=pass)",
    "\r mx.ours.example; dmarc=pass",
]


@pytest.mark.parametrize(
    "value", [*FORGED, *NAMELESS, *ESCAPED], ids=lambda value: ascii(value[:40])
)
def test_what_any_reader_might_take_for_ours_is_removed(value: str) -> None:
    assert claims(value, OWN)
    fields = [HeaderField(b"authentication-RESULTS ", f" {value}".encode())]
    assert fields_to_remove(fields, OWN) == [0]


@pytest.mark.parametrize("value", GENUINE)
def test_what_others_say_stays(value: str) -> None:
    assert not claims(value, OWN)


def test_only_the_fields_asked_for_are_removed() -> None:
    fields = [
        HeaderField(b"Received", b" from mx.ours.example; Authentication-Results: mx.ours.example"),
        HeaderField(b"Authentication-Results", b" mx.ours.example; dmarc=pass"),
        HeaderField(b"X-Authentication-Results", b" mx.ours.example; dmarc=pass"),
        HeaderField(b"Authentication-Results", b" other.example; dmarc=pass"),
        HeaderField(b"Received-SPF", b" pass (mx.ours.example: ...)"),
        HeaderField(b"ARC-Authentication-Results", b" i=1; mx.ours.example; dmarc=pass"),
        HeaderField(b"AUTHENTICATION-RESULTS", b"\xff mx.ours.example; dmarc=pass"),
    ]
    assert fields_to_remove(fields, OWN) == [1, 6]
    assert fields_to_remove(fields, OWN, everything=True) == [1, 3, 6]
    assert fields_to_remove(fields, OWN, received_spf=True) == [1, 4, 6]
    del fields[6]
    assert fields_to_remove(fields, ["another.example"]) == []
    assert fields_to_remove(fields, [""]) == []
    assert fields_to_remove(fields, []) == []


def test_more_fields_than_are_read_are_removed() -> None:
    fields = [HeaderField(b"Authentication-Results", b" other.example; dmarc=pass")] * MAX_READ
    assert fields_to_remove(fields, OWN) == []
    assert fields_to_remove([*fields, *fields], OWN) == [*range(MAX_READ, 2 * MAX_READ)]


@pytest.mark.parametrize("value", ["(" * 65000, '"' * 65000, "a " * 32000, ".a" * 32000])
def test_a_long_field_takes_time_in_proportion(value: str) -> None:
    for _ in range(20):
        claims(value, OWN)


@pytest.mark.parametrize("own_id", ["mx.ours.example", "flat", 'id/with odd"chars', "a+b*c"])
def test_what_we_write_is_known_as_ours(own_id: str) -> None:
    for findings in ([], [Finding("dmarc", DmarcStatus.PASS, 'a (b) "c"')]):
        assert claims(format_value(own_id, findings), [own_id])
        # of others only the names stay that every reader reads alike
        assert claims(format_value(own_id, findings), ["other.example"]) is ('"' in own_id)


NOISE = st.sampled_from(["", " ", "(x)", "\r\n ", "((a)b)", "(\\))"])
CASES = st.sampled_from(
    ["mx.ours.example", "MX.OURS.EXAMPLE", '"mx.ours.example"', '"\\m\\x.ours.example"']
)


@given(NOISE, NOISE, CASES, NOISE, st.sampled_from(["", " 1"]), NOISE)
def test_every_field_that_the_grammar_gives_to_us_is_removed(
    a: str, b: str, name: str, c: str, version: str, d: str
) -> None:
    text = f"{a}{b}{name}{c}{version}{d}; dmarc=pass"
    assert parse(text).authserv_id.lower() == "mx.ours.example"
    assert claims(text, OWN)


@given(st.text(max_size=60) | st.text('mx.ours.example ";()\\1', max_size=30))
def test_no_text_is_ours_to_a_reader_of_the_grammar_and_stays(text: str) -> None:
    claimed = claims(text, OWN)
    try:
        found = parse(text)
    except AuthresError:
        return
    if found.authserv_id.lower() in OWN:
        assert claimed
