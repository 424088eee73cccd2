"""Questions that were asked together and are answered one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from accounts.lookup.ask import Ask, RowAnswer, Unavailable, Unresolvable
from accounts.sources.source import SourceAnswers


class Round:
    """The questions of one `ask`; `future` has the answers in their order, or the error."""

    __slots__ = ("_answers", "_asks", "_timer", "future", "missing")

    def __init__(self, asks: Sequence[Ask], loop: asyncio.AbstractEventLoop) -> None:
        self._asks = tuple(asks)
        self._answers: dict[Ask, RowAnswer] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.missing = set(asks)
        self.future: asyncio.Future[SourceAnswers] = loop.create_future()
        if not self.missing:
            self.future.set_result(())

    def expire_after(self, seconds: float) -> None:
        """Fail after that time, unless all answers have arrived by then."""
        loop = self.future.get_loop()
        self._timer = loop.call_later(
            seconds, self.fail, Unavailable("the database does not answer in time")
        )

    def give(self, ask: Ask, answer: RowAnswer) -> None:
        """Take the answer to one of the questions."""
        self._answers[ask] = answer
        self.missing.discard(ask)
        if not self.missing and not self.future.done():
            self._stop_timer()
            self.future.set_result(tuple(self._answers[ask] for ask in self._asks))

    def fail(self, error: Unavailable | Unresolvable) -> None:
        """Fail the whole round, unless it is over."""
        if self.future.done():
            return
        self._stop_timer()
        self.future.set_exception(error)
        self.future.exception()  # nobody is waiting any more

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
