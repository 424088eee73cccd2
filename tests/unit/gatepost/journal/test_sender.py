"""The sender of records: it never blocks, and drops what accounts does not take in time."""

from __future__ import annotations

import pytest
from prometheus_client import REGISTRY

from gatepost.journal import sender
from gatepost.journal.record import JournalRecord, decode
from gatepost.journal.sender import MAX_AGE, MAX_BATCH, OFF_PAUSE, JournalSender, SendError
from gatepost.logs import get_logger
from gatepost.snapshots.settings import AccountsSource
from tests.unit.clock import Clock

RECORD = JournalRecord(1.0, "policyd", "pass", recipients=("ann@example.org",))


class StubAccounts:
    """Accounts that takes records, or says why not."""

    def __init__(self) -> None:
        self.why = ""
        self.batches: list[bytes] = []

    def post(self, octets: bytes, timeout: float) -> None:
        assert 0 < timeout <= 15
        if self.why:
            raise SendError(self.why, "no")
        self.batches.append(octets)

    def close(self) -> None:
        """Do nothing."""

    @property
    def records(self) -> list[JournalRecord]:
        return [decode(line) for line in b"".join(self.batches).splitlines()]


class Bench:
    """A sender with a clock and an accounts of the test."""

    def __init__(self) -> None:
        self.accounts = StubAccounts()
        self.clock = Clock(0.0)
        self.sender = JournalSender(
            AccountsSource(url="unix:/nowhere"), get_logger("test"), self.accounts, self.clock
        )


@pytest.fixture
def bench() -> Bench:
    return Bench()


def counted(result: str) -> float:
    return REGISTRY.get_sample_value("gatepost_journal_records_total", {"result": result}) or 0.0


def test_records_arrive_in_their_order(bench: Bench) -> None:
    for number in range(5):
        bench.sender.add(RECORD._replace(size=number + 1))
    assert bench.sender.turn() == 0.0
    assert [one.size for one in bench.accounts.records] == [1, 2, 3, 4, 5]
    assert bench.sender.turn() == 0.0
    assert len(bench.accounts.batches) == 1


def test_a_batch_is_bounded(bench: Bench) -> None:
    big = RECORD._replace(recipients=tuple(f"{n:0300}@example.org" for n in range(100)))
    for _ in range(20):
        bench.sender.add(big)
    while bench.sender._waiting:
        bench.sender.turn()
    assert len(bench.accounts.batches) > 1
    assert all(len(batch) <= MAX_BATCH for batch in bench.accounts.batches)
    assert len(bench.accounts.records) == 20


def test_too_many_are_dropped_and_counted(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "MAX_WAITING", 1000)
    before = counted("full")
    for _ in range(1000):
        bench.sender.add(RECORD)
    assert sum(len(line) for _, line in bench.sender._waiting) <= 1000
    kept = len(bench.sender._waiting)
    assert counted("full") - before == 1000 - kept
    bench.sender.turn()
    bench.sender.add(RECORD)
    assert len(bench.sender._waiting) == 1


def test_a_short_absence_loses_nothing_and_a_long_one_does_not_fill_memory(bench: Bench) -> None:
    bench.accounts.why = "away"
    bench.sender.add(RECORD)
    pauses = [bench.sender.turn() for _ in range(6)]
    assert pauses == [1.0, 2.0, 5.0, 10.0, 10.0, 10.0]
    bench.clock.now += MAX_AGE - 1
    bench.sender.add(RECORD._replace(size=2))
    before = counted("away")
    bench.clock.now += 2
    bench.sender.turn()
    assert counted("away") - before == 1
    bench.accounts.why = ""
    bench.sender.turn()
    assert [one.size for one in bench.accounts.records] == [2]


@pytest.mark.parametrize(("why", "pause"), [("off", OFF_PAUSE), ("refused", 1.0)])
def test_what_is_not_wanted_is_dropped_at_once(bench: Bench, why: str, pause: float) -> None:
    bench.accounts.why = why
    before = counted(why)
    bench.sender.add(RECORD)
    assert bench.sender.turn() == pause
    assert not bench.sender._waiting
    assert counted(why) - before == 1


def test_without_url_nothing_is_kept() -> None:
    for source in (AccountsSource(), AccountsSource(url="unix:/nowhere", journal=False)):
        one = JournalSender(source, get_logger("test"), StubAccounts())
        assert not one.is_wanted
        one.add(RECORD)
        assert not one._waiting
        one.start()
        one.stop()


def test_the_end_sends_the_rest(bench: Bench) -> None:
    bench.sender.start()
    bench.sender.add(RECORD)
    bench.sender.stop()
    assert len(bench.accounts.records) == 1


def test_the_end_does_not_wait_for_accounts(bench: Bench) -> None:
    bench.accounts.why = "away"
    bench.sender.start()
    bench.sender.add(RECORD)
    bench.sender.stop()
    assert bench.sender._thread is not None
    assert not bench.sender._thread.is_alive()
