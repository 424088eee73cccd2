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
    "mx-ours.example; dmarc=pass",
    "old-relay2.other.example; dmarc=pass",
    "",
    ";;;",
]


@pytest.mark.parametrize("value", FORGED, ids=lambda value: ascii(value[:40]))
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
        assert not claims(format_value(own_id, findings), ["other.example"])


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
