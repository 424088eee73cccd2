"""Signing: what is covered, how the field looks, what is refused."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msgauth.dkim import (
    DEFAULT_HEADERS,
    Canonicalization,
    DkimResult,
    HeaderPolicy,
    MessageSigner,
    MessageVerifier,
    SignatureSpec,
    SigningError,
)
from msgauth.dkim.headers import MAX_COVERED
from msgauth.errors import MsgauthError
from msgauth.keys import SigningKey
from msgauth.message import HeaderField, parse_message
from msgauth.tags import parse_tags
from tests.unit.msgauth.keyring import ED25519, NOW, RSA, RSA_1024, run

MESSAGE = b"""\
Received: from client.example by mx.example.org; Sat, 21 Nov 2026 06:23:00 +0000
From: Alice <alice@example.org>
To: bob@example.net
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=
\tfrom here
Date: Sat, 21 Nov 2026 06:23:00 +0000
Message-ID: <1@example.org>
List-Unsubscribe: <https://example.org/u>
List-Unsubscribe-Post: List-Unsubscribe=One-Click

Hello   Bob \n\n\n"""

CANONICALIZATIONS = ["relaxed/relaxed", "relaxed/simple", "simple/relaxed", "simple/simple"]


def sign(
    raw: bytes, *specs: SignatureSpec, now: int = NOW
) -> tuple[tuple[HeaderField, ...], tuple[HeaderField, ...], bytes]:
    """The signatures, the header they stand above, the body."""
    fields, body = parse_message(raw)
    signer = MessageSigner(specs, fields)
    signer.body(body)
    return signer.finish(now), fields, body


def verify(
    fields: tuple[HeaderField, ...], body: bytes, *specs: SignatureSpec
) -> tuple[DkimResult, ...]:
    verifier = MessageVerifier(fields)
    verifier.body(body)
    zone = {spec.record_name: spec.key.public_record() for spec in specs}
    return run(verifier.finish(NOW), zone)


def tags_of(field: HeaderField) -> dict[str, str]:
    return parse_tags(field.value.decode())


def h_of(raw: bytes, headers: HeaderPolicy = DEFAULT_HEADERS) -> str:
    spec = SignatureSpec("example.org", "s", ED25519, headers=headers)
    return tags_of(sign(raw, spec)[0][0])["h"].replace("\r\n ", "")


@pytest.mark.parametrize("canonicalization", CANONICALIZATIONS)
@pytest.mark.parametrize("key", [RSA, RSA_1024, ED25519], ids=lambda key: key.algorithm)
def test_what_is_signed_verifies(key: SigningKey, canonicalization: str) -> None:
    spec = SignatureSpec("example.org", "sel", key, Canonicalization.parse(canonicalization))
    signatures, fields, body = sign(MESSAGE, spec)
    (result,) = verify(signatures + fields, body, spec)
    assert (result.status, result.reason) == ("pass", "")
    assert (result.domain, result.selector, result.auid) == ("example.org", "sel", "@example.org")
    assert result.algorithm == key.algorithm
    assert result.key_bits == key.bits


def test_two_keys_share_one_pass_over_the_body() -> None:
    specs = (
        SignatureSpec("example.org", "rsa", RSA),
        SignatureSpec("example.org", "ed", ED25519),
        SignatureSpec("example.com", "simple", ED25519, Canonicalization.parse("simple/simple")),
    )
    signatures, fields, body = sign(MESSAGE, *specs)
    assert [tags_of(field)["s"] for field in signatures] == ["rsa", "ed", "simple"]
    assert [r.status for r in verify(signatures + fields, body, *specs)] == ["pass"] * 3


def test_any_chunks_of_the_body_give_the_same_signature() -> None:
    spec = SignatureSpec("example.org", "s", ED25519)
    signatures, fields, body = sign(MESSAGE, spec)
    signer = MessageSigner([spec], fields)
    for number in range(len(body)):
        signer.body(body[number : number + 1])
    assert signer.finish(NOW) == signatures


def test_the_field() -> None:
    spec = SignatureSpec("example.org", "s", ED25519, ttl=86400, auid="bounces@mail.example.org")
    ((field,), _, _) = sign(MESSAGE, spec)
    assert field.name == b"DKIM-Signature"
    tags = tags_of(field)
    assert list(tags) == ["v", "a", "c", "d", "s", "i", "t", "x", "h", "bh", "b"]
    assert tags["v"] == "1"
    assert tags["i"] == "bounces@mail.example.org"
    assert (tags["t"], tags["x"]) == (str(NOW), str(NOW + 86400))


def test_what_readers_see_is_oversigned_and_what_lists_add_is_not() -> None:
    names = h_of(MESSAGE).lower().split(":")
    counts = {name: names.count(name) for name in names}
    assert counts == {
        "from": 2,
        "reply-to": 1,  # absent, and still none can be added
        "subject": 2,
        "to": 2,
        "cc": 1,
        "date": 2,
        "message-id": 2,
        "list-unsubscribe": 1,  # RFC 8058 section 4
        "list-unsubscribe-post": 1,
    }
    assert "received" not in names


def test_every_field_of_a_name_is_covered() -> None:
    names = h_of(b"From: a@b.c\nTo: 1@b.c\nTo: 2@b.c\nResent-To: 3@b.c\nResent-To: 4@b.c\n\n")
    assert names.lower().split(":") == [
        "from", "from", "reply-to", "subject", "to", "to", "to", "cc", "resent-to", "resent-to",
    ]  # fmt: skip


@pytest.mark.parametrize("added", ["From", "Reply-To", "Subject", "To", "Cc", "Date"])
def test_an_added_field_breaks_the_signature(added: str) -> None:
    spec = SignatureSpec("example.org", "s", ED25519)
    signatures, fields, body = sign(MESSAGE, spec)
    forged = HeaderField(added.encode(), b" forged@example.com")
    (result,) = verify((forged, *signatures, *fields), body, spec)
    assert result.status == "fail"


@pytest.mark.parametrize("added", ["List-Id", "Received", "X-Anything", "Resent-From"])
def test_what_relays_and_lists_add_does_no_harm(added: str) -> None:
    spec = SignatureSpec("example.org", "s", ED25519)
    signatures, fields, body = sign(MESSAGE, spec)
    (result,) = verify((HeaderField(added.encode(), b" x"), *signatures, *fields), body, spec)
    assert result.status == "pass"


def test_internationalized_names() -> None:
    raw = "From: jörg@bücher.example\nSubject: Grüße\n\nTschüß\n".encode()
    spec = SignatureSpec("Bücher.example", "schlüssel", ED25519, auid="jörg;=@bücher.example")
    signatures, fields, body = sign(raw, spec)
    tags = tags_of(signatures[0])
    assert tags["d"] == "xn--bcher-kva.example"
    assert tags["s"] == "xn--schlssel-95a"
    assert tags["i"] == "j=C3=B6rg=3B=3D@xn--bcher-kva.example"
    assert spec.record_name == "xn--schlssel-95a._domainkey.xn--bcher-kva.example"
    (result,) = verify(signatures + fields, body, spec)
    assert result.status == "pass"
    assert result.auid == "jörg;=@xn--bcher-kva.example"


LABEL = st.text(alphabet="abcdefghij", min_size=1, max_size=63)


@given(
    st.lists(LABEL, min_size=2, max_size=3),
    LABEL,
    st.sampled_from([RSA, ED25519]),
    st.sampled_from(CANONICALIZATIONS),
    st.integers(1, 3 * 365 * 86400),
    st.lists(st.sampled_from([*DEFAULT_HEADERS.plain, *DEFAULT_HEADERS.present, "Cc"])),
)
def test_no_line_is_too_long(
    labels: list[str],
    selector: str,
    key: SigningKey,
    canonicalization: str,
    ttl: int,
    names: list[str],
) -> None:
    domain = ".".join(labels)
    spec = SignatureSpec(domain, selector, key, Canonicalization.parse(canonicalization), ttl=ttl)
    raw = b"From: a@b.c\n" + b"".join(f"{name}: x\n".encode() for name in names) + b"\nbody\n"
    signatures, fields, body = sign(raw, spec)
    (field,) = signatures
    for line in bytes(field).decode("ascii").removesuffix("\r\n").split("\r\n"):
        assert len(line) <= max(78, len(domain) + len(" d=;"))
        assert not re.search(r"[\x00-\x1f]", line)
    (result,) = verify((field, *fields), body, spec)
    assert result.status == "pass"


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"domain": "example.org\r\nX: y"}, "domain or selector"),
        ({"domain": "localhost"}, "only one label"),
        ({"domain": ""}, "domain or selector"),
        ({"domain": "a;b.example"}, "domain or selector"),
        ({"selector": "s\n"}, "domain or selector"),
        ({"selector": "a..b"}, "domain or selector"),
        ({"selector": ".".join(["a" * 60] * 4)}, "domain or selector"),
        ({"ttl": 0}, "cannot expire"),
        ({"ttl": -5}, "cannot expire"),
        ({"ttl": 10**12}, "cannot expire"),
        ({"auid": "alice"}, "i="),
        ({"auid": "alice@example.com"}, "at or below example.org"),
        ({"auid": "alice@notexample.org"}, "at or below example.org"),
        ({"auid": "x" * 65 + "@example.org"}, "longer than 64"),
    ],
)
def test_what_cannot_be_signed_with(keywords: dict[str, object], message: str) -> None:
    arguments = {"domain": "example.org", "selector": "s", "key": ED25519, **keywords}
    with pytest.raises(SigningError, match=message):
        SignatureSpec(**arguments)  # type: ignore[arg-type]  # the point of the test


@pytest.mark.parametrize(
    "raw", [b"To: a@b.c\n\nx", b"From: a@b.c\nFROM: d@e.f\n\nx", b"\nx"]
)  # RFC 6376 section 8.15
def test_a_message_without_exactly_one_from_is_not_signed(raw: bytes) -> None:
    with pytest.raises(SigningError, match="exactly one From"):
        sign(raw, SignatureSpec("example.org", "s", ED25519))


def test_too_many_fields_are_not_signed() -> None:
    raw = b"From: a@b.c\n" + b"To: d@e.f\n" * MAX_COVERED + b"\n"
    with pytest.raises(MsgauthError, match="more than 500"):
        sign(raw, SignatureSpec("example.org", "s", ED25519))


def test_own_header_policy_in_rspamds_words() -> None:
    policy = HeaderPolicy.parse("(o)from:(x)date: subject :(O)TO")
    assert str(policy) == "(o)from:(o)TO:(x)date:subject"
    assert HeaderPolicy.parse(str(policy)) == policy
    assert HeaderPolicy.parse(str(DEFAULT_HEADERS)) == DEFAULT_HEADERS
    assert h_of(MESSAGE, headers=policy) == "from:from:TO:TO:date:date:subject"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("subject", "From must be signed"),
        ("from", "From must be signed, and always"),
        ("(x)from", "From must be signed, and always"),
        ("(o)from:to:TO", "named twice"),
        ("(z)from", "unknown mark"),
        ("(o)from:a b", "not the name"),
        ("(o)from:tö", "not the name"),
        ("(o)from:received", "must not be signed"),
        ("(o)from:ARC-Seal", "must not be signed"),
        ("(o)from:(o)", "not the name"),
    ],
)
def test_bad_header_policies(text: str, message: str) -> None:
    with pytest.raises(MsgauthError, match=message):
        HeaderPolicy.parse(text)
