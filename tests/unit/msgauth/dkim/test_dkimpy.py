"""dkimpy and we agree, or the RFC says why not.

`derandomize` has hypothesis pick the same examples again, so that a difference is news, not luck.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msgauth.ask import Answer, Rcode
from msgauth.dkim import (
    Canonicalization,
    DkimResult,
    MessageVerifier,
    SignatureSpec,
)
from msgauth.keys import SigningKey
from msgauth.message import HeaderField, parse_message
from msgauth.tags import parse_tags, split_list
from tests.unit.msgauth.dkim.dkimpy_oracle import dkimpy_passes, dkimpy_signature
from tests.unit.msgauth.dkim.test_sign import CANONICALIZATIONS, MESSAGE, sign
from tests.unit.msgauth.forge import forge
from tests.unit.msgauth.keyring import ED25519, NOW, RSA, RSA_1024, run

LATE = 4_000_000_000
"""A time after that of dkimpy's signatures, which it takes from the clock."""

NAME = "s._domainkey.example.org"
SAME = settings(derandomize=True, max_examples=300, deadline=None)

KEYS = st.sampled_from([RSA_1024, ED25519])
VALUES = st.lists(
    st.sampled_from([b"x", b" ", b"\t", b"\r\n ", b"\r\n\t", b":", b";", b"\xc3\xa9", b"=?utf-8?"]),
    max_size=8,
).map(lambda parts: b"x" + b"".join(parts) + b"y")
NAMES = st.sampled_from([b"To", b"SUBJECT", b"cc", b"List-Unsubscribe", b"X-Other", b"Resent-To"])
BODIES = st.lists(
    st.sampled_from([b"\r\n", b" ", b"\t", b"x", b"\r\n\r\n", b"  ", b"\xff", b"\0", b"\n"]),
    max_size=20,
).map(lambda parts: b"".join(parts) + b"\r\n")
HEADERS = st.lists(st.builds(HeaderField, NAMES, VALUES), max_size=8)


def raw_message(fields: tuple[HeaderField, ...], body: bytes) -> bytes:
    return b"".join(map(bytes, fields)) + b"\r\n" + body


def ours(raw: bytes, record: str, now: int = NOW) -> DkimResult:
    """Our result for the first signature; the same record is at every name."""
    fields, body = parse_message(raw)
    verifier = MessageVerifier(fields)
    verifier.body(body)
    return run(verifier.finish(now), _Everywhere(record))[0]


class _Everywhere(dict[str, str | Answer]):
    def __init__(self, record: str) -> None:
        super().__init__()
        self.record = record

    def get(self, name: str, default: object = None) -> Answer:
        return Answer(Rcode.OK, (self.record,) if self.record else ())


class _EverywhereText(dict[str, str]):
    def __init__(self, record: str) -> None:
        super().__init__()
        self.record = record

    def get(self, name: str, default: object = None) -> str:
        return self.record


@SAME
@given(HEADERS, BODIES, KEYS, st.sampled_from(CANONICALIZATIONS))
def test_dkimpy_verifies_what_we_sign(
    others: list[HeaderField], body: bytes, key: SigningKey, canonicalization: str
) -> None:
    spec = SignatureSpec("example.org", "s", key, Canonicalization.parse(canonicalization))
    raw = raw_message((HeaderField(b"From", b" a@example.org"), *others), body)
    signatures, fields, body = sign(raw, spec)
    assert dkimpy_passes(raw_message(signatures + fields, body), {NAME: key.public_record()})


@settings(SAME, max_examples=100)
@given(HEADERS, BODIES, KEYS, st.sampled_from(CANONICALIZATIONS))
def test_we_verify_what_dkimpy_signs(
    others: list[HeaderField], body: bytes, key: SigningKey, canonicalization: str
) -> None:
    raw = raw_message((HeaderField(b"From", b" a@example.org"), *others), body)
    signed = dkimpy_signature(raw, key, canonicalization) + raw
    result = ours(signed, key.public_record(), LATE)
    assert (result.status, result.reason) == ("pass", "")


def test_rsa_2048_both_ways() -> None:
    spec = SignatureSpec("example.org", "s", RSA)
    signatures, fields, body = sign(MESSAGE, spec)
    assert dkimpy_passes(raw_message(signatures + fields, body), {NAME: RSA.public_record()})
    signed = dkimpy_signature(MESSAGE, RSA, "relaxed/relaxed") + MESSAGE.replace(b"\n", b"\r\n")
    assert ours(signed, RSA.public_record(), LATE).status == "pass"


PIECES = st.sampled_from(
    [
        b"", b" ", b"\t", b"\r\n", b"\n", b"\r", b";", b"=", b":", b"a", b"A", b"\r\n ", b"\0",
        b"\xc3\xa9", b"From: x\r\n", b"1", b"+", b"/", b"x=1;", b"from", b"=\r\n", b"b=",
    ]
)  # fmt: skip
SIGNED = {
    (key, canonicalization): sign(
        MESSAGE, SignatureSpec("example.org", "s", key, Canonicalization.parse(canonicalization))
    )
    for key in (RSA_1024, ED25519)
    for canonicalization in CANONICALIZATIONS
}


@settings(SAME, max_examples=2000)
@given(
    st.sampled_from(list(SIGNED)),
    st.lists(st.tuples(st.integers(0, 1200), st.integers(0, 3), PIECES), min_size=1, max_size=2),
)
def test_a_changed_message(
    case: tuple[SigningKey, str], changes: list[tuple[int, int, bytes]]
) -> None:
    key, _ = case
    signatures, fields, body = SIGNED[case]
    raw = bytearray(raw_message(signatures + fields, body))
    for position, length, piece in changes:
        raw[position : position + length] = piece
    result = ours(bytes(raw), key.public_record())
    theirs = dkimpy_passes(bytes(raw), _EverywhereText(key.public_record()))
    # A last line without CRLF that ends with a space: see test_bodies_as_dkimpy_has_them.
    if theirs and result.status != "pass":
        # dkimpy strips a lone CR around a field's value; RFC 6376 section 3.4.2 strips WSP, which
        # is space and tab (section 2.8)
        assert b"\r" in raw.replace(b"\r\n", b"") or ended_by_no_field(bytes(raw))
    elif result.status == "pass" and not theirs:
        # Space before a colon is obsolete syntax that dkimpy does not read; RFC 6376 section 3.4.2
        # says what becomes of it.
        # The "=" at the end of base64 may be left out (section 2.10), not for dkimpy.
        unpadded = is_unpadded(parse_message(bytes(raw))[0][0])
        spaced = any(field.name.endswith((b" ", b"\t")) for field in parse_message(bytes(raw))[0])
        assert unpadded or spaced or ended_by_no_field(bytes(raw)) or raw.endswith((b" ", b"\t"))
    else:
        assert (result.status == "pass") is theirs


def is_unpadded(field: HeaderField) -> bool:
    """Whether b= or bh= of a signature field does without "=" at its end."""
    tags = parse_tags(field.value.decode())
    return any(len("".join(tags.get(name, "").split())) % 4 for name in ("b", "bh"))


def ended_by_no_field(raw: bytes) -> bool:
    """Whether a line that is no field ends the header.

    dkimpy gives up on such a message, unless the line begins with a colon, when it goes on (RFC
    5322 section 3.6.8: a field has a name). Postfix, and we, take the line for the first of the
    body, so that DKIM covers the fields that the next program finds.
    """
    fields, _ = parse_message(raw)
    return not raw[sum(len(bytes(field)) for field in fields) :].startswith(b"\r\n")


# Why we refuse what dkimpy lets pass
STRICTER = {
    "h= has something that is not a field name": "RFC 6376 section 3.5, sig-h-tag",
    "d= has only one label": "RFC 6376 section 3.5, domain-name has a dot",
    "d= is not a domain name": "RFC 6376 section 3.5, d=",
    "s= is not a domain name": "RFC 6376 section 3.5, s=",
    "the signature does not cover From": "RFC 6376 section 6.1.1",
    "the body is shorter than l= says": "RFC 6376 section 3.5, l=",
    "the key is not for the hash of the signature": "RFC 6376 section 6.1.2 step 6",
    "the key allows no subdomain in i=": "RFC 6376 section 3.6.1, t=s",
    "the key record is broken: a tag without a name and =": "RFC 6376 section 3.2",
    "x= is not later than t=": "RFC 6376 section 3.5, x=",
    "the signature has expired": "we allow one hour of drift, dkimpy ten",
    "l= covers": "RFC 6376 section 8.2",
}


def more_lenient(tags: dict[str, str], record: str) -> str:
    """Why we let pass what dkimpy refuses, or nothing."""
    if "dns/txt" in split_list(tags.get("q", "")) and tags["q"] != "dns/txt":
        return "RFC 6376 section 3.5: q= is a list, and unrecognized methods MUST be ignored"
    if "s=x:email" in record:
        return "RFC 6376 section 3.6.1: s= is a list"
    if "dkim-signature" in tags["h"]:
        return "RFC 6376 section 3.5: h= MUST NOT include the field being verified"
    if tags["d"].endswith(".") or "=" in tags.get("i", ""):
        return "RFC 6376 section 3.5: i= is quoted-printable; names are compared as DNS does"
    return ""


CHOICES: dict[str, list[str | None]] = {
    "v": [None, "2", "1 ", "01"],
    "c": [None, "relaxed", "simple", "simple/relaxed", "nofws", "Relaxed", "relaxed/"],
    "d": ["EXAMPLE.org", "example.org.", "sub.example.org", "org", "ex ample.org"],
    "s": ["S", "s.t", "s_1"],
    "h": [
        "from",
        "From:from:From",
        "from : to",
        "from::to",
        "from:to:",
        "subject",
        "from:x y",
        "from:received:dkim-signature",
    ],
    "i": [
        "@example.org",
        "a@sub.example.org",
        "a@EXAMPLE.ORG",
        "@xexample.org",
        "a=40@example.org",
        "a",
        "a b@example.org",
        "",
    ],
    "l": ["0", "5", "11", "100", "999999", "-1", "", "1 "],
    "q": ["dns/txt", "dns", "dns/txt:x", "x", "DNS/TXT"],
    "t": ["0", "1", "9999999999", "999999999999", "x", " 1"],
    "x": ["1", "9999999999", "", "x", "0"],
    "z": ["a|b", "=20"],
    "unknown": ["tag"],
    "_a": ["1"],
}
TAGS = st.lists(st.sampled_from(sorted(CHOICES)), unique=True, max_size=3).flatmap(
    lambda names: st.fixed_dictionaries({name: st.sampled_from(CHOICES[name]) for name in names})
)
RECORD_ENDS = st.sampled_from(
    [
        "",
        "",
        "",
        "; t=s",
        "; t=y",
        "; s=email",
        "; s=tlsrpt",
        "; s=x:email",
        "; s=x",
        "; h=sha256",
        "; h=sha1",
        "; n=x",
        "; x",
        "; k=rsa",
    ]
)
SEPARATORS = st.sampled_from([b"; ", b"; ", b";", b";\r\n ", b" ; ", b";;", b";\t"])
ENDS = st.sampled_from([b"", b"", b";", b" ", b"; ", b";;", b"\r\n "])


@settings(SAME, max_examples=2000)
@given(KEYS, TAGS, RECORD_ENDS, SEPARATORS, ENDS)
def test_an_odd_signature_that_was_made_well(
    key: SigningKey, tags: dict[str, str | None], record_end: str, separator: bytes, end: bytes
) -> None:
    fields, body = parse_message(MESSAGE)
    field = forge(fields, body, key, **{"s": "s", "h": "from:to:subject", **tags})
    field = HeaderField(field.name, field.value.replace(b"; ", separator, 1) + end)
    raw = raw_message((field, *fields), body)
    record = key.public_record() + record_end
    result = ours(raw, record)
    theirs = dkimpy_passes(raw, _EverywhereText(record))
    if theirs and result.status != "pass":
        assert any(result.reason.startswith(reason) for reason in STRICTER), result.reason
    elif result.status == "pass" and not theirs:
        assert more_lenient(parse_tags(field.value.decode()), record)


@pytest.mark.parametrize("record", ["", "v=DKIM1; p=", "v=DKIM1; k=x; p=AAAA", "x"])
def test_a_key_that_is_none(record: str) -> None:
    for signatures, fields, body in SIGNED.values():
        raw = raw_message(signatures + fields, body)
        assert ours(raw, record).status == "permerror"
        assert not dkimpy_passes(raw, _EverywhereText(record))
