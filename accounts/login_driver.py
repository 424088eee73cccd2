"""Driver of `accounts.login.verify` in an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeAlias

from accounts.login import Login, LoginStep, PasswordCheck, Verification, Wait
from accounts.lookup.ask import Ask, RowAnswer, Unavailable
from accounts.passwords import Busy, Checked, Password

RowSource: TypeAlias = Callable[[tuple[Ask, ...]], Awaitable[tuple[RowAnswer, ...]]]
"""Function that answers questions about rows, or raises `Unavailable`."""


class PasswordChecker(Protocol):
    """Interface of `PasswordWorkers`."""

    async def check(self, password: Password, stored: Sequence[str], login: str) -> Checked:
        """Find the first stored password that the given one matches; raises `Busy`."""


async def authenticate(
    verification: Verification,
    source: RowSource,
    workers: PasswordChecker,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Login:
    """Run a verification and return its result.

    If the task is cancelled because the client has gone, the attempt counts as one without a
    result. The caller applies the effects of the result.
    """
    try:
        step = next(verification)
        while True:
            try:
                answer = await _perform(step, source, workers, sleep)
            except (Busy, Unavailable) as error:
                step = verification.throw(error)
            else:
                step = verification.send(answer)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]  # StopIteration is not generic
    finally:
        verification.close()


async def _perform(
    step: LoginStep,
    source: RowSource,
    workers: PasswordChecker,
    sleep: Callable[[float], Awaitable[None]],
) -> Any:
    if isinstance(step, Wait):
        return await sleep(step.seconds)
    if isinstance(step, PasswordCheck):
        return await workers.check(step.password, step.stored, step.login)
    return await source(step)
