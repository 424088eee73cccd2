"""The record of a decision, and its line."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gatepost.journal.record import MAX_LINE, JournalRecord, RecordError, clean, decode, encode

RECORD = JournalRecord(
    at=1_900_000_000.25,
    daemon="milters",
    action="reject",
    reason="dmarc-fail-reject",
    queue_id="4XyzAb12CdZ1",
    message_id="<a@example.com>",
    client="192.0.2.1",
    sender="sender@example.com",
    size=1234,
    total=2,
    recipients=("ann@example.org", "bob@example.org"),
    details={"spf": "pass", "dkim": "none"},
)


def test_a_line_is_read_as_it_was_written() -> None:
    line = encode(RECORD)
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    assert decode(line) == RECORD


def test_hostile_values_are_short_and_printable_on_both_sides() -> None:
    evil = "\x1b[31m\u202e\r\n\0" + "x" * 100_000
    record = RECORD._replace(
        message_id=evil,
        sender=evil,
        helo=evil,
        recipients=(evil,) * 5000,
        details={evil + str(number): evil for number in range(100)},
    )
    line = encode(record)
    assert len(line) <= 8 * MAX_LINE
    for one in (decode(line), decode(json.dumps(raw(line)).encode())):
        texts = [one.message_id, one.sender, one.helo, *one.recipients]
        texts += [*one.details, *one.details.values()]
        assert all(text.isprintable() and len(text) <= 400 for text in texts)
        assert len(one.recipients) == 100
        assert len(one.details) <= 16


def raw(line: bytes) -> dict[str, Any]:
    """Return what a daemon that does not bound anything would send."""
    found: dict[str, Any] = json.loads(line)
    return found | {"message_id": "\x1b\ud800" + "y" * 50_000}


@pytest.mark.parametrize(
    "change",
    [
        {"daemon": "somebody"},
        {"action": "explode"},
        {"at": "now"},
        {"at": float("nan")},
        {"at": True},
        {"at": None},
        {"at": 10**400},
        {"at": -(10**400)},
        {"at": 1e300},
        {"size": -1},
        {"size": 1 << 60},
        {"total": 1.5},
        {"recipients": "ann@example.org"},
        {"recipients": [1]},
        {"details": []},
        {"details": {"spf": 1}},
        {"sender": None},
    ],
)
def test_other_forms_are_refused(change: dict[str, Any]) -> None:
    line = json.dumps(json.loads(encode(RECORD)) | change).encode()
    with pytest.raises(RecordError):
        decode(line)


@pytest.mark.parametrize(
    "line", [b"", b"[]", b"{", b"[" * 100_000, b"null", b"\xff", b" " * 500_000]
)
def test_other_lines_are_refused(line: bytes) -> None:
    with pytest.raises(RecordError):
        decode(line)


def test_a_cut_text_says_so() -> None:
    assert clean("abcdef", 6) == "abcdef"
    assert clean("abcdefg", 6) == "abcde…"
    assert clean("a\u202eb", 6) == "a\N{REPLACEMENT CHARACTER}b"
