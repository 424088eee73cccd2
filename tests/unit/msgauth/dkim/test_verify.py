"""Verifying, in the order of RFC 6376 section 6: structure, body, key, header; and the bounds."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypothesis import given
from hypothesis import strategies as st

from msgauth.ask import TEMPFAIL, Answer, Rcode
from msgauth.dkim import DkimResult, MessageVerifier, VerifierLimits
from msgauth.dkim.body import BodyHashes
from msgauth.keys import Algorithm, SigningKey, VerifyingKey
from msgauth.message import HeaderField, parse_message
from tests.unit.msgauth.forge import AskedHashes, forge
from tests.unit.msgauth.keyring import ED25519, FOLDER, NOW, RSA, RSA_1024, run

FIELDS, BODY = parse_message(
    b"From: Alice <alice@example.org>\n"
    b"Subject: hello\n"
    b"Date: Sat, 21 Nov 2026 06:23:00 +0000\n"
    b"\n"
    b"Hello Bob\n"
)
NAME = "sel._domainkey.example.org"


class ShortKey:
    """A key that `SigningKey` refuses to be."""

    algorithm: Algorithm = "rsa-sha256"

    def __init__(self) -> None:
        key = load_pem_private_key((FOLDER / "rsa768-too-short.pem").read_bytes(), None)
        assert isinstance(key, RSAPrivateKey)
        self.key = key

    def sign(self, digest: bytes) -> bytes:
        return self.key.sign(digest, PKCS1v15(), Prehashed(SHA256()))

    def public_record(self) -> str:
        return f"v=DKIM1; p={VerifyingKey(self.key.public_key()).to_base64()}"


ZONE: Mapping[str, str | Answer] = {NAME: ED25519.public_record()}
P = ED25519.public_record().partition("p=")[2]


def check(
    *signatures: HeaderField,
    zone: Mapping[str, str | Answer] = ZONE,
    fields: tuple[HeaderField, ...] = FIELDS,
    body: bytes = BODY,
    now: int = NOW,
    limits: VerifierLimits | None = None,
) -> tuple[DkimResult, ...]:
    verifier = MessageVerifier((*signatures, *fields), limits or VerifierLimits())
    verifier.body(body)
    return run(verifier.finish(now), zone)


def verdict(
    zone: Mapping[str, str | Answer] = ZONE,
    key: SigningKey = ED25519,
    /,
    **tags: str | None,
) -> tuple[str, str]:
    (result,) = check(forge(FIELDS, BODY, key, **tags), zone=zone)
    return result.status, result.reason


def test_an_unsigned_message() -> None:
    (result,) = check()
    assert (result.method, result.status) == ("dkim", "none")
    assert result.reason == "the message is not signed"


def test_a_good_signature() -> None:
    (result,) = check(forge(FIELDS, BODY, ED25519, i="alice@mail.example.org", t=str(NOW)))
    assert (result.status, result.reason) == ("pass", "")
    assert result.domain == "example.org"
    assert result.selector == "sel"
    assert result.auid == "alice@mail.example.org"
    assert result.algorithm == "ed25519-sha256"
    assert result.key_bits == 256
    assert not result.testing
    assert result.signature is not None
    assert result.signature.timestamp == NOW
    shown = {p.name: p.value for p in result.properties}
    assert shown == {
        "d": "example.org",
        "i": "alice@mail.example.org",
        "s": "sel",
        "a": "ed25519-sha256",
        "b": base64.b64encode(result.signature.signature)[:8].decode(),
    }


# RFC 6376 section 6.1.1: structure, before any question
@pytest.mark.parametrize(
    ("tags", "status", "reason"),
    [
        ({"v": None}, "neutral", "v= is missing"),
        ({"v": "2"}, "neutral", "v= is not 1"),
        ({"a": None}, "neutral", "a= is missing"),
        ({"a": "rsa-sha1"}, "permerror", "rsa-sha1 is not secure and must not be used"),
        ({"a": "rsa-sha512"}, "neutral", "a= names an unknown algorithm"),
        ({"d": None}, "neutral", "d= is missing"),
        ({"d": ""}, "neutral", "d= is missing"),
        ({"d": "org"}, "neutral", "d= has only one label"),
        ({"d": "exa mple.org"}, "neutral", "d= is not a domain name"),
        ({"d": "example.org\r\n\tX"}, "neutral", "d= is not a domain name"),
        ({"d": ".".join(["a" * 60] * 4)}, "neutral", "d= and s= are too long together"),
        ({"s": None}, "neutral", "s= is missing"),
        ({"s": "a..b"}, "neutral", "s= is not a domain name"),
        ({"h": None}, "neutral", "h= is missing"),
        ({"h": ""}, "neutral", "h= is missing"),
        ({"h": "from::subject"}, "neutral", "h= has something that is not a field name"),
        ({"h": "from:sub ject"}, "neutral", "h= has something that is not a field name"),
        ({"h": "subject:date"}, "permerror", "the signature does not cover From"),
        ({"bh": None}, "neutral", "bh= is missing"),
        ({"bh": "?"}, "neutral", "bh= is not base64"),
        ({"bh": "YQ==YQ=="}, "neutral", "bh= is not base64"),
        ({"b": "????"}, "neutral", "b= is not base64"),
        ({"b": "ä"}, "neutral", "b= is not base64"),
        ({"c": "nofws"}, "neutral", "c= names an unknown canonicalization"),
        ({"q": "dns/other"}, "neutral", "q= names no known way to get the key"),
        ({"q": "dns"}, "neutral", "q= names no known way to get the key"),
        ({"l": "-1"}, "neutral", "l= is not a number"),
        ({"l": "9" * 77}, "neutral", "l= is not a number"),
        ({"t": "yesterday"}, "neutral", "t= is not a number"),
        ({"t": "1" * 13}, "neutral", "t= is not a number"),
        ({"t": "١"}, "neutral", "t= is not a number"),
        ({"x": ""}, "neutral", "x= is not a number"),
        ({"t": str(NOW), "x": str(NOW)}, "neutral", "x= is not later than t="),
        ({"i": "alice"}, "neutral", "i= is not an address"),
        ({"i": "alice@"}, "neutral", "i= is not an address"),
        ({"i": "a=0D=0Ab@example.org"}, "neutral", "i= is not an address"),
        ({"i": "a=ZZ@example.org"}, "neutral", "i= is not an address"),
        ({"i": "=FF@example.org"}, "neutral", "i= is not an address"),
        ({"i": "@example.com"}, "permerror", "i= is not at or below d="),
        ({"i": "@notexample.org"}, "permerror", "i= is not at or below d="),
        ({"i": "@org"}, "permerror", "i= is not at or below d="),
    ],
)
def test_structure(tags: dict[str, str | None], status: str, reason: str) -> None:
    field = forge(FIELDS, BODY, ED25519, **tags)
    hashes = AskedHashes()
    verifier = MessageVerifier((field, *FIELDS), hashes=hashes)
    assert not hashes.asked
    lookup = verifier.finish(NOW)
    with pytest.raises(StopIteration) as done:
        next(lookup)
    (result,) = done.value.value
    assert (result.status, result.reason) == (status, reason)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "the signature is not a tag list: an empty tag list"),
        (b" v=1; v=1", "the signature is not a tag list: v= twice"),
        (b" v=1; d", "the signature is not a tag list: a tag without a name and ="),
        (b" v=1; d=\xff", "the signature is not UTF-8"),
        (b" v=\x00", "the signature is not a tag list: a character in v= that may not stand there"),
        (
            b" v=1; b=" + b"A" * 70000,
            "the signature is not a tag list: a tag list of more than 65536 characters",
        ),
    ],
)
def test_what_is_no_tag_list(value: bytes, reason: str) -> None:
    (result,) = check(HeaderField(b"DKIM-Signature", value))
    assert (result.status, result.reason) == ("neutral", reason)


def test_a_bad_signature_shows_its_domain_only_if_it_is_one() -> None:
    shown, hidden = check(
        forge(FIELDS, BODY, ED25519, v="2"), forge(FIELDS, BODY, ED25519, d="a\r\n b.example")
    )
    assert {p.name: p.value for p in shown.properties} == {"d": "example.org", "s": "sel"}
    assert shown.domain == "example.org"
    assert {p.name: p.value for p in hidden.properties} == {"s": "sel"}
    assert hidden.domain == ""


# Forms that are allowed and that other verifiers stumble over
@pytest.mark.parametrize(
    "tags",
    [
        {"q": "x-other/y : dns/txt"},
        {"q": "dns/txt"},
        {"i": "al=69ce=3Bx@EXAMPLE.org"},
        {"i": "=C3=A9@example.org"},
        {"i": "é@example.org"},  # RFC 8616 section 5
        {"i": "a@b@example.org"},
        {"i": "@example.org"},
        {"d": "EXAMPLE.ORG"},
        {"h": "from : subject\r\n\t: date"},
        {"h": "FROM:From:from:X-Not-There:Date"},
        {"c": None},
        {"c": "relaxed"},
        {"z": "From:alice|To:bob"},
        {"unknown": "tag"},
        {"t": "999999999"},
        {"x": str(NOW + 1)},
    ],
)
def test_allowed_forms(tags: dict[str, str | None]) -> None:
    assert verdict(**tags) == ("pass", "")


def test_the_padding_of_base64_may_be_left_out() -> None:
    # RFC 6376 section 2.10, base64string
    field = forge(FIELDS, BODY, ED25519)
    assert field.value.endswith(b"=")
    unpadded = HeaderField(field.name, field.value.rstrip(b"="))
    (result,) = check(unpadded, zone={NAME: ED25519.public_record().rstrip("=")})
    assert result.status == "pass"


def test_u_labels_in_d_and_s() -> None:
    # RFC 8616 section 5
    zone = {"xn--schlssel-95a._domainkey.xn--bcher-kva.example": ED25519.public_record()}
    (result,) = check(forge(FIELDS, BODY, ED25519, d="Bücher.example", s="schlüssel"), zone=zone)
    assert (result.status, result.domain) == ("pass", "xn--bcher-kva.example")


# RFC 6376 section 3.5, t= and x=
@pytest.mark.parametrize(
    ("tags", "now", "status"),
    [
        ({"x": str(NOW)}, NOW, "pass"),
        ({"x": str(NOW)}, NOW + 3600, "pass"),
        ({"x": str(NOW)}, NOW + 3601, "permerror"),
        ({"t": str(NOW)}, NOW - 3600, "pass"),
        ({"t": str(NOW)}, NOW - 3601, "neutral"),
    ],
)
def test_times(tags: dict[str, str], now: int, status: str) -> None:
    (result,) = check(forge(FIELDS, BODY, ED25519, **tags), now=now)
    assert result.status == status


def test_the_clock_drift_can_be_set() -> None:
    field = forge(FIELDS, BODY, ED25519, x=str(NOW))
    (result,) = check(field, now=NOW + 11, limits=VerifierLimits(clock_drift=10))
    assert (result.status, result.reason) == ("permerror", "the signature has expired")


def test_a_changed_body_asks_for_no_key() -> None:
    (result,) = check(forge(FIELDS, BODY, ED25519), body=b"other", zone={NAME: TEMPFAIL})
    assert (result.status, result.reason) == ("fail", "the body was changed")


# RFC 6376 section 6.1.2: the key
KEY_CASES: list[tuple[str | Answer | None, str, str]] = [
    (None, "permerror", f"there is no key {NAME}"),
    (Answer(Rcode.OK), "permerror", f"there is no key {NAME}"),
    (TEMPFAIL, "temperror", f"DNS did not answer for the key {NAME}"),
    (f"v=DKIM1; k=ed25519; p={P}", "pass", ""),
    (f"k=ed25519; p={P}", "pass", ""),
    (f"v=DKIM1; k=ed25519; p={P[:20]} {P[20:]};", "pass", ""),
    (f"v=DKIM1; k=ed25519; h=sha1:sha256; s=email:x; t=q; n=a note; x=y; p={P}", "pass", ""),
    (f"k=ed25519; s=*; p={P}", "pass", ""),
    (f"v=DKIM1; k=ed25519; t=s; p={P}", "pass", ""),
    ("v=DKIM1; k=ed25519; p=", "permerror", "the key is revoked"),
    ("v=DKIM1; p=;", "permerror", "the key is revoked"),
    ("v=DKIM1; k=ed25519", "permerror", "the key record has no p="),
    (f"v=DKIM2; k=ed25519; p={P}", "permerror", "the record is not a DKIM1 key record"),
    (f"k=ed25519; v=DKIM1; p={P}", "permerror", "the record is not a DKIM1 key record"),
    ("v=spf1 -all", "permerror", "the record is not a DKIM1 key record"),
    ("hello", "permerror", "the key record is broken: a tag without a name and ="),
    (f"k=ed25519; p={P}; p={P}", "permerror", "the key record is broken: p= twice"),
    (f"k=dsa; p={P}", "permerror", "the key record has an unknown key type"),
    (f"k=ed25519; s=tlsrpt; p={P}", "permerror", "the key is not for mail"),
    (f"k=ed25519; h=sha1; p={P}", "permerror", "the key is not for the hash of the signature"),
    ("k=ed25519; p=????", "permerror", "the key is not base64"),
    ("k=ed25519; p=\xe9", "permerror", "the key is not base64"),
    ("k=ed25519; p=AAAA", "permerror", "the Ed25519 key has 3 octets, not 32"),
    ("k=rsa; p=AAAA", "permerror", "the RSA key cannot be decoded"),
    ("p=" + "A" * 5000, "permerror", "the key record is longer than 4096 characters"),
    (RSA.public_record(), "permerror", "the key is not for the algorithm of the signature"),
]


@pytest.mark.parametrize(("record", "status", "reason"), KEY_CASES)
def test_keys(record: str | Answer | None, status: str, reason: str) -> None:
    zone = {} if record is None else {NAME: record}
    assert verdict(zone) == (status, reason)


def test_a_strict_key_allows_no_subdomain() -> None:
    zone = {NAME: ED25519.public_record() + "; t=y:s"}
    assert verdict(zone, i="a@example.org")[0] == "pass"
    assert verdict(zone, i="a@mail.example.org") == (
        "permerror",
        "the key allows no subdomain in i=",
    )


def test_testing_is_told() -> None:
    zone = {NAME: ED25519.public_record() + "; t=y"}
    good = forge(FIELDS, BODY, ED25519)
    bad = forge(FIELDS[:1], BODY, ED25519)
    assert [(r.status, r.testing, r.reason) for r in check(good, bad, zone=zone)] == [
        ("pass", True, "the key is under test (t=y)"),
        (
            "fail",
            True,
            "the signature does not match the header and the key; the key is under test (t=y)",
        ),
    ]


@pytest.mark.parametrize(
    ("body", "now", "status"),
    [(b"changed", NOW, "fail"), (BODY, NOW + 20_000, "permerror"), (BODY, NOW, "pass")],
)
def test_the_key_of_a_signature_that_failed_before_is_asked_for_on_request(
    body: bytes, now: int, status: str
) -> None:
    field = forge(FIELDS, BODY, ED25519, t=str(NOW), x=str(NOW + 10))
    under_test = {NAME: ED25519.public_record() + "; t=y"}
    learning = VerifierLimits(learn_testing=True)
    for limits, zone, testing in (
        (VerifierLimits(), under_test, status == "pass"),
        (learning, under_test, True),
        (learning, ZONE, False),
        (learning, {NAME: TEMPFAIL}, False),
        (learning, {}, False),
    ):
        (result,) = check(field, zone=zone, body=body, now=now, limits=limits)
        assert result.testing is testing
        if status != "pass" or zone in (under_test, ZONE):
            assert result.status == status


@pytest.mark.parametrize(
    ("records", "status"),
    [
        (("v=spf1 -all", ED25519.public_record()), "pass"),
        ((RSA.public_record(), ED25519.public_record()), "pass"),
        (("v=DKIM1; p=", ED25519.public_record()), "pass"),
        (("x=1", "x=2", "x=3", "x=4", ED25519.public_record()), "permerror"),
        ((f"k=ed25519; p={base64.b64encode(bytes(32)).decode()}",) * 2, "fail"),
    ],
)
def test_several_records(records: tuple[str, ...], status: str) -> None:
    assert verdict({NAME: Answer(Rcode.OK, records)})[0] == status


# RFC 8301 section 3.2
def test_a_short_key_never_passes() -> None:
    key = ShortKey()
    (result,) = check(forge(FIELDS, BODY, key), zone={NAME: key.public_record()})
    assert (result.status, result.reason) == ("policy", "the key has 768 bits, fewer than 1024")
    assert result.key_bits == 768


@pytest.mark.parametrize("key", [RSA, RSA_1024])
def test_rsa(key: SigningKey) -> None:
    assert verdict({NAME: key.public_record()}, key) == ("pass", "")
    changed = forge(FIELDS[1:], BODY, key, h="from")
    (result,) = check(changed, zone={NAME: key.public_record()})
    assert result.status == "fail"
    assert result.reason == "the signature does not match the header and the key"
    assert result.key_bits == key.bits


# RFC 6376 sections 8.2 and 8.15
def test_l_counts_for_nothing() -> None:
    field = forge(FIELDS, BODY, ED25519, l="5")
    (result,) = check(field)
    assert result.status == "policy"
    assert result.reason == "l= covers 5 of 11 octets and lets others append more"
    (result,) = check(field, body=BODY + b"appended\r\n")
    assert result.status == "policy"
    assert "5 of 21 octets" in result.reason
    (result,) = check(field, body=b"changed")
    assert result.status == "fail"
    (result,) = check(forge(FIELDS, BODY, ED25519, l="12"))
    assert (result.status, result.reason) == ("fail", "the body is shorter than l= says")
    (result,) = check(forge(FIELDS, BODY, ED25519, l="0"))
    assert result.status == "policy"


def test_a_second_from_that_is_not_covered() -> None:
    once = forge(FIELDS, BODY, ED25519)
    forged = HeaderField(b"From", b" Mallory <mallory@example.com>")
    (above,) = check(once, fields=(forged, *FIELDS))
    assert above.status == "policy"
    assert above.reason == "the message has a From that the signature does not cover"
    (below,) = check(once, fields=(*FIELDS, forged))
    assert below.status == "fail"
    oversigned = forge(FIELDS, BODY, ED25519, h="from:from")
    assert [r.status for r in check(oversigned)] == ["pass"]
    (above,) = check(oversigned, fields=(forged, *FIELDS))
    assert above.status == "fail"


@pytest.mark.parametrize(
    "name",
    [
        *("Date", "Sender", "Reply-To", "To", "Cc", "Bcc", "Message-ID", "In-Reply-To"),
        *("References", "Subject", "MIME-Version", "Content-Type", "Content-Transfer-Encoding"),
        *("Content-ID", "Content-Description", "Content-Disposition"),
    ],
)
@pytest.mark.parametrize("spelled", [str.title, str.upper, lambda name: name + " "])
def test_a_second_field_that_may_stand_there_once(name: str, spelled: Callable[[str], str]) -> None:
    # RFC 5322 section 3.6, RFC 2045 section 3, RFC 6376 section 8.15
    fields = (FIELDS[0], HeaderField(name.encode(), b" what was signed"))
    added = HeaderField(spelled(name).encode(), b" what was added")
    once = forge(fields, BODY, ED25519, h=f"from:{name}")
    assert [r.status for r in check(once, fields=fields)] == ["pass"]
    (above,) = check(once, fields=(added, *fields))
    assert (above.status, above.second_field.lower()) == ("policy", name.lower())
    assert above.reason == f"the message has a {name} that the signature does not cover"
    (below,) = check(once, fields=(*fields, added))
    assert below.status == "fail"
    # a signer who lists the name as often as the field occurred saw the message like that
    doubled = (added, *fields)
    twice = forge(doubled, BODY, ED25519, h=f"from:{name}:{name}")
    assert [r.status for r in check(twice, fields=doubled)] == ["pass"]
    (third,) = check(twice, fields=(added, *doubled))
    assert third.status == "policy"
    oversigned = forge(fields, BODY, ED25519, h=f"from:{name}:{name}")
    assert [r.status for r in check(oversigned, fields=fields)] == ["pass"]
    assert [r.status for r in check(oversigned, fields=doubled)] == ["fail"]
    # a field that is not listed is not protected, once or twice
    not_listed = forge(fields, BODY, ED25519, h="from")
    assert [r.status for r in check(not_listed, fields=doubled)] == ["pass"]


@pytest.mark.parametrize(
    "name",
    [
        *("Received", "Comments", "Keywords", "Resent-To", "Resent-From", "Return-Path"),
        *("List-Unsubscribe", "DKIM-Signature", "Delivered-To", "Authentication-Results"),
    ],
)
def test_fields_that_may_be_added(name: str) -> None:
    fields = (FIELDS[0], HeaderField(name.encode(), b" signed"))
    once = forge(fields, BODY, ED25519, h=f"from:{name}")
    added = HeaderField(name.encode(), b" added on the way")
    results = check(once, fields=(added, *fields))
    assert results[0].status == "pass"
    assert results[0].second_field == ""


def test_the_same_mime_version_twice_deceives_nobody() -> None:
    fields = (FIELDS[0], HeaderField(b"MIME-Version", b" 1.0"))
    once = forge(fields, BODY, ED25519, h="from:mime-version")
    for value, status in ((b" 1.0", "pass"), (b"1.0 ", "pass"), (b" 1.1", "policy")):
        added = HeaderField(b"Mime-Version", value)
        assert [r.status for r in check(once, fields=(added, *fields))] == [status]


# RFC 6376 section 5.4.2
def test_fields_are_taken_from_the_bottom_up() -> None:
    trace = tuple(HeaderField(b"X-Trace", f" {n}".encode()) for n in range(3))
    field = forge((*FIELDS, *trace), BODY, ED25519, h="from:x-trace:x-trace")
    (result,) = check(field, fields=(*FIELDS, *trace))
    assert result.status == "pass"
    (result,) = check(field, fields=(HeaderField(b"X-Trace", b" new"), *FIELDS, *trace))
    assert result.status == "pass"
    (result,) = check(field, fields=(*FIELDS, *trace, HeaderField(b"X-Trace", b" new")))
    assert result.status == "fail"
    (result,) = check(field, fields=(*FIELDS, *reversed(trace)))
    assert result.status == "fail"


def test_a_signature_may_cover_others_but_not_itself() -> None:
    first = forge(FIELDS, BODY, ED25519)
    second = forge((first, *FIELDS), BODY, ED25519, h="from:dkim-signature:dkim-signature")
    results = check(second, first)
    assert [r.status for r in results] == ["pass", "pass"]
    (result, _) = check(second, forge(FIELDS, BODY, ED25519, h="from"))
    assert result.status == "fail"


def test_order_of_results_is_the_order_of_the_message() -> None:
    fields = [forge(FIELDS, BODY, ED25519, s=f"s{n}") for n in range(3)]
    zone = {f"s{n}._domainkey.example.org": ED25519.public_record() for n in (0, 2)}
    results = check(*fields, zone=zone)
    assert [(r.selector, r.status) for r in results] == [
        ("s0", "pass"),
        ("s1", "permerror"),
        ("s2", "pass"),
    ]


# Bounds
@pytest.mark.parametrize("limit", [1, 3, 8])
def test_the_topmost_signatures_are_the_ones_checked(limit: int) -> None:
    fields = [forge(FIELDS, BODY, ED25519, s=f"s{n}") for n in range(9)]
    asked: list[str] = []

    class Zone(dict[str, str]):
        def get(self, name: str, default: object = None) -> str:
            asked.append(name)
            return ED25519.public_record()

    *checked, rest = check(*fields, zone=Zone(), limits=VerifierLimits(max_signatures=limit))
    assert [(r.selector, r.status) for r in checked] == [(f"s{n}", "pass") for n in range(limit)]
    assert asked == [f"s{n}._domainkey.example.org" for n in range(limit)]
    assert (rest.status, rest.domain) == ("neutral", "")


def test_a_thousand_signatures() -> None:
    asked = 0

    class Zone(dict[str, str]):
        def get(self, name: str, default: object = None) -> str:
            nonlocal asked
            asked += 1
            return ED25519.public_record()

    fields = [forge(FIELDS, BODY, ED25519)] * 1000
    results = check(*fields, zone=Zone())
    assert [r.status for r in results] == ["pass"] * 10 + ["neutral"]
    assert results[-1].reason == "990 more signatures were not checked"
    assert asked == 10
    few = check(*fields, limits=VerifierLimits(max_signatures=1))
    assert [r.status for r in few] == ["pass", "neutral"]


def test_ten_thousand_fields_and_a_megabyte_line() -> None:
    many = tuple(HeaderField(b"X-Many", b" x") for _ in range(10_000))
    long = HeaderField(b"X-Long", b" " + b"ab\t " * 250_000)
    fields = (*FIELDS, *many, long)
    names = ":".join(["from", "x-long", *["x-many"] * 5000])
    signature = forge(fields, BODY, ED25519, h=names)
    (result,) = check(signature, fields=fields)
    assert result.status == "pass"


def test_many_length_limits_on_a_long_body() -> None:
    body = b"0123456789abcde \r\n" * 60_000
    fields = [forge(FIELDS, body, ED25519, l=str(n * 1000)) for n in range(10)]
    assert {r.status for r in check(*fields, body=body)} == {"policy"}


def test_odd_octets() -> None:
    odd, body = parse_message(b"From: a\0b\rc\xff <a@b.c>\nSubject:\n\nNUL \0, CR \r, LF \n, \xff")
    for canonicalization in ("relaxed/relaxed", "simple/simple"):
        field = forge(odd, body, ED25519, c=canonicalization)
        assert [r.status for r in check(field, fields=odd, body=body)] == ["pass"]


def test_nothing_is_hashed_when_nobody_needs_it() -> None:
    hashes = AskedHashes()
    MessageVerifier((forge(FIELDS, BODY, ED25519, v="2"), *FIELDS), hashes=hashes)
    assert not hashes.asked


def test_hashes_can_be_shared() -> None:
    hashes = BodyHashes()
    fields = (forge(FIELDS, BODY, ED25519), *FIELDS)
    one = MessageVerifier(fields, hashes=hashes)
    two = MessageVerifier(fields, hashes=hashes)
    one.body(BODY)
    for verifier in (one, two):
        assert [r.status for r in run(verifier.finish(NOW), ZONE)] == ["pass"]


TAG_ALPHABET = st.text(alphabet="vabchdsitxlq=;: \r\n1@.ré\udcff\0", max_size=80)


@given(
    st.lists(
        (st.binary(max_size=80) | TAG_ALPHABET.map(lambda t: t.encode("utf-8", "surrogateescape"))),
        max_size=3,
    ),
    st.dictionaries(
        st.sampled_from(["v", "a", "b", "bh", "c", "d", "h", "i", "l", "q", "s", "t", "x"]),
        st.none() | TAG_ALPHABET | st.sampled_from(["1", "rsa-sha256", "", "@", "a@b.c"]),
    ),
    st.binary(max_size=40) | TAG_ALPHABET.map(lambda t: t.encode("latin-1", "replace")),
)
def test_no_input_raises(values: list[bytes], tags: dict[str, str | None], record: bytes) -> None:
    forged = " v=1; a=ed25519-sha256; d=example.org; s=sel; h=from; bh=AAAA; b=AAAA"
    text = "".join(f"; {tag}={value}" for tag, value in tags.items())
    fields = [HeaderField(b"DKIM-Signature", value) for value in values]
    fields.append(HeaderField(b"DKIM-Signature", (forged + text).encode("utf-8", "surrogatepass")))
    zone = {NAME: record.decode("latin-1")}
    for result in check(*fields, zone=zone):
        assert result.status != "pass"
        assert "\n" not in result.reason
        for shown in result.properties:
            assert not any(character < " " for character in shown.value)
