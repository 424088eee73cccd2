"""Chains of several hands: sealed by us, verified by us and by dkimpy; broken in every way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msgauth.arc import SEALED_HEADERS, ArcHop, ArcResult, ArcSealer, ArcVerifier, SealSpec
from msgauth.ask import TEMPFAIL, Answer, Rcode
from msgauth.dkim import SIMPLE, MessageSigner, MessageVerifier, SignatureSpec, SigningError
from msgauth.dkim.body import BodyHashes
from msgauth.dkim.headers import Header, HeaderPolicy
from msgauth.keys import SigningKey
from msgauth.message import HeaderField, parse_message
from msgauth.results import ArcStatus
from msgauth.tags import parse_tags
from tests.unit.msgauth.dkim.dkimpy_oracle import dkimpy_chain, dkimpy_lone_seal, dkimpy_seal
from tests.unit.msgauth.dkim.test_dkimpy import ended_by_no_field, is_unpadded, raw_message
from tests.unit.msgauth.forge import AskedHashes
from tests.unit.msgauth.keyring import ED25519, NOW, RSA, RSA_1024, run

Fields = tuple[HeaderField, ...]

FIELDS, BODY = parse_message(
    b"From: Alice <alice@example.org>\n"
    b"To: list@lists.example\n"
    b"Subject: hello\n"
    b"Date: Sat, 21 Nov 2026 06:23:00 +0000\n"
    b"\n"
    b"Hello all\n"
)
DOMAINS = ("one.example", "two.example", "three.example")
KEYS = (RSA_1024, RSA, RSA_1024)
SPECS = [SealSpec(domain, "s", key) for domain, key in zip(DOMAINS, KEYS, strict=True)]
ZONE: Mapping[str, str | Answer] = {
    f"s._domainkey.{domain}": key.public_record() for domain, key in zip(DOMAINS, KEYS, strict=True)
}


def verify(
    fields: Fields,
    body: bytes = BODY,
    zone: Mapping[str, str | Answer] = ZONE,
    now: int = NOW,
) -> ArcResult:
    verifier = ArcVerifier(fields)
    verifier.body(body)
    return run(verifier.finish(now), zone)


def seal(
    spec: SealSpec,
    fields: Fields,
    body: bytes = BODY,
    chain: ArcResult | None = None,
    payload: str = "mx.example; dkim=pass header.d=example.org",
) -> Fields:
    """The message's header with one more set, for the chain as it is."""
    sealer = ArcSealer(spec, fields)
    sealer.body(body)
    return (*sealer.finish(NOW, chain or verify(fields, body), payload), *fields)


def sealed(count: int) -> Fields:
    fields: Fields = FIELDS
    for number in range(count):
        fields = seal(
            SPECS[number], fields, payload=f"mx.{DOMAINS[number]}; arc={verify(fields).status}"
        )
    return fields


THREE = sealed(3)


def test_no_chain() -> None:
    hashes = AskedHashes()
    verifier = ArcVerifier(FIELDS, hashes)
    assert not hashes.asked
    result = run(verifier.finish(NOW))
    assert (result.method, result.status, result.hops) == ("arc", "none", ())
    assert result.highest == 0


def test_three_hands() -> None:
    result = verify(THREE)
    assert (result.status, result.reason) == ("pass", "")
    assert result.sealers == DOMAINS
    assert result.oldest_pass == 0
    assert result.hops[0] == ArcHop(1, "one.example", "s", "mx.one.example; arc=none")
    assert [hop.payload for hop in result.hops[1:]] == [
        "mx.two.example; arc=pass",
        "mx.three.example; arc=pass",
    ]
    assert [(p.ptype, p.name, p.value) for p in result.properties] == [
        ("header", "oldest-pass", "0")
    ]
    assert dkimpy_chain(raw_message(THREE, BODY), zone_text()) == "pass"


def zone_text() -> dict[str, str]:
    return {name: text for name, text in ZONE.items() if isinstance(text, str)}


@pytest.mark.parametrize("canonicalization", ["relaxed", "simple"])
@pytest.mark.parametrize("key", [RSA_1024, ED25519], ids=lambda key: key.algorithm)
def test_one_hand(key: SigningKey, canonicalization: str) -> None:
    spec = SealSpec("Bücher.example", "s", key)
    if canonicalization == "simple":
        spec = replace(spec, canonicalization=SIMPLE)
    assert spec.domain == "xn--bcher-kva.example"
    fields = seal(spec, FIELDS)
    zone = {"s._domainkey.xn--bcher-kva.example": key.public_record()}
    assert verify(fields, zone=zone).status == "pass"
    if key is RSA_1024:  # dkimpy has no Ed25519 for ARC
        assert dkimpy_chain(raw_message(fields, BODY), zone) == "pass"


def test_the_fields() -> None:
    seal_field, signature, results = seal(SPECS[0], FIELDS, payload="mx.one.example; none")[:3]
    assert [f.name for f in (seal_field, signature, results)] == [
        b"ARC-Seal",
        b"ARC-Message-Signature",
        b"ARC-Authentication-Results",
    ]
    assert list(parse_tags(seal_field.value.decode())) == ["i", "a", "cv", "d", "s", "t", "b"]
    tags = parse_tags(signature.value.decode())
    assert list(tags) == ["i", "a", "c", "d", "s", "t", "h", "bh", "b"]
    assert results.value == b" i=1; mx.one.example; none"
    for field in (seal_field, signature, results):
        lines = bytes(field).decode().removesuffix("\r\n").split("\r\n")
        assert max(map(len, lines)) <= 78


# RFC 8617 section 4.1.2
def test_what_a_message_signature_covers() -> None:
    signer = MessageSigner([SignatureSpec("example.org", "d", ED25519)], FIELDS)
    signer.body(BODY)
    added = signer.finish(NOW)
    authres = HeaderField(b"Authentication-Results", b" mx.one.example; none")
    sealer = ArcSealer(SPECS[0], (authres, *FIELDS))
    sealer.body(BODY)
    fields = sealer.finish(NOW, verify(FIELDS), "mx; none", above=added)
    names = parse_tags(fields[1].value.decode())["h"].lower().replace("\r\n ", "").split(":")
    assert names.count("dkim-signature") == 1
    assert "authentication-results" not in names
    assert not any(name.startswith("arc-") for name in names)
    assert verify((*fields, *added, authres, *FIELDS)).status == "pass"
    assert verify((*fields, authres, *FIELDS)).status == "fail"


# Changes on the way
def test_a_list_that_changes_the_message_and_seals() -> None:
    first = sealed(1)
    footer = BODY + b"-- \r\nlist footer\r\n"
    chain = verify(first)
    second = seal(SPECS[1], first, footer, chain)
    result = verify(second, footer)
    assert (result.status, result.oldest_pass) == ("pass", 2)
    assert result.properties[0].value == "2"
    third = seal(SPECS[2], second, footer, result)
    result = verify(third, footer)
    assert (result.status, result.oldest_pass) == ("pass", 2)
    assert dkimpy_chain(raw_message(third, footer), zone_text()) == "pass"


@pytest.mark.parametrize("position", range(9))
def test_every_field_of_the_chain_is_needed(position: int) -> None:
    without = THREE[:position] + THREE[position + 1 :]
    result = verify(without)
    assert result.status == "fail"
    assert result.reason == "a set is incomplete or duplicated"
    assert result.hops == ()
    assert result.sealers == ()
    twice = THREE[: position + 1] + THREE[position:]
    assert verify(twice).status == "fail"


@pytest.mark.parametrize("position", range(9))
def test_every_field_of_the_chain_is_sealed(position: int) -> None:
    field = THREE[position]
    changed = HeaderField(field.name, field.value.replace(b"; ", b"; x=1; ", 1))
    result = verify((*THREE[:position], changed, *THREE[position + 1 :]))
    assert result.status == "fail"
    assert result.hops == ()
    assert result.highest == 3


def test_the_order_of_fields_does_not_matter() -> None:
    assert verify(tuple(reversed(THREE[:9])) + FIELDS).status == "pass"


@pytest.mark.parametrize(
    ("fields", "body", "reason"),
    [
        (THREE, b"other", "the body was changed"),
        ((*THREE[:9], *FIELDS[1:]), BODY, "the message signature does not match"),
        (
            (HeaderField(b"From", b" Mallory <m@example.com>"), *THREE),
            BODY,
            "the message signature does not match",
        ),
    ],
)
def test_a_changed_message(fields: Fields, body: bytes, reason: str) -> None:
    result = verify(fields, body)
    assert (result.status, result.reason, result.hops) == ("fail", reason, ())


# RFC 8617 sections 5.1 step 2, 5.1.2 and 5.1.3
def test_a_broken_chain_is_sealed_once() -> None:
    broken = verify(THREE, b"other")
    assert broken.status == "fail"
    fields = seal(SPECS[0], THREE, b"other", broken)
    assert parse_tags(fields[0].value.decode())["cv"] == "fail"
    assert parse_tags(fields[0].value.decode())["i"] == "4"
    result = verify(fields, b"other")
    assert result.status == "fail"
    assert result.reason == "the newest seal says that the chain is broken"
    assert result.sealed_as_failed
    # section 5.1.2: as if the new set were the only one
    lone = raw_message((*fields[:3], *FIELDS), b"other")
    assert dkimpy_lone_seal(lone, zone_text())
    assert seal(SPECS[1], fields, b"other", result) == fields


def test_a_seal_after_a_broken_one_does_not_mend_the_chain() -> None:
    fields = seal(SPECS[0], THREE, b"other", verify(THREE, b"other"))
    pretended = ArcResult("arc", ArcStatus.PASS, highest=4)
    with pytest.raises(SigningError, match="not of this message"):
        seal(SPECS[1], fields, b"other", pretended)
    with pytest.raises(SigningError, match="not of this message"):
        seal(SPECS[1], THREE, BODY, ArcResult("arc", ArcStatus.NONE))


# DNS
def test_a_key_that_cannot_be_asked_for_breaks_nothing() -> None:
    for domain in DOMAINS:
        result = verify(THREE, zone={**ZONE, f"s._domainkey.{domain}": TEMPFAIL})
        assert result.status == "temperror"
        assert result.reason == f"DNS did not answer for the key s._domainkey.{domain}"
        assert result.hops == ()
        with pytest.raises(SigningError, match="could not be verified now"):
            seal(SPECS[0], THREE, chain=result)


def test_a_seal_that_is_wrong_decides_whatever_dns_says_of_others() -> None:
    zone = {
        **ZONE,
        "s._domainkey.two.example": TEMPFAIL,
        "s._domainkey.one.example": RSA.public_record(),
    }
    result = verify(THREE, zone=zone)
    assert (result.status, result.reason) == ("fail", "seal 1 does not match")


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (Answer(Rcode.OK), "there is no key s._domainkey.three.example"),
        ("v=DKIM1; p=", "the key is revoked"),
        (ED25519.public_record(), "the key is not for the algorithm of the signature"),
        (RSA.public_record(), "the message signature does not match"),
    ],
)
def test_keys(record: str | Answer, reason: str) -> None:
    result = verify(THREE, zone={**ZONE, "s._domainkey.three.example": record})
    assert (result.status, result.reason) == ("fail", reason)


# Structure, before any question
def arc(aar: str, ams: str, seal: str) -> Fields:
    return (
        HeaderField(b"ARC-Seal", seal.encode()),
        HeaderField(b"ARC-Message-Signature", ams.encode()),
        HeaderField(b"ARC-Authentication-Results", aar.encode()),
        *FIELDS,
    )


class FromOnce(HeaderPolicy):
    """Covers From as often as it occurs, as sealers do that do not oversign it."""

    def select(self, header: Header) -> tuple[tuple[str, ...], list[HeaderField]]:
        names, covered = super().select(header)
        assert names[:2] == ("From", "From")
        return names[1:], covered


def test_a_from_that_is_not_covered_breaks_the_chain() -> None:
    once = FromOnce(SEALED_HEADERS.always, SEALED_HEADERS.present, SEALED_HEADERS.plain)
    fields = seal(replace(SPECS[0], headers=once), FIELDS)
    assert verify(fields).status == "pass"
    result = verify((HeaderField(b"From", b" ceo@bank.example"), *fields))
    assert (result.status, result.reason) == ("fail", "a From is not covered")


def test_a_second_subject_that_is_not_covered_breaks_the_chain() -> None:
    plain = HeaderPolicy(("From",), (), ("Subject", "To", "Date"))
    fields = seal(replace(SPECS[0], headers=plain), FIELDS)
    assert verify((HeaderField(b"Comments", b" added"), *fields)).status == "pass"
    for name in ("Subject", "To", "Date"):
        result = verify((HeaderField(name.encode(), b" added"), *fields))
        assert (result.status, result.reason) == ("fail", f"a {name} is not covered")


GOOD_AMS = " i=1; a=rsa-sha256; d=one.example; s=s; h=from; bh=AAAA; b=AAAA"
GOOD_SEAL = " i=1; a=rsa-sha256; cv=none; d=one.example; s=s; b=AAAA"


@pytest.mark.parametrize(
    ("aar", "ams", "seal", "reason"),
    [
        (" mx; none", GOOD_AMS, GOOD_SEAL, "ARC-Authentication-Results: the instance is missing"),
        (
            " i=0; mx; none",
            GOOD_AMS,
            GOOD_SEAL,
            "ARC-Authentication-Results: the instance is not from 1 to 50",
        ),
        (
            " i=1; mx",
            GOOD_AMS.replace("i=1", "i=51"),
            GOOD_SEAL,
            "ARC-Message-Signature: the instance is not from 1 to 50",
        ),
        (
            " i=1; mx",
            GOOD_AMS.replace("i=1", "i=1;i=1"),
            GOOD_SEAL,
            "ARC-Message-Signature: the signature is not a tag list: i= twice",
        ),
        (" i=2; mx", GOOD_AMS, GOOD_SEAL, "a set is incomplete or duplicated"),
        (
            " i=1; mx",
            GOOD_AMS,
            GOOD_SEAL.replace("none", "pass"),
            "set 1: cv= does not match the instance",
        ),
        (
            " i=1; mx",
            GOOD_AMS,
            GOOD_SEAL.replace("none", "fail"),
            "the newest seal says that the chain is broken",
        ),
        (" i=1; mx", GOOD_AMS, GOOD_SEAL + "; h=from", "set 1: a seal must not have h="),
        (" i=1; mx", GOOD_AMS, GOOD_SEAL.replace("s=s", "s="), "set 1: s= is missing"),
        (" i=1; mx", GOOD_AMS + "; l=3", GOOD_SEAL, "set 1: l= lets others append"),
        (
            " i=1; mx",
            GOOD_AMS.replace("h=from", "h=from:arc-seal"),
            GOOD_SEAL,
            "set 1: h= includes ARC-Seal",
        ),
        (
            " i=1; mx",
            GOOD_AMS.replace("h=from", "h=to"),
            GOOD_SEAL,
            "set 1: the signature does not cover From",
        ),
    ],
)
def test_structure(aar: str, ams: str, seal: str, reason: str) -> None:
    hashes = AskedHashes()
    verifier = ArcVerifier(arc(aar, ams, seal), hashes)
    assert not hashes.asked
    with pytest.raises(StopIteration) as done:
        next(verifier.finish(NOW))
    assert (done.value.value.status, done.value.value.reason) == ("fail", reason)


def test_comments_around_the_instance() -> None:
    fields = arc(" (one) i (two) = (three)\r\n 1 (four) ; mx; none", GOOD_AMS, GOOD_SEAL)
    hashes = AskedHashes()
    ArcVerifier(fields, hashes)
    assert hashes.asked


def test_fifty_sets_and_no_more() -> None:
    fields: Fields = FIELDS
    for _ in range(50):
        fields = seal(SPECS[0], fields)
    result = verify(fields)
    assert (result.status, result.highest) == ("pass", 50)
    assert (result.oldest_pass, result.properties) == (None, ())
    with pytest.raises(SigningError, match="can get no more"):
        seal(SPECS[0], fields, chain=result)
    more = (*fields[:3], *fields)
    assert verify(more).reason == "there are more than 50 sets"
    assert verify(fields[:3] * 3000).reason == "there are more than 50 sets"


def test_the_oldest_pass_is_told_where_it_was_found_out() -> None:
    """Eleven message signatures are checked, down to the first that does not verify."""
    footer = BODY + b"-- \r\nlist footer\r\n"
    fields: Fields = FIELDS
    body = BODY
    chain = verify(fields)
    for number in range(1, 14):
        if number == 3:
            body = footer  # the first two message signatures do not fit any more
        fields = seal(SPECS[number % 2], fields, body, chain)
        chain = verify(fields, body)
        expected = 0 if number < 3 else 3 if number <= 12 else None
        assert (chain.status, chain.oldest_pass) == ("pass", expected), number
        shown = [] if expected is None else [str(expected)]
        assert [item.value for item in chain.properties] == shown
    fields = FIELDS
    for number in range(1, 13):
        fields = seal(SPECS[0], fields)
        expected = 0 if number < 12 else None
        assert verify(fields).oldest_pass == expected, number


def test_the_oldest_pass_is_not_told_while_dns_is_silent() -> None:
    # the key of the second message signature; its seal has another one
    spec = SealSpec("two.example", "other", RSA)
    ours = seal(SPECS[0], FIELDS)
    zone = {**ZONE, "other._domainkey.two.example": RSA.public_record()}
    aside = ArcSealer(spec, ours)
    aside.body(BODY)
    _, signature, results = aside.finish(NOW, verify(ours), "mx; none")
    sealer = ArcSealer(SPECS[1], ours)
    chain = verify(ours)
    header = Header(ours)
    resealed = sealer._seal(header, chain, (results, signature), NOW)
    two = (resealed, signature, results, *ours)
    assert verify(two, zone=zone).oldest_pass == 0
    three = seal(SPECS[2], two, chain=verify(two, zone=zone))
    assert verify(three, zone=zone).oldest_pass == 0
    silent = verify(three, zone={**zone, "other._domainkey.two.example": TEMPFAIL})
    assert (silent.status, silent.oldest_pass, silent.properties) == ("pass", None, ())
    gone = verify(three, zone=ZONE)
    assert (gone.status, gone.oldest_pass) == ("pass", 3)


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "mx; none\r\nX: injected",
        "mx; none\nX",
        "mx; none\r\n \r\n x",
        "mx; none\r\n ",
        "mx; \0",
        "mx; " + "x" * 1000,
    ],
)
def test_payloads_that_are_refused(payload: str) -> None:
    with pytest.raises(SigningError):
        seal(SPECS[0], FIELDS, payload=payload)


def test_a_folded_payload() -> None:
    fields = seal(SPECS[0], FIELDS, payload="mx.one.example;\r\n spf=pass;\r\n\tdkim=pass")
    assert verify(fields).hops[0].payload == "mx.one.example; spf=pass;\tdkim=pass"


def test_a_domain_that_no_key_can_be_published_at() -> None:
    with pytest.raises(SigningError, match="only one label"):
        SealSpec("localhost", "s", RSA)
    with pytest.raises(SigningError, match="domain or selector"):
        SealSpec("example.org", "a b", RSA)


def test_dkim_and_arc_share_one_pass_over_the_body() -> None:
    signer = MessageSigner([SignatureSpec("example.org", "d", ED25519)], FIELDS)
    signer.body(BODY)
    fields = seal(SPECS[0], (*signer.finish(NOW), *FIELDS))
    hashes = BodyHashes()
    arc_verifier = ArcVerifier(fields, hashes)
    dkim_verifier = MessageVerifier(fields, hashes=hashes)
    sealer = ArcSealer(SPECS[1], fields, hashes)
    hashes.update(BODY)
    chain = run(arc_verifier.finish(NOW), ZONE)
    zone = {"d._domainkey.example.org": ED25519.public_record()}
    assert [r.status for r in run(dkim_verifier.finish(NOW), zone)] == ["pass"]
    assert verify((*sealer.finish(NOW, chain, "mx; arc=pass"), *fields)).status == "pass"


# dkimpy on the other side
def test_we_verify_and_continue_a_chain_of_dkimpy() -> None:
    zone = {**ZONE, "k._domainkey.example.org": RSA.public_record()}
    authres = HeaderField(b"Authentication-Results", b" mx.example.org; arc=none; spf=pass")
    raw = raw_message((authres, *FIELDS), BODY)
    raw = dkimpy_seal(raw, "k", "mx.example.org") + raw
    fields, body = parse_message(raw)
    result = verify(fields, body, zone)
    assert (result.status, result.sealers) == ("pass", ("example.org",))
    fields = seal(SPECS[0], fields, body, result)
    result = verify(fields, body, zone)
    assert (result.status, result.sealers) == ("pass", ("example.org", "one.example"))
    authres = HeaderField(b"Authentication-Results", b" mx.example.org; arc=pass")
    raw = raw_message((authres, *fields[:-5], *fields[-4:]), body)
    raw = dkimpy_seal(raw, "k", "mx.example.org") + raw
    fields, body = parse_message(raw)
    result = verify(fields, body, zone)
    assert result.status == "pass"
    assert result.sealers == ("example.org", "one.example", "example.org")


PIECES = st.sampled_from(
    [b"", b" ", b"\r\n", b"\n", b";", b"=", b"i=2;", b"a", b"\r\n ", b"\0", b"\xc3\xa9", b"1", b"("]
)


@settings(derandomize=True, max_examples=600, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 4), PIECES), min_size=1, max_size=2))
def test_a_changed_chain_as_dkimpy_sees_it(changes: list[tuple[int, int, bytes]]) -> None:
    raw = bytearray(raw_message(THREE, BODY))
    for position, length, piece in changes:
        raw[position : position + length] = piece
    fields, body = parse_message(bytes(raw))
    result = verify(fields, body)
    try:
        theirs = dkimpy_chain(bytes(raw), zone_text()) == "pass"
    except Exception:
        # dkimpy raises on headers that are none, and IndexError or KeyError on some sets
        theirs = False
    if (result.status == "pass") is not theirs:
        # test_a_changed_message in ../dkim/test_dkimpy.py says which section decides
        assert (
            b"\r" in raw.replace(b"\r\n", b"")
            or ended_by_no_field(bytes(raw))
            or any(field.name.endswith((b" ", b"\t")) for field in fields)
            or raw.endswith((b" ", b"\t"))
            or is_unpadded(fields[0])
        ), result.reason


ALPHABET = st.text(alphabet="i=1250;acvdshbxnoep:. (\r\n)é\udcff\0", max_size=60)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"ARC-Seal", b"ARC-Message-Signature", b"ARC-Authentication-Results"]),
            st.binary(max_size=60)
            | ALPHABET.map(lambda text: text.encode("utf-8", "surrogateescape"))
            | st.sampled_from([GOOD_AMS.encode(), GOOD_SEAL.encode(), b" i=1; mx"]),
        ),
        max_size=6,
    )
)
def test_no_input_raises(parts: list[tuple[bytes, bytes]]) -> None:
    fields = (*[HeaderField(name, value) for name, value in parts], *FIELDS)
    result = verify(fields)
    assert result.status != "pass"
    assert "\n" not in result.reason
    assert 0 <= result.highest <= 50
