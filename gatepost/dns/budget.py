"""The time limit for all questions of one lookup together, with reserved shares.

A question without a `Share` uses the time that is not reserved, and one with a share only uses its
share. So an attacker who makes some questions slow cannot use up the time of the others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from msgauth.ask import Question


class Budget:
    """`seconds` in total, of which the fraction `reserved` (0 to 1) is kept for shares.

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
        """Yield the deadline (monotonic clock) of `question`, and count the time that it used.

        One question gets at most half of the rest of its share, so that some time is always left
        for the next one, however many are slow.
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
