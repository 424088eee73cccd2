"""Nightly training, with mail and a service of the test."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import pytest

from delivery.learning.client import LearningAwayError
from delivery.night.mail_reader import MailFolder, MailReaderError, is_below
from delivery.night.mail_stores import read_users
from delivery.night.training import MAX_PROBLEMS, Night, NightBounds, NightCounts, NightSummary
from gatepost.errors import StartError

ANN, BOB = "ann@example.org", "bob@example.org"
UNCHECKED = b"X-Spam-Status: Unchecked, reason=scanner-away\r\n"


class Mail:
    """Mail of a user: for each folder, messages by a word of the query that finds them."""

    def __init__(self, folders: dict[str, dict[str, list[bytes]]]) -> None:
        self.contents = folders
        self.opened = ""
        self.marks: list[tuple[str, int, str, str]] = []
        self.queries: list[tuple[str, str, int, float]] = []

    def folders(self) -> list[MailFolder]:
        kinds = {"Spam folder": {"\\junk"}, "Gone": {"\\trash"}}
        return [
            MailFolder(f'"{name}"', frozenset(kinds.get(name, set()))) for name in self.contents
        ]

    def open(self, folder: MailFolder) -> None:
        self.opened = folder.name

    def search(self, query: str, limit: int, age: float = 0.0) -> Iterator[int]:
        self.queries.append((self.opened, query, limit, age))
        for word, messages in self.contents[self.opened].items():
            if word in query:
                yield from range(1, min(limit, len(messages)) + 1)

    def fields(self, uids: Sequence[int], name: str) -> dict[int, str]:
        assert name == "X-Spam-Status"
        messages = self.contents[self.opened].get(AGAIN, [])
        return {uid: messages[uid - 1].split(b": ")[1].decode() for uid in uids}

    def read(self, uid: int, limit: int) -> bytes | None:
        assert limit > 1000
        query = self.queries[-1][1]
        (messages,) = (found for word, found in self.contents[self.opened].items() if word in query)
        return messages[uid - 1] or None

    def mark(self, uid: int, add: str, remove: str = "") -> None:
        self.marks.append((self.opened, uid, add, remove))


class Service:
    def __init__(self) -> None:
        self.lessons: list[tuple[str, str, bytes, str]] = []
        self.broken: dict[bytes, StartError] = {}

    def learn(self, user: str, lesson: str, message: bytes, source: str = "") -> bool:
        if message in self.broken:
            raise self.broken[message]
        self.lessons.append((user, lesson, message, source))
        return True

    def score(self, user: str, message: bytes) -> dict[str, Any]:
        return {"junk": b"pills" in message}

    def stats(self, user: str) -> dict[str, Any]:
        return {"store": "shard2" if user == BOB else ""}


class Run:
    """A run over mailboxes; `now` is the clock."""

    def __init__(self, mails: dict[str, Mail], **bounds: Any) -> None:
        self.mails = mails
        self.service = Service()
        self.moves: list[tuple[str, str, int]] = []
        self.move_fails = False
        self.stores: dict[str, str] = {}
        self.reports: dict[str, NightCounts] = {}
        self.now = 0.0
        self.per_message = 0.0
        self.bounds = NightBounds(
            bounds.get("min_age", 2 * 86400.0),
            bounds.get("max_messages", 10),
            bounds.get("max_time", 100.0),
            1 << 20,
        )

    def open(self, user: str, store: str) -> AbstractContextManager[Mail]:
        self.stores[user] = store
        if user not in self.mails:
            raise MailReaderError("the login is refused")
        return contextlib.nullcontext(self.mails[user])

    def move(self, user: str, store: str, uid: int) -> None:
        if self.move_fails:
            raise StartError("doveadm does not answer")
        self.moves.append((user, store, uid))

    def clock(self) -> float:
        self.now += self.per_message
        return self.now

    def run(self, *users: str) -> NightSummary:
        night = Night(
            self.service, self.open, self.move, self.reports.__setitem__, self.bounds, self.clock
        )
        return night.run(list(users))


SPAM, HAM, MARKED, AGAIN = "UNKEYWORD $LearnedSpam", "UNKEYWORD $Junk", "OR KEYWORD", "UNSEEN"


def test_folders_teach_what_they_are_for() -> None:
    mail = Mail(
        {
            "INBOX": {HAM: [b"1", b"2"], MARKED: [b"3"]},
            "Spam folder": {SPAM: [b"4"], MARKED: [b"5"]},
            "Work": {HAM: [b"6"]},
            "Gone": {HAM: [b"7"], SPAM: [b"7"], MARKED: [b"7"]},
            "Sent": {HAM: [b"8"], MARKED: [b"8"]},
            "Drafts/old": {HAM: [b"8"], MARKED: [b"8"]},
            "Junk/2026": {SPAM: [b"9"]},
        }
    )
    run = Run({ANN: mail})
    summary = run.run(ANN)
    assert summary == NightSummary(1, 0, 0, NightCounts(spam=2, ham=5))
    assert {(lesson, message) for _, lesson, message, _ in run.service.lessons} == {
        *(("ham", message) for message in (b"1", b"2", b"3", b"5", b"6")),
        *(("spam", message) for message in (b"4", b"9")),
    }
    assert {one[3] for one in run.service.lessons} == {"night"}
    assert ("INBOX", 1, "$LearnedHam", "$LearnedSpam") in mail.marks
    assert ("Spam folder", 1, "$LearnedSpam", "$LearnedHam") in mail.marks
    assert run.moves == []
    for _, query, _, age in mail.queries:
        # nobody has looked at unread mail
        assert "UNSEEN" in query if AGAIN in query else query.startswith("SEEN UNDELETED")
        assert age == (0.0 if AGAIN in query or MARKED in query else 2 * 86400.0)


def test_the_number_of_messages_is_bounded() -> None:
    mail = Mail({"A": {HAM: [b"x"] * 9}, "B": {HAM: [b"x"] * 9}, "Junk": {SPAM: [b"y"] * 99}})
    run = Run({ANN: mail}, max_messages=10)
    assert run.run(ANN).counts == NightCounts(spam=10, ham=10)


def test_failures_of_one_user_stay_with_this_user() -> None:
    mail = Mail({"INBOX": {HAM: [b"bad", b"", b"good"]}})
    run = Run({BOB: mail})
    run.service.broken[b"bad"] = StartError("too odd")
    summary = run.run(ANN, BOB)
    assert (summary.users, summary.failed, summary.is_complete) == (2, 2, False)
    assert run.reports[ANN].problems == ["the login is refused"]
    assert run.reports[BOB].problems == ["INBOX, UID 1: too odd"]
    assert run.reports[BOB].ham == 1
    assert run.stores == {ANN: "", BOB: "shard2"}
    # what was not learned has no keyword
    assert [mark[1] for mark in mail.marks] == [3]


def test_a_user_for_whom_nothing_can_be_learned_does_not_take_the_night() -> None:
    mails = {user: Mail({"INBOX": {HAM: [b"bad"] * 50}}) for user in (ANN, BOB)}
    run = Run(mails, max_messages=100)
    run.service.broken[b"bad"] = StartError("the ledger is damaged")
    summary = run.run(ANN, BOB)
    assert (summary.users, summary.failed, summary.left) == (2, 2, 0)
    for user in (ANN, BOB):
        assert len(run.reports[user].problems) == MAX_PROBLEMS
        assert run.reports[user].problems[-1].endswith("; the rest waits for another night")


def test_without_the_service_the_run_ends() -> None:
    run = Run({user: Mail({"INBOX": {HAM: [b"1", b"2"]}}) for user in (ANN, BOB)})
    run.service.broken[b"2"] = LearningAwayError("the spam scanner: no answer")
    summary = run.run(ANN, BOB)
    assert (summary.users, summary.left, summary.is_complete) == (0, 2, False)
    assert summary.away == "the spam scanner: no answer"
    assert run.reports[ANN].ham == 1
    assert BOB not in run.reports


def test_the_time_is_bounded() -> None:
    run = Run({user: Mail({"INBOX": {HAM: [b"1"] * 9}}) for user in (ANN, BOB)}, max_time=6.0)
    run.per_message = 1.0
    summary = run.run(ANN, BOB)
    assert (summary.users, summary.left, summary.is_complete) == (0, 2, True)
    assert summary.counts.ham == 4


def test_mail_without_a_scan_is_scanned_again() -> None:
    forged = b"X-Spam-Status: No, score=1.0 required=5.0\r\nX-Spam-Status: Unchecked, x\r\n"
    mails = [UNCHECKED + b"\r\npills", UNCHECKED + b"\r\nhello", forged + b"\r\npills"]
    mail = Mail({"INBOX": {AGAIN: mails}, "Work": {AGAIN: mails}})
    run = Run({BOB: mail})
    summary = run.run(BOB)
    assert (summary.counts.rescanned, summary.counts.moved) == (2, 1)
    assert run.moves == [(BOB, "shard2", 1)]
    assert mail.marks == [("INBOX", 1, "$SpamChecked", ""), ("INBOX", 2, "$SpamChecked", "")]
    assert run.service.lessons == []


@pytest.mark.parametrize(
    "answer", [{"userList": [BOB, ANN]}, [{"userList": [BOB, ANN, ANN]}], [ANN, BOB]]
)
def test_users_that_doveadm_lists(answer: Any) -> None:
    assert read_users(answer) == [ANN, BOB]


@pytest.mark.parametrize("answer", [None, {}, "x", [1], {"userList": [1]}, [{}]])
def test_an_answer_without_users_is_an_error(answer: Any) -> None:
    with pytest.raises(StartError, match="does not list"):
        read_users(answer)


def test_a_move_that_fails_is_tried_another_night() -> None:
    mail = Mail({"INBOX": {AGAIN: [UNCHECKED + b"\r\npills"]}})
    run = Run({ANN: mail})
    run.move_fails = True
    assert run.run(ANN).failed == 1
    assert mail.marks[-1] == ("INBOX", 1, "", "$SpamChecked")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Junk", True), ("Junk/2026", True), ("Junk.2026", True), ("Junkyard", False), ("", False)],
)
def test_folders_below_others(name: str, expected: bool) -> None:
    assert is_below(name, ("Junk",)) is expected
