"""Lessons, their ledger, and the choice of the data for a scan."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from delivery import ledger as ledger_module
from delivery.ledger import BUSY, KnownSummaries, Ledger, LedgerError
from delivery.lesson import LessonClass, make_lesson, read_top
from delivery.own_data import scan_user
from delivery.user import SITE, SpamUser, safe_user, with_own_data

SENT = (
    b"Authentication-Results: mx.example.org; dmarc=pass header.from=example.com\r\n"
    b"Received: from a by mx (Postfix) with ESMTP id 4XyzAb12\r\n"
    b"ARC-Authentication-Results: i=1; x; dkim=pass\r\n"
    b"Subject: hello\r\n\r\nHow are you?\r\n"
)
MARKS = (
    b"X-Spam-Status: No, score=1.5 required=5.0\r\n\ttests=A_RULE,\r\n\tB_RULE\r\n"
    b"X-Spam-Score: 1.5\r\nX-Spam-Level: *\r\nX-Virus-Status: Clean\r\n"
)
STORE = (
    b"Return-Path: <sender@example.com>\r\nDelivered-To: ann@example.org\r\n"
    b"Received: from mx by store with LMTP id 1\r\n"
)


def test_a_stored_message_makes_the_lesson_of_the_one_that_was_sent() -> None:
    sent = make_lesson(SENT, 10_000)
    assert sent.octets == (
        b"Received: from a by mx (Postfix) with ESMTP id 4XyzAb12\r\n"
        b"Subject: hello\r\n\r\nHow are you?\r\n"
    )
    stored = STORE + MARKS + SENT
    assert make_lesson(stored, 10_000) == sent
    assert make_lesson(stored.replace(b"\r\n", b"\n"), 10_000) == sent
    assert make_lesson(SENT.replace(b"you", b"they"), 10_000).digest != sent.digest


def test_only_the_first_octets_are_learned() -> None:
    body = b"a line\r\n" * 1000
    lesson = make_lesson(STORE + MARKS + SENT + body, 500)
    assert len(lesson.octets) == 500
    assert make_lesson(STORE + MARKS + SENT + body + b"more", 500) == lesson


def test_the_top_of_a_stored_message() -> None:
    top = read_top(STORE + MARKS + SENT)
    assert top.sender == "sender@example.com"
    assert top.status == "No, score=1.5 required=5.0 tests=A_RULE, B_RULE"
    assert top.rest.endswith(SENT)
    assert read_top(SENT) == ("", "", SENT)
    assert read_top(b"") == ("", "", b"")
    # a text in the body is no field
    quoted = b"Subject: x\r\n\r\nX-Spam-Status: Unchecked, reason=x\r\n"
    assert read_top(quoted).status == ""
    assert read_top(quoted.replace(b"\r\n", b"\n")).status == ""
    # nothing is looked for without end
    assert read_top(b"a" * 1_000_000 + MARKS).status == ""


@pytest.mark.parametrize("message", [b"\0" * 1000, b"\r\n\r\n", b"no header at all", b"\xff" * 99])
def test_any_octets_make_a_lesson(message: bytes) -> None:
    assert make_lesson(message, 500) == make_lesson(message, 500)


def test_the_ledger(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    assert ledger.find(b"one") is None
    assert ledger.summary() == (0, 0, None, None, ())
    ledger.drop(b"one")
    assert not ledger.path.exists()
    ledger.note(b"one", LessonClass.SPAM, 10.0, "imap")
    ledger.note(b"two", LessonClass.HAM, 20.0, "night")
    ledger.note(b"one", LessonClass.HAM, 30.0, "night")
    assert ledger.find(b"one") is LessonClass.HAM
    assert ledger.summary() == (0, 2, 20.0, 30.0, (("night", 2),))
    ledger.drop(b"two")
    assert ledger.summary() == (0, 1, 30.0, 30.0, (("night", 1),))


def test_the_ledger_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "MAX_LESSONS", 3)
    ledger = Ledger(tmp_path)
    for number in range(5):
        ledger.note(b"%d" % number, LessonClass.SPAM, float(number), "imap")
    assert ledger.summary()[:3] == (3, 0, 2.0)
    assert ledger.find(b"1") is None


def test_much_mail_of_one_class_leaves_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "MAX_LESSONS", 6)
    ledger = Ledger(tmp_path)
    for number in range(20):
        kind = LessonClass.SPAM if number < 2 else LessonClass.HAM
        ledger.note(b"%d" % number, kind, float(number), "night")
    assert ledger.summary()[:2] == (2, 4)
    assert ledger.summary().suffices(2)
    assert ledger.find(b"15") is None
    assert ledger.find(b"16") is LessonClass.HAM


def test_a_broken_ledger(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.path.write_bytes(b"this is no database" * 100)
    for work in (
        lambda: ledger.find(b"x"),
        lambda: ledger.note(b"x", LessonClass.SPAM, 1.0, "imap"),
        lambda: ledger.drop(b"x"),
        ledger.summary,
    ):
        with pytest.raises(LedgerError, match=r"learned\.sqlite3"):
            work()
    assert KnownSummaries().find(tmp_path) is None


@pytest.mark.parametrize("link", ["learned.sqlite3", "", ".."])
def test_no_link_leads_to_another_ledger(tmp_path: Path, link: str) -> None:
    """spamd can write in the folders, and must not choose the file that we write to."""
    there, here = tmp_path / "there" / "ann", tmp_path / "here" / "ann"
    there.mkdir(parents=True)
    Ledger(there).note(b"one", LessonClass.SPAM, 1.0, "imap")
    place = here.parent if link == ".." else here / link
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(there.parent if link == ".." else there / link)
    with pytest.raises(LedgerError, match="symbolic link"):
        Ledger(here).find(b"one")
    with pytest.raises(LedgerError, match="symbolic link"):
        Ledger(here).note(b"two", LessonClass.SPAM, 1.0, "imap")
    assert Ledger(there).summary().spam == 1


def test_a_pipe_keeps_nobody_waiting(tmp_path: Path) -> None:
    ann = SpamUser("ann", "example.org")
    folder = tmp_path / ann.folder
    folder.mkdir(parents=True)
    os.mkfifo(folder / "learned.sqlite3")
    with pytest.raises(LedgerError, match="is no file"):
        Ledger(folder).find(b"one")
    os.mkfifo(folder / "user_prefs")
    assert scan_user([ann], tmp_path, 2) == str(ann)


def test_numbers_in_memory_follow_the_file(tmp_path: Path) -> None:
    known, ledger = KnownSummaries(), Ledger(tmp_path)
    assert known.find(tmp_path) is None
    for number in range(1, 4):
        ledger.note(b"%d" % number, LessonClass.SPAM, 1.0, "imap")
        os.utime(ledger.path, ns=(number, number))
        summary = known.find(tmp_path)
        assert summary is not None
        assert summary.spam == number
    # a file that did not change is not read
    with closing(sqlite3.connect(ledger.path)) as database, database:
        database.execute("DELETE FROM lesson")
    os.utime(ledger.path, ns=(3, 3))
    summary = known.find(tmp_path)
    assert summary is not None
    assert summary.spam == 3


def test_whose_data_a_scan_has(tmp_path: Path) -> None:
    ann, bob = SpamUser("ann", "example.org"), SpamUser("bob", "example.org")
    assert scan_user([], tmp_path, 2) == "site@site"
    assert scan_user([ann], tmp_path, 2) == "site@site"
    folder = tmp_path / ann.folder
    folder.mkdir(parents=True)
    # without a ledger, another program has taught
    (folder / "bayes_toks").touch()
    assert scan_user([bob, ann], tmp_path, 2) == "ann@example.org"
    ledger = Ledger(folder)
    for number, kind in enumerate([LessonClass.SPAM, LessonClass.SPAM, LessonClass.HAM]):
        ledger.note(b"%d" % number, kind, 1.0, "imap")
        os.utime(ledger.path, ns=(number + 1, number + 1))
        assert scan_user([ann], tmp_path, 2) == "site@site"
    ledger.note(b"more", LessonClass.HAM, 1.0, "imap")
    assert scan_user([ann], tmp_path, 2) == "ann@example.org"
    assert scan_user([ann], tmp_path, 3) == "site@site"
    (folder / "user_prefs").touch()
    assert scan_user([ann], tmp_path, 3) == "ann@example.org"


def test_no_mailbox_is_the_site() -> None:
    assert safe_user(str(SITE)) is None
    assert safe_user("site@example.org") == SpamUser("site", "example.org")


def test_mailboxes_with_odd_names_are_not_taught() -> None:
    names = ["ann@example.org", "o'neil@example.org", "Bob@example.org", "zoë@example.org", "ann"]
    assert with_own_data(names) == ["ann@example.org", "Bob@example.org"]


def test_nobody_waits_for_a_ledger_that_stays_locked(tmp_path: Path) -> None:
    """The event loop reads it, and spamd, which reads mail of strangers, can lock it."""
    known = KnownSummaries()
    ledger = Ledger(tmp_path)
    ledger.note(b"1", LessonClass.SPAM, 1.0, "imap")
    before = known.find(tmp_path)
    assert before is not None
    ledger.note(b"2", LessonClass.SPAM, 2.0, "imap")
    with closing(sqlite3.connect(ledger.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        begun = time.monotonic()
        assert known.find(tmp_path) == before
        assert KnownSummaries().find(tmp_path) is None
        assert time.monotonic() - begun < BUSY / 2
    after = known.find(tmp_path)
    assert after is not None
    assert after.spam == 2
