"""A coroutine that is begun at once behaves as one in a task."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import cast

import pytest

from accounts.eager import begin


async def adding(*waits_for: asyncio.Future[int]) -> int:
    total = 0
    for future in waits_for:
        total += await future
    return total


def test_without_waiting_it_needs_no_event_loop() -> None:
    assert begin(adding()) == 0


def test_an_error_before_the_first_wait_is_raised_at_once() -> None:
    async def failing() -> int:
        raise LookupError("x")

    with pytest.raises(LookupError):
        begin(failing())


def test_what_it_waits_for_is_awaited() -> None:
    async def run() -> int:
        loop = asyncio.get_running_loop()
        futures = [loop.create_future() for _ in range(3)]
        futures[0].set_result(1)  # such a one needs no waiting
        for number, future in enumerate(futures[1:], 2):
            loop.call_later(0.01 * number, future.set_result, number)
        rest = begin(adding(*futures))
        assert not isinstance(rest, int)
        return await rest

    assert asyncio.run(run()) == 6


def test_an_error_of_what_it_waits_for_comes_inside() -> None:
    async def rescuing(future: asyncio.Future[int]) -> str:
        try:
            await future
        except ValueError as error:
            return str(error)
        return "no error"

    async def run() -> str:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int] = loop.create_future()
        loop.call_soon(future.set_exception, ValueError("inside"))
        return await cast(Awaitable[str], begin(rescuing(future)))

    assert asyncio.run(run()) == "inside"


def test_a_cancellation_comes_inside_and_ends_it() -> None:
    ended = []

    async def cleaning(future: asyncio.Future[int]) -> int:
        try:
            return await future
        finally:
            ended.append(True)

    async def run() -> None:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        rest = cast(Awaitable[int], begin(cleaning(future)))

        async def waiting() -> int:
            return await rest

        task = asyncio.create_task(waiting())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert ended == [True]
