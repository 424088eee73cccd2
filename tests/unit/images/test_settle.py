"""Deliveries that a kill has left unrecorded, which `settle` of the Dovecot image records."""

from __future__ import annotations

import struct
import subprocess
from hashlib import md5
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SETTLE = ROOT / "images" / "dovecot" / "lib" / "settle"
TAKEN = "4Qabcdefgh Thu, 26 Nov 2026 12:00:00 +0000 (UTC)"
QUEUE_ID, _, TIME = TAKEN.partition(" ")
HEAD = """Return-Path: <ben@example.net>
Delivered-To: {to}
Received: from mx by mailboxes with LMTP id x for <{to}>; Thu, 26 Nov 2026 12:00:01 +0000
Received: from {helo} (mx.remote.example [198.51.100.7])
\tby mx.example.org (Postfix) with ESMTP id {id}
\tfor <{to}>; {time}
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "srv" / "example.org" / "anna-0123456789abcdef"
    (home / "mail" / "new").mkdir(parents=True)
    (home / ".dovecot.lda-dupes.locks").mkdir()
    return home


def digest(octets: bytes) -> bytes:
    return md5(octets, usedforsecurity=False).digest()


def key_of(to: str, taken: str = TAKEN) -> bytes:
    return digest(f"sieve duplicate+h-once{taken} {to}".encode())


def lock(home: Path, key: bytes) -> Path:
    file = home / ".dovecot.lda-dupes.locks" / f"duplicate.lock.{digest(key).hex()}"
    file.touch()
    return file


def message(home: Path, to: str, helo: str = "mx.remote.example", more: str = "") -> None:
    head = HEAD.format(to=to, helo=helo, id=QUEUE_ID, time=TIME)
    (home / "mail" / "new" / "99999999999.M1P1.host").write_text(f"{head}{more}\ntext\n")


def settle(home: Path) -> str:
    command = [str(SETTLE), str(home.parent.parent)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    return done.stdout


def entry(key: bytes, user: str) -> bytes:
    return struct.pack("=LLL", 1, len(key), len(user)) + key + user.encode()


def entries(home: Path) -> set[tuple[bytes, str]]:
    """Read the store as Dovecot does."""
    octets = (home / ".dovecot.lda-dupes").read_bytes()
    assert octets[:4] == struct.pack("=L", 2)
    found, at = set(), 4
    while at < len(octets):
        _, size, more = struct.unpack_from("=LLL", octets, at)
        at += 12 + size + more
        found.add((octets[at - size - more : at - more], octets[at - more : at].decode()))
    assert at == len(octets)
    return found


@pytest.mark.parametrize(
    "to", ["anna@example.org", "anna+lists@example.org", "anna@alias.example", "Anna@example.org"]
)
def test_a_stored_message_is_recorded_for_its_user(home: Path, to: str) -> None:
    """The name of the folder is not that of the user."""
    file = lock(home, key_of(to))
    message(home, to)
    assert "1 under way at the kill, 1 of them stored" in settle(home)
    assert (key_of(to), "anna@example.org") in entries(home)
    assert not file.exists()


def test_the_lock_of_a_dead_process_holds_up_nothing(home: Path) -> None:
    """The store is locked without any delivery under way, when the process read it."""
    locked = home / ".dovecot.lda-dupes.lock"
    locked.write_text("17:mailboxes\n")
    settle(home)
    assert not locked.exists()


def test_a_renamed_user_is_known_from_the_store(home: Path) -> None:
    store = (
        struct.pack("=L", 2) + entry(b"old", "anna@example.org") + entry(b"new", "eve@x.example")
    )
    (home / ".dovecot.lda-dupes").write_bytes(store)
    lock(home, key_of("eve+a@alias.example"))
    message(home, "eve+a@alias.example")
    settle(home)
    found = entries(home)
    assert {(b"old", "anna@example.org"), (b"new", "eve@x.example")} < found
    assert (key_of("eve+a@alias.example"), "eve@x.example") in found


@pytest.mark.parametrize("octets", [b"", b"\2", struct.pack("=LLLL", 2, 1, 4, 1 << 31) + b"some"])
def test_a_damaged_store_stops_nothing(home: Path, octets: bytes) -> None:
    (home / ".dovecot.lda-dupes").write_bytes(octets)
    lock(home, key_of("anna@example.org"))
    message(home, "anna@example.org")
    assert "1 of them stored" in settle(home)
    assert (key_of("anna@example.org"), "anna@example.org") in entries(home)


@pytest.mark.parametrize(
    ("helo", "more"),
    [
        # Postfix writes a question mark for each parenthesis of a HELO name
        ("?Postfix?_id_4Qvictim; Thu", ""),
        ("[198.51.100.7]", "Delivered-To: eve@example.org\nReceived: x (Postfix) id 4Qvictim; x\n"),
    ],
)
def test_senders_choose_no_key(home: Path, helo: str, more: str) -> None:
    """A lock of another message stays without an entry."""
    lock(home, key_of("anna@example.org", "4Qvictim Thu"))
    lock(home, key_of("anna@example.org"))
    message(home, "anna@example.org", helo, more)
    assert "2 under way at the kill, 1 of them stored" in settle(home)
    assert {key for key, _ in entries(home)} == {key_of("anna@example.org")}


def test_the_locks_of_processes_that_are_gone_are_removed(home: Path) -> None:
    left = [
        home / "mail" / "dovecot-uidlist.lock",
        home / "mail" / ".Archive.2026" / "dovecot-uidlist.lock",
        home / "index" / "INBOX" / "dovecot.index.log.lock",
    ]
    for file in left:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("160:mail-0")
    told = settle(home)
    assert not [file for file in left if file.exists()]
    assert told.count("its owner is gone") == len(left)


def test_only_lock_files_are_removed(home: Path) -> None:
    (home / "mail" / ".A folder.lock" / "cur").mkdir(parents=True)
    (home / "sieve").mkdir()
    outside = home.parent / "other.lock"
    kept = [
        home / "mail" / ".A folder.lock" / "cur" / "1.M1P1.lock",
        home / "mail" / "new" / "2.M1P1.lock",
        home / "mail" / "notes.lock",
        home / "sieve" / "my.lock",
        outside,
    ]
    for file in kept:
        file.write_text("160:mail-0" if file.name != "notes.lock" else "a text of somebody")
    (home / "mail" / "link.lock").symlink_to(outside)
    assert settle(home) == ""
    assert [file for file in kept if not file.exists()] == []
    assert (home / "mail" / "link.lock").is_symlink()
