"""Counts of mail by outcome, each kept for a minute."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from accounts.journal.table import JournalView
from accounts.journal.tally import MailOutcome

DAY: Final = 86_400
FRESH: Final = 60
"""Seconds for which counted mail is not counted again: a day may have 100,000 records."""
MAX_VIEWS: Final = 64
"""Views whose counts are remembered."""

Tally: TypeAlias = Callable[[JournalView, float, float], Awaitable[Mapping[MailOutcome, int]]]
"""Interface of `MailJournal.tally`."""


@dataclass(frozen=True, slots=True)
class MailCount:
    """Recipients with one outcome: on the day before (UTC), and in the last 24 hours."""

    outcome: MailOutcome
    yesterday: int
    last_day: int


class MailCounts:
    """The counts that are known."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._known: OrderedDict[tuple[int, frozenset[str] | None], tuple[MailCount, ...]] = (
            OrderedDict()
        )

    async def get(self, domains: frozenset[str] | None, now: int) -> tuple[MailCount, ...]:
        """Return the counts for mail of some domains, or for all; `now` is in seconds.

        Raises `DatastoreError`.
        """
        key = (now // FRESH, domains)
        if key in self._known:
            return self._known[key]
        view = JournalView(domains=domains)
        today = now - now % DAY
        yesterday = await self._tally(view, today - DAY, today)
        last_day = await self._tally(view, now - DAY, now + FRESH)
        counts = tuple(MailCount(one, yesterday[one], last_day[one]) for one in MailOutcome)
        self._known[key] = counts
        while len(self._known) > MAX_VIEWS:
            self._known.popitem(last=False)
        return counts
