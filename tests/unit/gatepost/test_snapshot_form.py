"""The form of a snapshot: what is written is read, and what is damaged is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.snapshots import form
from gatepost.snapshots.form import SnapshotError, parse

KEYS = st.text(st.characters(min_codepoint=0x21, exclude_categories=["Cs"]), min_size=1).filter(
    lambda key: len(key.encode()) <= form.MAX_KEY
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def snapshot(
    records: Iterable[tuple[str, Any]] = (),
    name: str = "senders",
    *,
    generation: int = 7,
    lineage: str = "5f0c",
) -> bytes:
    """Write a snapshot as accounts does."""
    lines = [form.record(key, value) for key, value in records]
    body = form.first_line(name) + b"".join(lines)
    seal, _ = form.last_line(generation, lineage, len(lines), hashlib.sha256(body))
    return body + seal


def forged(body: bytes, **seal: Any) -> bytes:
    """Put a seal below text that has a right checksum, whatever the rest says."""
    values = {"generation": 7, "lineage": "5f0c", "records": 1}
    text = json.dumps(values | {"tag": hashlib.sha256(body).hexdigest()} | seal).encode()
    return body + hashlib.sha256(body + text).hexdigest().encode() + b"\t" + text + b"\n"


@given(st.dictionaries(KEYS, VALUES, max_size=40), KEYS)
def test_what_is_written_is_found(values: dict[str, Any], other: str) -> None:
    ordered = sorted(values.items(), key=lambda item: item[0].encode())
    read = parse(snapshot(ordered), "senders")
    assert list(read.items()) == ordered
    assert {key: read.get(key) for key in values} == values
    assert read.get(other) == values.get(other)
    assert read.seal[:3] == (7, "5f0c", len(values))


WHOLE = snapshot([("a", 1), ("b", [2]), ("c", {"d": "e"})])


@pytest.mark.parametrize("size", range(len(WHOLE)))
def test_a_snapshot_that_is_cut_anywhere_is_refused(size: int) -> None:
    with pytest.raises(SnapshotError):
        parse(WHOLE[:size], "senders")


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_one_octet_that_is_another_is_seen(place: int, change: int) -> None:
    damaged = bytearray(WHOLE)
    damaged[place] ^= change
    with pytest.raises(SnapshotError):
        parse(bytes(damaged), "senders")


@given(st.binary(max_size=300))
def test_octets_by_chance_are_refused(data: bytes) -> None:
    with pytest.raises(SnapshotError):
        parse(data, "senders")


def test_octets_after_the_end_are_refused() -> None:
    with pytest.raises(SnapshotError):
        parse(WHOLE + b"\n", "senders")
    with pytest.raises(SnapshotError):
        parse(WHOLE + WHOLE, "senders")


FIRST = form.first_line("senders")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (snapshot(name="stores"), "another snapshot"),
        (forged(FIRST.replace(b" 1 ", b" 2 ") + b"a\t1\n"), "another version"),
        (forged(FIRST + b"a\t1\n", records=2), "it has 1 records, not 2"),
        (forged(FIRST + b"b\t1\na\t1\n", records=2), "not in order"),
        (forged(FIRST + b"a\t1\na\t1\n", records=2), "not in order"),
        (forged(FIRST + b"a b\t1\n"), "not in order"),
        (forged(FIRST + b"a\n"), "not in order"),
        (forged(FIRST + b"\t1\n"), "not in order"),
        (forged(FIRST + b"a\t{\n"), "cannot be read"),
        (forged(FIRST + b"a\xff\t1\n"), "cannot be read"),
        (forged(FIRST + b"a\t" + b"[" * 100_000 + b"\n"), "cannot be read"),
        (forged(FIRST + b"a\t" + b"1" * (form.MAX_LINE + 1) + b"\n"), "octets"),
        (forged(FIRST + b"a" * 401 + b"\t1\n"), "not in order"),
        (forged(FIRST + b"a\t1\n", generation=-1), "invalid values"),
        (forged(FIRST + b"a\t1\n", generation="7"), "invalid values"),
        (forged(FIRST + b"a\t1\n", generation=2**63), "invalid values"),
        (forged(FIRST + b"a\t1\n", lineage="x\r\ny"), "invalid values"),
        (forged(FIRST + b"a\t1\n", tag="0" * 64), "does not match its content"),
        (forged(FIRST + b"a\t1\n", more=1), "cannot parse"),
        (b"", "does not begin"),
    ],
)
def test_a_snapshot_that_is_none_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(SnapshotError, match=why):
        parse(data, "senders")


def test_a_snapshot_that_is_too_large_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form, "MAX_SIZE", len(WHOLE) - 1)
    with pytest.raises(SnapshotError, match="octets"):
        parse(WHOLE, "senders")


@pytest.mark.parametrize("key", ["", "a\tb", "a\nb", "a b", "a" * 401])
def test_a_record_that_would_break_the_form_is_not_written(key: str) -> None:
    with pytest.raises(SnapshotError):
        form.record(key, 1)


def test_the_tag_is_that_of_the_content_alone() -> None:
    one, other = parse(snapshot(generation=1), "senders"), parse(snapshot(lineage=""), "senders")
    assert one.seal.tag == other.seal.tag != parse(WHOLE, "senders").seal.tag
