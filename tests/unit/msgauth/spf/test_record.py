"""The grammar of records and macros (RFC 7208 sections 4.5, 5, 6, 7 and 12)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msgauth.results import SpfStatus
from msgauth.spf.macro import (
    MacroError,
    parse_domain_spec,
    parse_explanation,
    parse_macro_string,
)
from msgauth.spf.record import MAX_CACHED, Directive, SpfRecordError, is_record, parse


@pytest.mark.parametrize("text", ["v=spf1", "v=spf1 ", "V=SPF1 -all", "v=spf1 moo"])
def test_a_record_is_known_by_its_version(text: str) -> None:
    assert is_record(text)


@pytest.mark.parametrize("text", ["", "v=spf10", "v=spf1\t-all", " v=spf1", "v=spf1-all", "v=spf"])
def test_what_has_another_version_is_none_of_ours(text: str) -> None:
    assert not is_record(text)


def test_a_record_becomes_directives_and_modifiers() -> None:
    record = parse(
        "v=spf1  A -MX:m.example/24//64 ?IP4:192.0.2.7/24 EXP=e.%{d} x=y redirect=r.example "
    )
    a, mx, ip4 = record.directives
    assert a == Directive(SpfStatus.PASS, "a", "A")
    assert (mx.result, mx.mechanism, mx.prefix4, mx.prefix6) == (SpfStatus.FAIL, "mx", 24, 64)
    assert mx.target == parse_domain_spec("m.example")
    assert (ip4.result, ip4.network, ip4.mask) == (SpfStatus.NEUTRAL, 0xC0000200, 0xFFFFFF00)
    assert record.exp == parse_domain_spec("e.%{d}")
    assert record.redirect == parse_domain_spec("r.example")


@pytest.mark.parametrize(
    ("term", "why"),
    [
        ("moo", "'moo' is not a mechanism"),
        ("a:111.222.33.44", "has an address where a domain name is wanted; ip4: may be meant"),
        ("a:example", "does not end in a top-level domain"),
        ("a:", "has an empty domain"),
        ("a/", "has a broken prefix length"),
        ("a:é.example", "has a character that is not allowed"),
        ("include", "needs a domain"),
        ("include:%{x}.example", "has a broken macro"),
        ("exists:%{c}.example", "outside of an explanation"),
        ("exists:%{d0}", "keeps 0 parts"),
        ("all:x", "takes no argument"),
        ("ip4:1.2.3", "has no address of its kind"),
        ("ip4:1.2.3.04", "has no address of its kind"),
        ("ip4:1.2.3.4/33", "has a broken prefix length"),
        ("ip4:1.2.3.4/00", "has a broken prefix length"),
        ("ip6:fe80::1%eth0", "has no address of its kind"),
        ("ip6:1.2.3.4", "has no address of its kind"),
        ("redirect=a.example redirect=a.example", "'redirect=a.example' appears twice"),
        ("exp=", "has an empty domain"),
        ("-=x", "is neither a mechanism nor a modifier"),
        ("é", "is neither a mechanism nor a modifier"),
        ("a\tall", "is neither a mechanism nor a modifier"),
        ("x=%", "has a broken macro"),
    ],
)
def test_a_broken_term_is_named_with_what_is_wrong(term: str, why: str) -> None:
    with pytest.raises(SpfRecordError) as caught:
        parse(f"v=spf1 {term} -all")
    assert why in str(caught.value)


@given(st.text(max_size=200) | st.text("aipx46v:/.%{}=-+~?0123lds ", max_size=60))
def test_any_text_is_a_record_or_a_record_error(rest: str) -> None:
    text = f"v=spf1 {rest}"
    try:
        record = parse(text)
    except SpfRecordError as error:
        assert str(error).isascii()  # noqa: PT017 - both ways are checked
        return
    assert all(d.text in text for d in record.directives)
    # the terms alone, printed again, mean the same
    again = " ".join(["v=spf1", *(d.text for d in record.directives)])
    assert parse(again).directives == record.directives


def test_a_long_record_is_parsed_as_a_short_one_is() -> None:
    text = "v=spf1" + " ip4:192.0.2.1" * 100
    assert len(text) > MAX_CACHED
    assert len(parse(text).directives) == 100
    text += " ip4:192.0.2.1" * 500
    with pytest.raises(SpfRecordError, match="longer than 8192"):
        parse(text)


# RFC 7208 section 7.4, with <sender> strong-bad@email.example.com
VALUES = {
    "s": "strong-bad@email.example.com",
    "l": "strong-bad",
    "o": "email.example.com",
    "d": "email.example.com",
    "i": "192.0.2.3",
    "v": "in-addr",
    "p": "mx.example.org",
    "h": "mx.example.org",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%{s}", "strong-bad@email.example.com"),
        ("%{o}", "email.example.com"),
        ("%{d}", "email.example.com"),
        ("%{d4}", "email.example.com"),
        ("%{d3}", "email.example.com"),
        ("%{d2}", "example.com"),
        ("%{d1}", "com"),
        ("%{dr}", "com.example.email"),
        ("%{d2r}", "example.email"),
        ("%{l}", "strong-bad"),
        ("%{l-}", "strong.bad"),
        ("%{lr}", "strong-bad"),
        ("%{lr-}", "bad.strong"),
        ("%{l1r-}", "strong"),
        ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
        ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
        ("%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"),
        ("%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"),
        ("%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"),
        ("%{D999999999999999999999}", "email.example.com"),
        ("%{S}", "strong-bad%40email.example.com"),
        ("a%%b%_c%-d.example", "a%b c%20d.example"),
    ],
)
def test_macros_expand_as_in_the_examples_of_the_rfc(text: str, expected: str) -> None:
    assert parse_macro_string(text).expand(VALUES.__getitem__) == expected


def test_nibbles_are_reversed_as_in_the_example_of_the_rfc() -> None:
    nibbles = "2.0.0.1.0.D.B.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.C.B.0.1"
    text = parse_macro_string("%{ir}.%{v}").expand({"i": nibbles, "v": "ip6"}.__getitem__)
    assert text == ".".join(reversed(nibbles.split("."))) + ".ip6"


@pytest.mark.parametrize("text", ["x.%{d}", "%{d}", "a%%", "a.b-c", "a.example.", "a.xn--zckzah"])
def test_a_domain_spec_ends_in_a_top_label_or_a_macro(text: str) -> None:
    assert parse_domain_spec(text).text == text


@pytest.mark.parametrize("text", ["", "a", "%{d}a", "a.1", "a.-b", "a.b-", "a%%_", "a..", "a.b c"])
def test_other_ends_are_none(text: str) -> None:
    with pytest.raises(MacroError):
        parse_domain_spec(text)


@given(st.text(max_size=100) | st.text("%{}slodipvhcrt0129-.+,/_=", max_size=40), st.text())
def test_any_text_is_a_macro_string_or_a_macro_error(text: str, value: str) -> None:
    for parse_text in (parse_macro_string, parse_domain_spec, parse_explanation):
        try:
            parsed = parse_text(text)
        except MacroError:
            continue
        parsed.expand(lambda _: value)
