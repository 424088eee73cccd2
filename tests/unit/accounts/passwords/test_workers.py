"""The threads that check passwords: two at a time, a bounded queue, the same work for nobody."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest
from argon2.exceptions import VerificationError
from argon2.low_level import verify_secret

from accounts.passwords import (
    Busy,
    Password,
    PasswordSettings,
    PasswordWorkers,
    derived,
    hash_password,
    new_app_password,
)
from accounts.passwords.workers import MAX_SLOW

T = TypeVar("T")
SETTINGS = PasswordSettings(memory=8192, passes=1, waiting=3)
STORED = hash_password(Password("right one"), SETTINGS)
SSHA = "{SSHA}XMYRJBZYLXxYpf6gsZFjKoLmTNMBRcF/"


def run(body: Callable[[PasswordWorkers], Coroutine[Any, Any, T]]) -> T:
    workers = PasswordWorkers(SETTINGS)
    try:
        return asyncio.run(body(workers))
    finally:
        workers.close()


class Gate:
    """ARGON2 that waits until the test opens it, and counts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened = threading.Event()
        self.running = self.most = self.checked = 0
        self._lock = threading.Lock()
        real = verify_secret

        def verify(*args: Any) -> bool:
            with self._lock:
                self.running += 1
                self.checked += 1
                self.most = max(self.most, self.running)
            self.opened.wait(20)
            try:
                return real(*args)
            finally:
                with self._lock:
                    self.running -= 1

        monkeypatch.setattr(derived, "verify_secret", verify)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.001)


def test_the_first_that_matches_counts() -> None:
    async def body(workers: PasswordWorkers) -> None:
        other = await workers.hash(Password("other one"))
        check = workers.check
        assert (await check(Password("other one"), [STORED, other, other], "")).index == 1
        assert (await check(Password("right one"), [other, STORED], "")).index == 1
        assert (await check(Password("wrong one"), [other, STORED], "")).index is None

    run(body)


def test_an_unusable_hash_is_reported_and_the_others_are_checked() -> None:
    async def body(workers: PasswordWorkers) -> None:
        checked = await workers.check(Password("right one"), ["{NONE}x", "!", STORED], "")
        assert checked.index == 2
        assert [at for at, _ in checked.problems] == [0, 1]
        assert "NONE" in checked.problems[0][1]

    run(body)


def test_one_login_checks_a_bounded_number_of_slow_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch)
    gate.opened.set()

    async def body(workers: PasswordWorkers) -> None:
        checked = await workers.check(Password("wrong"), [STORED] * 50, "")
        assert [at for at, _ in checked.problems] == list(range(MAX_SLOW, 50))

    run(body)
    assert gate.checked == MAX_SLOW


def test_a_hash_that_cannot_be_decoded_is_reported() -> None:
    async def body(workers: PasswordWorkers) -> None:
        broken = "$argon2id$v=19$m=8192,t=1,p=1$" + "A" * 12 + "$" + "A" * 17
        checked = await workers.check(Password("x"), [broken], "")
        assert checked.index is None
        assert checked.problems == ((0, "CRYPT: the hash cannot be decoded"),)

    run(body)


def test_two_run_the_others_wait_and_one_more_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch)

    async def body(workers: PasswordWorkers) -> None:
        tasks = [
            asyncio.create_task(workers.check(Password("right one"), [STORED], ""))
            for _ in range(5)
        ]
        await until(lambda: gate.running == 2 and workers.jobs == 5)
        with pytest.raises(Busy):
            await workers.check(Password("right one"), [STORED], "")
        with pytest.raises(Busy):
            await workers.hash(Password("right one"))
        # the passwords that we make do not need the threads
        text, stored = new_app_password()
        assert (await workers.check(Password(text), [STORED, stored], "")).index == 1
        gate.opened.set()
        assert [checked.index for checked in await asyncio.gather(*tasks)] == [0] * 5
        assert gate.most == 2
        await until(lambda: workers.jobs == 0)

    run(body)


def test_a_client_that_leaves_gives_its_place_in_the_queue_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = Gate(monkeypatch)

    async def body(workers: PasswordWorkers) -> None:
        tasks = [
            asyncio.create_task(workers.check(Password("right one"), [STORED], ""))
            for _ in range(5)
        ]
        await until(lambda: gate.running == 2 and workers.jobs == 5)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await until(lambda: workers.jobs == 2)  # those that run cannot be stopped
        gate.opened.set()
        await until(lambda: workers.jobs == 0)
        assert gate.checked == 2

    run(body)


@pytest.mark.parametrize(
    "stored",
    [(), ("!",), ("{NONE}x",), (SSHA,), (STORED,), (SSHA, "{PLAIN}x")],
    ids=["nobody", "locked", "unknown scheme", "fast scheme", "argon2id", "two fast"],
)
def test_a_wrong_password_costs_one_argon2id_whoever_it_is_for(
    stored: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    gate.opened.set()

    async def body(workers: PasswordWorkers) -> None:
        assert (await workers.check(Password("wrong"), stored, "a@example.org")).index is None

    run(body)
    assert gate.checked == 1


def test_a_cheaper_argon2id_is_made_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch)
    gate.opened.set()
    costlier = PasswordWorkers(PasswordSettings(memory=8192, passes=2))
    try:
        asyncio.run(costlier.check(Password("wrong"), [STORED], ""))
    finally:
        costlier.close()
    assert gate.checked == 2


def test_the_event_loop_goes_on_meanwhile() -> None:
    async def body(workers: PasswordWorkers) -> None:
        slow = "{PBKDF2}$1$salt$2000000$" + "0" * 40
        task = asyncio.create_task(workers.check(Password("x"), [slow], ""))
        ticks = 0
        while not task.done():
            await asyncio.sleep(0.01)
            ticks += 1
        assert (await task).index is None
        assert ticks >= 5

    run(body)


def test_after_the_end_everything_is_busy() -> None:
    async def body(workers: PasswordWorkers) -> None:
        workers.close()
        with pytest.raises(Busy):
            await workers.check(Password("x"), [], "")
        assert workers.jobs == 0

    run(body)


def test_missing_memory_is_temporary(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> bool:
        raise VerificationError("Memory allocation error")

    async def body(workers: PasswordWorkers) -> None:
        monkeypatch.setattr(derived, "verify_secret", fail)
        with pytest.raises(Busy):
            await workers.check(Password("x"), [STORED], "")
        assert workers.jobs == 0

    run(body)
