"""Tests of the journal that run with each kind of database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from sqlalchemy import Connection, inspect, text

from accounts.journal.journal import MailJournal
from accounts.journal.place import JournalPlace
from accounts.journal.question import JournalQuestion
from accounts.journal.settings import JournalSettings
from accounts.journal.story import MailStory
from accounts.journal.table import JOURNAL, STEP, JournalView
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
        question = JournalQuestion(words, since, until, view, limit)
        return self.run(self.journal.search(question)).stories

    def pages(self, *words: str, limit: int, **more: JournalView) -> list[list[MailStory]]:
        """Return all pages of a search."""
        question = JournalQuestion(words, limit=limit, **more)  # type: ignore[arg-type]
        pages = []
        while True:
            found = self.run(self.journal.search(question))
            pages.append(found.stories)
            if found.following is None:
                return pages
            assert len(pages) < 1000, "the pages have no end"
            following = JournalPlace.parse(found.following.key)
            assert following == found.following
            question = question._replace(after=following)

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

    def test_each_mail_is_on_one_page(self, desk: JournalDesk) -> None:
        # three decisions about each mail, between those about others, and many at the same time
        numbers = range(40)
        for delay, daemon, action in (
            (-500.0, "policyd", "pass"),
            (0.0, "milters", "accept"),
            (170.0, "delivery", "deliver"),
        ):
            desk.add(
                *(
                    mail(n, f"r{n}@example.org", at=NOW - 1500 + n // 4 * 100 + delay)._replace(
                        daemon=daemon,
                        action=action,
                        queue_id="" if daemon == "policyd" else f"4Q{n}",
                        reason="spf-fail" if daemon == "milters" else "",
                    )
                    for n in numbers
                )
            )
        everything = [f"r{n}@example.org" for n in numbers]
        for words in ((), ("sender@example.com",), ("spf-fail",), ("192.0.2.1", "spf-fail")):
            for limit in (1, 3, 7, 100):
                pages = desk.pages(*words, limit=limit)
                found = [one.recipient for page in pages for one in page]
                assert sorted(found) == sorted(everything), (words, limit)
                assert all(1 <= len(page) <= limit for page in pages[:-1])
                assert {len(one.events) for page in pages for one in page} == {3}
                assert found[0] in everything[-4:]
        domain = JournalView(domains=frozenset({"example.net"}))
        assert desk.pages(limit=3, view=domain) == [[]]

    def test_mail_with_many_decisions_does_not_hide_what_was_before(
        self, desk: JournalDesk
    ) -> None:
        desk.add(*(mail(n, "ann@example.org", at=NOW - 100 + n) for n in range(3)))
        desk.add(*(mail(9, "ann@example.org", at=NOW + n) for n in range(60)))
        pages = desk.pages("ann@example.org", limit=1)
        found = [one.queue_id for page in pages for one in page]
        assert found == ["4Q9", "4Q2", "4Q1", "4Q0"]

    def test_recipients_of_one_decision_are_on_one_page(self, desk: JournalDesk) -> None:
        recipients = [f"r{n}@example.org" for n in range(5)]
        attempt = mail(1, *recipients, at=NOW)._replace(
            daemon="policyd", action="pass", queue_id="", instance="1.2.3"
        )
        about_all = attempt._replace(recipients=(), action="reject", at=NOW + 1)
        desk.add(attempt, about_all)
        pages = desk.pages("1.2.3", limit=2)
        assert sorted(one.recipient for page in pages for one in page) == recipients

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

    def test_a_table_of_before_gets_the_index_that_it_lacks(self, desk: JournalDesk) -> None:
        desk.add(mail(1, "ann@example.org"))

        def index_names(connection: Connection) -> set[str | None]:
            return {one["name"] for one in inspect(connection).get_indexes(JOURNAL.name)}

        def age(connection: Connection) -> None:
            connection.execute(text("DROP INDEX mail_journal_1_seen"))
            connection.execute(text(f"CREATE INDEX mail_journal_1_at ON {JOURNAL.name} (at)"))

        before = desk.run(desk.journal._read(index_names))
        desk.run(desk.journal._write(age))
        desk.run(desk.journal.close())
        assert len(desk.find("ann@example.org")) == 1
        assert desk.run(desk.journal._read(index_names)) == before

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

    def test_the_target_of_an_alias_is_erased(self, desk: JournalDesk) -> None:
        def to(final: str) -> JournalRecord:
            record = mail(1, "info@example.org", message_id="")
            return record._replace(daemon="postfix", details={"final": final, "way": "smtp"})

        desk.add(*(to(one) for one in ("Bob+x@far.example", "bobo@far.example", 'b"o%b@far.test')))
        assert desk.run(desk.journal.erase("bob@far.example")) == 1
        assert desk.run(desk.journal.erase("_ob%@far.example")) == 0
        assert desk.run(desk.journal.erase('b"o%b@far.test')) == 1

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
