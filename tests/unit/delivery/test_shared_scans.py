"""Scans that recipients of one message share."""

from __future__ import annotations

import asyncio

import pytest

from delivery.scan import ScanResult
from delivery.shared_scans import MAX_SHARED, SharedScanKey, SharedScans

KEY = SharedScanKey("4XabcD1 Fri, 27 Nov 2026 03:00:00 +0000", "site@site", "symbols", b"digest")


class CountedScans:
    """Scans that end when they are told to."""

    def __init__(self) -> None:
        self.begun = 0
        self.go_on = asyncio.Event()
        self.error: Exception | None = None

    async def scan(self) -> ScanResult:
        """Wait, and return a result with the number of the scan as its score."""
        self.begun += 1
        number = self.begun
        await self.go_on.wait()
        if self.error is not None:
            raise self.error
        return ScanResult(float(number), None)


class SetClock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_equal_scans_at_the_same_time_are_one() -> None:
    async def play() -> None:
        scans, shared = CountedScans(), SharedScans(60)
        waiting = [asyncio.create_task(shared.result(KEY, scans.scan)) for _ in range(50)]
        other = asyncio.create_task(shared.result(KEY._replace(user="anna@x"), scans.scan))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        scans.go_on.set()
        assert {(await one).score for one in waiting} == {1.0}
        assert (await other).score == 2.0
        assert (await shared.result(KEY, scans.scan)).score == 1.0
        assert scans.begun == 2

    asyncio.run(play())


@pytest.mark.parametrize(
    "other",
    [
        KEY._replace(identity="4XabcD2 Fri, 27 Nov 2026 03:00:00 +0000"),
        KEY._replace(user="bob@example.org"),
        KEY._replace(wishes="other"),
        KEY._replace(digest=b"changed"),
        None,
    ],
)
def test_anything_that_differs_is_another_scan(other: SharedScanKey | None) -> None:
    async def play() -> None:
        scans, shared = CountedScans(), SharedScans(60)
        scans.go_on.set()
        await shared.result(KEY, scans.scan)
        assert (await shared.result(other, scans.scan)).score == 2.0

    asyncio.run(play())


def test_a_result_counts_for_its_lifetime() -> None:
    async def play() -> None:
        clock, scans = SetClock(), CountedScans()
        shared = SharedScans(60, clock)
        scans.go_on.set()
        assert (await shared.result(KEY, scans.scan)).score == 1.0
        clock.now += 59
        assert (await shared.result(KEY, scans.scan)).score == 1.0
        clock.now += 1
        assert (await shared.result(KEY, scans.scan)).score == 2.0

    asyncio.run(play())


def test_a_failure_counts_for_those_who_wait_and_no_longer() -> None:
    async def play() -> None:
        scans, shared = CountedScans(), SharedScans(60)
        scans.error = ValueError("away")
        waiting = [asyncio.create_task(shared.result(KEY, scans.scan)) for _ in range(3)]
        await asyncio.sleep(0)
        scans.go_on.set()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(one) for one in results] == [ValueError] * 3
        scans.error = None
        assert (await shared.result(KEY, scans.scan)).score == 2.0

    asyncio.run(play())


def test_the_next_begins_anew_if_the_first_is_gone() -> None:
    async def play() -> None:
        scans, shared = CountedScans(), SharedScans(60)
        first = asyncio.create_task(shared.result(KEY, scans.scan))
        second = asyncio.create_task(shared.result(KEY, scans.scan))
        third = asyncio.create_task(shared.result(KEY, scans.scan))
        for _ in range(3):
            await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        scans.go_on.set()
        assert [(await second).score, (await third).score] == [2.0, 2.0]

    asyncio.run(play())


def test_one_who_waits_and_goes_disturbs_nobody() -> None:
    async def play() -> None:
        scans, shared = CountedScans(), SharedScans(60)
        first = asyncio.create_task(shared.result(KEY, scans.scan))
        second = asyncio.create_task(shared.result(KEY, scans.scan))
        for _ in range(3):
            await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        scans.go_on.set()
        assert (await first).score == 1.0

    asyncio.run(play())


def test_the_memory_is_bounded() -> None:
    async def play() -> None:
        scans, shared = CountedScans(), SharedScans(60)
        scans.go_on.set()
        for number in range(MAX_SHARED + 1):
            await shared.result(KEY._replace(user=str(number)), scans.scan)
        assert (await shared.result(KEY._replace(user="1"), scans.scan)).score == 2.0
        assert (await shared.result(KEY._replace(user="0"), scans.scan)).score == MAX_SHARED + 2

    asyncio.run(play())


def test_a_message_without_identity_is_not_shared() -> None:
    assert SharedScanKey.of("", "site@site", "", [b"octets"]) is None
    one = SharedScanKey.of("id", "site@site", "", [b"octets"])
    assert one == SharedScanKey.of("id", "site@site", "", [b"oct", b"ets"])
    assert one != SharedScanKey.of("id", "site@site", "", [b"others"])
