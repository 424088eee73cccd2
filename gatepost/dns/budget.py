"""The time that all questions of one lookup may take together, with parts set aside.

A question without a `Share` takes from the time that is not set aside, and one with a share takes
from its share alone. So whoever can make some questions slow cannot take the time of the others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from msgauth.ask import Question


class Budget:
    """`seconds` in all, of which the part `reserved` (0 to 1) is set aside for shares.

    The sum of the fractions of all shares must not be larger than `reserved`.
    """

    def __init__(
        self,
        seconds: float,
        reserved: float = 0.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds = seconds
        self._monotonic = monotonic
        self._end = monotonic() + seconds
        self._left = {"": seconds * (1 - reserved)}

    @contextmanager
    def spend(self, question: Question) -> Iterator[float]:
        """Yield until when (monotonic clock) `question` may take, and count what it has taken.

        Of a share, one question gets at most half of what is left, so that some of it is left for
        the next one, however many are slow.
        """
        share = question.share
        if share is None:
            name, left = "", self._left[""]
        else:
            name, left = share.name, self._left.get(share.name, self._seconds * share.fraction)
        began = self._monotonic()
        try:
            yield min(began + (left if share is None else left / 2), self._end)
        finally:
            self._left[name] = left - (self._monotonic() - began)
