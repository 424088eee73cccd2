"""Tests of the journal that run with each kind of database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from accounts.journal.journal import MailJournal
from accounts.journal.question import JournalQuestion
from accounts.journal.settings import JournalSettings
from accounts.journal.story import MailStory
from accounts.journal.table import STEP, JournalView
from accounts.store.settings import DatabaseSettings
from gatepost.journal.record import JournalRecord
from tests.unit.clock import Clock

T = TypeVar("T")

NOW = 1_900_000_000.0
DAY = 86_400.0


class JournalDesk:
    """A journal with an event loop, and a clock of the test."""

    def __init__(self, database: DatabaseSettings) -> None:
        self.clock = Clock(NOW)
        self.settings = JournalSettings(max_records=200_000)
        self._runner = asyncio.Runner()
        self.journal = MailJournal(lambda: self.settings, database, lambda: "+", self.clock)

    def run(self, awaited: Awaitable[T]) -> T:
        async def wait() -> T:
            return await awaited

        return self._runner.run(wait())

    def add(self, *records: JournalRecord) -> None:
        self.run(self.journal.add(records))

    def find(
        self,
        *words: str,
        view: JournalView = JournalView(),  # noqa: B008  # immutable
        since: float | None = None,
        until: float | None = None,
        limit: int = 100,
    ) -> list[MailStory]:
        return self.run(self.journal.search(JournalQuestion(words, since, until, view, limit)))

    def recipients(self, *words: str, **more: JournalView) -> list[str]:
        return sorted(one.recipient for one in self.find(*words, **more))  # type: ignore[arg-type]

    def close(self) -> None:
        self.run(self.journal.close())
        self._runner.close()


def mail(number: int, *recipients: str, at: float = NOW, **more: str) -> JournalRecord:
    """Return the milter's record of a mail."""
    values = {"sender": "sender@example.com", "queue_id": f"4Q{number}", "client": "192.0.2.1"}
    values |= {"message_id": f"<{number}@example.com>"} | more
    return JournalRecord(
        at,
        "milters",
        "accept",
        **values,  # type: ignore[arg-type]
        recipients=recipients,
        total=len(recipients),
    )


class JournalTests:
    """The tests; a subclass has the fixture `desk`."""

    def test_each_word_finds_it(self, desk: JournalDesk) -> None:
        desk.add(mail(1, "Ann+news@example.org"), mail(2, "bob@example.org", reason="spf-fail"))
        for word in ("ann@example.org", "ANN+News@example.org", "4Q1", "1@example.com"):
            assert desk.recipients(word) == ["Ann+news@example.org"], word
        assert desk.recipients("ann+other@example.org") == []
        assert desk.recipients("spf-fail") == desk.recipients("SPF-FAIL") == ["bob@example.org"]
        assert len(desk.find("sender@example.com")) == 2
        assert len(desk.find("192.0.2.1")) == 2
        assert desk.recipients("sender@example.com", "bob@example.org") == ["bob@example.org"]
        assert desk.find("sender@example.com", "nobody@example.org") == []
        assert len(desk.find()) == 2

    def test_words_are_only_text(self, desk: JournalDesk) -> None:
        desk.add(mail(1, "ann@example.org"))
        for word in ("%", "_", "' OR 1=1 --", "a+%@example.org", "\\", "%@%", "a_n@example.org"):
            assert desk.find(word) == []

    def test_times_bound_a_search(self, desk: JournalDesk) -> None:
        desk.add(mail(1, "ann@example.org", at=NOW - 3000), mail(2, "ann@example.org", at=NOW))
        assert len(desk.find("4Q1", since=NOW - 60)) == 0
        assert len(desk.find("4Q1", until=NOW - 60)) == 1
        found = desk.find("ann@example.org", since=NOW - 3001, until=NOW - 10)
        assert [one.queue_id for one in found] == ["4Q1"]

    def test_everybody_sees_only_what_they_may(self, desk: JournalDesk) -> None:
        desk.add(
            mail(1, "ann@example.org", "bob@example.org", "eve@other.example"),
            mail(2, "x@far.example", sender="ann@example.org", login="ann@example.org"),
            # anybody can write this sender
            mail(3, "x@far.example", sender="ann@example.org"),
        )
        ann = JournalView(addresses=frozenset({"ann@example.org"}), login="ann@example.org")
        assert sorted((one.queue_id, one.recipient) for one in desk.find(view=ann)) == [
            ("4Q1", "ann@example.org"),
            ("4Q2", "x@far.example"),
        ]
        domain = JournalView(domains=frozenset({"example.org"}))
        assert desk.recipients(view=domain) == [
            "ann@example.org",
            "bob@example.org",
            "x@far.example",
        ]
        assert desk.recipients("4Q1", view=domain) == ["ann@example.org", "bob@example.org"]
        assert desk.recipients("4Q3", view=domain) == []
        assert desk.recipients(view=JournalView(domains=frozenset())) == []
        assert desk.recipients(view=JournalView(addresses=frozenset())) == []

    def test_old_and_too_many_records_go_in_small_steps(self, desk: JournalDesk) -> None:
        desk.add(*(mail(n, "ann@example.org", at=NOW) for n in range(STEP + 500)))
        assert desk.run(desk.journal.prune(NOW)) == 0
        desk.settings = JournalSettings(max_records=1000)
        assert desk.run(desk.journal.prune(NOW)) == STEP + 500 - 1000
        desk.add(mail(9, "bob@example.org"))
        assert desk.run(desk.journal.prune(NOW)) == 1
        assert desk.run(desk.journal.prune(NOW + 1)) == 1000
        assert desk.find() == []
        desk.add(mail(10, "bob@example.org"))
        assert len(desk.find()) == 1

    def test_an_address_is_erased(self, desk: JournalDesk) -> None:
        desk.add(mail(1, "ann+x@example.org", "bob@example.org"), mail(2, "carl@example.org"))
        desk.add(mail(3, "x@far.example", sender="ann@example.org"))
        desk.add(mail(4, "x@far.example", sender="shop@example.org", login="ann@example.org"))
        assert desk.run(desk.journal.erase("Ann@example.org")) == 3
        assert desk.recipients() == ["bob@example.org", "carl@example.org"]

    def test_mail_is_counted_by_outcome(self, desk: JournalDesk) -> None:
        passed = {"findings": "greylist: passed (after 464 s)"}
        desk.add(
            mail(1, "ann@example.org", "bob@other.example"),
            JournalRecord(NOW, "policyd", "pass", recipients=("a@example.org",), details=passed),
            JournalRecord(NOW, "policyd", "defer", "greylist-new", recipients=("a@example.org",)),
            JournalRecord(
                NOW,
                "delivery",
                "deliver",
                recipients=("a@example.org",),
                details={"verdict": "junk"},
            ),
        )
        for view, accepted in (
            (JournalView(), 2),
            (JournalView(domains=frozenset({"example.org"})), 1),
        ):
            counts = desk.run(desk.journal.tally(view, NOW - 1, NOW + 1))
            found = {one.value: count for one, count in counts.items() if count}
            assert found == {"accepted": accepted, "returned": 1, "greylisted": 1, "junk": 1}
        assert not any(desk.run(desk.journal.tally(JournalView(), NOW + 1, NOW + 2)).values())
