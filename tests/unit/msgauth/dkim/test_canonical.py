"""Canonicalization: in any chunks as in one, and as dkimpy and the DomainKeys suite have it."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import pytest
from dkim.canonicalization import CanonicalizationPolicy
from hypothesis import example, given
from hypothesis import strategies as st

from msgauth.dkim import SIMPLE, Canonicalization
from msgauth.dkim.body import BodyHashes
from msgauth.dkim.canonical import BodyCanonicalizer, Canonical, canonical_field
from msgauth.errors import MsgauthError
from msgauth.message import HeaderField, crlf, parse_message
from tests import conformance

ALGORITHMS = pytest.mark.parametrize("algorithm", list(Canonical))

# What the algorithms look at, most likely first, so that runs come up often
BODIES = st.lists(
    st.sampled_from([b"\r\n", b" ", b"\t", b"\r", b"\n", b"x", b"\r\n\r\n", b"  ", b"\0", b"\xff"]),
    max_size=30,
).map(b"".join)


def canonical_body(algorithm: Canonical, *chunks: bytes) -> bytes:
    out = bytearray()
    body = BodyCanonicalizer(algorithm, out.extend)
    for chunk in chunks:
        body.update(chunk)
    body.finish()
    assert body.octets == len(out)
    return bytes(out)


# RFC 6376 section 3.4.5, and the rules of sections 3.4.3 and 3.4.4 one by one
@pytest.mark.parametrize(
    ("body", "simple", "relaxed"),
    [
        (b" C \r\nD \t E\r\n\r\n\r\n", b" C \r\nD \t E\r\n", b" C\r\nD E\r\n"),
        (b"", b"\r\n", b""),
        (b"\r\n", b"\r\n", b""),
        (b"\r\n\r\n", b"\r\n", b""),
        (b" \t\r\n\r\n", b" \t\r\n", b""),
        (b"a", b"a\r\n", b"a\r\n"),
        (b"a\r\n\r\n\r\nb\r\n\r\n", b"a\r\n\r\n\r\nb\r\n", b"a\r\n\r\n\r\nb\r\n"),
        (b"a\nb\n", b"a\r\nb\r\n", b"a\r\nb\r\n"),
        (b"a\rb\r\n", b"a\rb\r\n", b"a\rb\r\n"),
        (b"a\r\r\n", b"a\r\r\n", b"a\r\r\n"),
        (b"a \r", b"a \r\r\n", b"a \r\r\n"),
        (b"a\r\n\r \r\n\r\n", b"a\r\n\r \r\n", b"a\r\n\r\r\n"),
        (b"a \t", b"a \t\r\n", b"a\r\n"),
        (b" ", b" \r\n", b""),
    ],
)
def test_bodies(body: bytes, simple: bytes, relaxed: bytes) -> None:
    assert canonical_body(Canonical.SIMPLE, body) == simple
    assert canonical_body(Canonical.RELAXED, body) == relaxed


@ALGORITHMS
@given(body=BODIES, cuts=st.lists(st.integers(0, 60), max_size=6))
@example(body=b"a \r\n\r\n b", cuts=list(range(9)))
def test_any_chunks_give_the_same(algorithm: Canonical, body: bytes, cuts: list[int]) -> None:
    whole = canonical_body(algorithm, body)
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    chunks = [body[a:b] for a, b in pairwise(edges)]
    assert canonical_body(algorithm, *chunks) == whole
    assert canonical_body(algorithm, *[body[n : n + 1] for n in range(len(body))]) == whole


@ALGORITHMS
@given(body=BODIES)
def test_bodies_as_dkimpy_has_them(algorithm: Canonical, body: bytes) -> None:
    body = crlf(body)  # dkimpy does this while it splits the message
    policy = CanonicalizationPolicy.from_c_value(f"simple/{algorithm}".encode())
    ended = body.endswith(b"\r\n") or not body.endswith((b" ", b"\t"))
    if algorithm is Canonical.RELAXED and not ended:
        # dkimpy keeps the space at the end of a last line without CRLF. RFC 6376 section 3.4.4
        # ignores white space at the end of every line and adds the CRLF afterwards.
        body += b"\r\n"
    assert canonical_body(algorithm, body) == policy.canonicalize_body(body)


HEADER_VALUES = st.lists(
    st.sampled_from([b"\r\n ", b"\r\n\t", b" ", b"\t", b"x", b"\xc3\xa9", b":"]), max_size=12
).map(b"".join)


@ALGORITHMS
@given(value=HEADER_VALUES)
def test_fields_as_dkimpy_has_them(algorithm: Canonical, value: bytes) -> None:
    policy = CanonicalizationPolicy.from_c_value(f"{algorithm}/simple".encode())
    ((name, expected),) = policy.canonicalize_headers([(b"SubJect", value + b"\r\n")])
    ours = canonical_field(HeaderField(b"SubJect", value), algorithm)
    assert ours == name + b":" + expected


def test_fields_of_the_rfc() -> None:
    # RFC 6376 section 3.4.5
    fields = (HeaderField(b"A", b" X"), HeaderField(b"B ", b" Y\t\r\n\tZ  "))
    relaxed = [canonical_field(field, Canonical.RELAXED) for field in fields]
    assert relaxed == [b"a:X\r\n", b"b:Y Z\r\n"]
    simple = [canonical_field(field, Canonical.SIMPLE) for field in fields]
    assert simple == [b"A: X\r\n", b"B : Y\t\r\n\tZ  \r\n"]


def test_only_crlf_folds_and_only_wsp_is_space() -> None:
    field = HeaderField(b"A", b" x\x0b \x0c y\r z\xa0 ")
    assert canonical_field(field, Canonical.RELAXED) == b"a:x\x0b \x0c y\r z\xa0\r\n"


def test_the_suite_of_the_domainkeys_days() -> None:
    folder = conformance.suite("dkim/flanker-canon")
    seen = 0
    for path in sorted(folder.glob("*.expected.*")):
        if path.name.startswith("nofws"):  # an algorithm that DKIM did not take over
            continue
        algorithm = Canonical(path.name.partition(".")[0])
        fields, body = parse_message((folder / f"email{path.suffix}").read_bytes())
        if path.name == "relaxed.expected.24":
            # Ends with spaces and no CRLF, and the suite keeps a space there. RFC 6376 section
            # 3.4.4 ignores white space at the end of every line and adds the CRLF afterwards.
            body += b"x"
            expected = path.read_bytes().removesuffix(b" \r\n") + b" x\r\n"
        else:
            expected = path.read_bytes()
        header = b"".join(canonical_field(field, algorithm) for field in fields)
        assert header + b"\r\n" + canonical_body(algorithm, body) == expected, path.name
        seen += 1
    assert seen == 42


@ALGORITHMS
def test_memory_does_not_grow_with_empty_lines_or_spaces(algorithm: Canonical) -> None:
    size = 0

    def count(data: bytes) -> None:
        nonlocal size
        size += len(data)

    body = BodyCanonicalizer(algorithm, count)
    lines, spaces = b"\r\n" * 32768, b" " * 65536
    tracemalloc.start()
    try:
        for _ in range(200):
            body.update(lines)
        body.update(b"x")
        for _ in range(200):
            body.update(spaces)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    body.finish()
    assert size == body.octets >= 200 * len(lines)
    assert peak < 1_000_000


def test_hashes_are_shared_and_cut() -> None:
    hashes = BodyHashes()
    whole = hashes.want(Canonical.RELAXED)
    assert hashes.want(Canonical.RELAXED) is whole
    cut = hashes.want(Canonical.RELAXED, 3)
    nothing = hashes.want(Canonical.SIMPLE, 0)
    for chunk in (b"a ", b" b", b"c\r\n", b"\r\n"):
        hashes.update(chunk)
    hashes.finish()
    hashes.finish()
    alone = BodyHashes()
    same = alone.want(Canonical.SIMPLE)
    for chunk in (b"a", b" ", b"b"):
        alone.update(chunk)
    alone.finish()
    assert whole.octets == cut.octets == len(b"a bc\r\n")
    assert nothing.octets == len(b"a  bc\r\n")
    assert same.octets == len(b"a b\r\n")
    assert len({whole.digest, cut.digest, nothing.digest, same.digest}) == 4
    assert nothing.digest.hex().startswith("e3b0c44298fc1c14")  # SHA-256 of nothing


def test_names() -> None:
    assert Canonicalization.parse("relaxed") == Canonicalization(
        Canonical.RELAXED, Canonical.SIMPLE
    )
    assert str(Canonicalization.parse("simple/relaxed")) == "simple/relaxed"
    assert Canonicalization.parse("simple") == SIMPLE
    for bad in ("", "nofws", "simple/", "/simple", "relaxed/relaxed/relaxed", "Relaxed"):
        with pytest.raises(MsgauthError):
            Canonicalization.parse(bad)
