"""Coroutines that start at once: most look-ups never wait, and then they need no task."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


def begin(coroutine: Coroutine[Any, Any, T]) -> T | Awaitable[T]:
    """Run a coroutine until it ends or waits for the first time.

    Returns its result, or an awaitable for it. The coroutine must not use the current task before
    it waits.
    """
    try:
        waits_for = coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    return _Rest(coroutine, waits_for)


class _Rest(Generic[T]):
    """The rest of a coroutine that has begun to wait."""

    __slots__ = ("_coroutine", "_waits_for")

    def __init__(self, coroutine: Coroutine[Any, Any, T], waits_for: Any) -> None:
        self._coroutine = coroutine
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, T]:
        coroutine, waits_for = self._coroutine, self._waits_for
        while True:
            error: BaseException | None = None
            sent: Any = None
            try:
                sent = yield waits_for
            except GeneratorExit:
                coroutine.close()
                raise
            except BaseException as raised:  # including a cancellation
                error = raised
            try:
                waits_for = coroutine.send(sent) if error is None else coroutine.throw(error)
            except StopIteration as done:
                result: T = done.value
                return result
