"""Cache of answers for their time to live, limited in number and memory.

All checks of a process share one cache: DMARC need not repeat SPF's queries. Positive and negative
answers are kept for their TTL (RFC 2308), failures for a short time.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from msgauth.ask import Answer, Question, Rcode

OCTETS = 1024
"""Average octets of memory allowed per answer. A typical answer takes half of that; but a sender
chooses the queries, and its name servers may send 64 KB."""
_BESIDES = 400
"""Approximate octets of an entry besides its texts."""


class Cache:
    """A bounded map of questions to answers; thread-safe.

    `size` is the number of answers kept, which take no more than `size` * `OCTETS` together.
    `maximum_ttl` and `failure_ttl` are in seconds.
    """

    def __init__(
        self,
        size: int,
        maximum_ttl: float,
        failure_ttl: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._size = size
        self._maximum_ttl = maximum_ttl
        self._failure_ttl = failure_ttl
        self._monotonic = monotonic
        self._entries: OrderedDict[Question, tuple[float, Answer, int]] = OrderedDict()
        self._octets = 0
        self._lock = threading.Lock()

    def get(self, question: Question) -> Answer | None:
        """Return an answer that has not expired, or None. `question.name` is lower-case."""
        with self._lock:
            entry = self._entries.get(question)
            if entry is None:
                return None
            if entry[0] <= self._monotonic():
                self._octets -= self._entries.pop(question)[2]
                return None
            self._entries.move_to_end(question)
            return entry[1]

    def put(self, question: Question, answer: Answer) -> None:
        """Store an answer for its time; the least recently used one makes room."""
        if answer.rcode is Rcode.TEMPFAIL:
            ttl = self._failure_ttl
        else:
            ttl = min(answer.ttl, self._maximum_ttl)
        if ttl <= 0 or self._size <= 0:
            return
        octets = _octets(question, answer)
        with self._lock:
            if question in self._entries:
                self._octets -= self._entries.pop(question)[2]
            self._entries[question] = (self._monotonic() + ttl, answer, octets)
            self._octets += octets
            while len(self._entries) > self._size or self._octets > self._size * OCTETS:
                _, (_, _, freed) = self._entries.popitem(last=False)
                self._octets -= freed

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self._octets = 0

    def __len__(self) -> int:
        return len(self._entries)


def _octets(question: Question, answer: Answer) -> int:
    texts = sum(map(sys.getsizeof, answer.records))
    return _BESIDES + sys.getsizeof(question.name) + texts
