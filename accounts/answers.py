"""Answers to the mail programs: rules, driven with a database and the cache of what it said.

There are three kinds: found, not found, temporary. "Not found" is said only on the word of the
database. While it is away, an answer from the cache that somebody could be refused for, and that
rests on a row that was missing some time ago, becomes a temporary one; so does everything that goes
wrong here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeAlias, TypeVar

from accounts.lookup.ask import Ask, RowAnswer, RowLookup, Unavailable, Unresolvable
from accounts.lookup.postfix import MAPS, Nothing
from accounts.lookup.srs import SenderRewriting
from accounts.lookup.terms import MAX_TARGETS, LookupTerms
from accounts.sources.cache import StaleCache
from accounts.sources.source import Source
from gatepost.logs import get_logger

T = TypeVar("T")

SURE_ROUNDS = 2
"""Rounds of questions after which "unknown" is asked for once more: between two of them, somebody
may have changed several rows that the rule saw the one before and the other after."""

log = get_logger("accounts")


@dataclass(frozen=True, slots=True)
class MapFound:
    """There is an answer; `text` is what Postfix gets."""

    text: str


@dataclass(frozen=True, slots=True)
class MapNotFound:
    """The database has nothing under that key."""


@dataclass(frozen=True, slots=True)
class MapTemporary:
    """It could not be found out; `reason` is one line for the log and the client."""

    reason: str


MapAnswer: TypeAlias = MapFound | MapNotFound | MapTemporary
NOT_FOUND = MapNotFound()


@dataclass(frozen=True, slots=True)
class LookupOutcome(Generic[T]):
    """The result of a look-up. `is_stale`: the cache served a part of it.

    `is_doubtful`: that a row is missing is not certain, so nothing may be refused for it.
    """

    result: T
    is_stale: bool
    is_doubtful: bool


class Observer(Protocol):
    """Counters of the metrics; called for each answer, so it has to be quick."""

    def answered(self, table: str, answer: str, is_stale: bool) -> None:
        """Count an answer: ``found``, ``not_found`` or ``temporary``, of one map.

        `is_stale`: the cache served it, because the database is away.
        """
        ...


class NoObserver:
    """Counts nothing."""

    def answered(self, table: str, answer: str, is_stale: bool) -> None:
        """Do nothing."""


class _RowOrigin:
    """How the rows for one answer were had."""

    __slots__ = ("is_doubtful", "is_stale", "rounds")

    def __init__(self) -> None:
        self.rounds = 0
        self.is_stale = False
        self.is_doubtful = False


class Answers:
    """Look-ups of one process, for any protocol.

    `delimiter` is Postfix's recipient_delimiter, `srs` makes bounce addresses. `clock` gives
    seconds since the epoch, and `monotonic` seconds that only grow.
    """

    def __init__(
        self,
        source: Source,
        cache: StaleCache,
        *,
        delimiter: str = "+",
        max_targets: int = MAX_TARGETS,
        srs: SenderRewriting | None = None,
        observer: Observer | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._cache = cache
        self._delimiter = delimiter
        self._max_targets = max_targets
        self._srs = srs
        self._observer = observer or NoObserver()
        self._clock = clock
        self._monotonic = monotonic

    def terms(self) -> LookupTerms:
        """Return the terms of a look-up that begins now."""
        return LookupTerms(int(self._clock()), self._delimiter, self._max_targets, self._srs)

    async def look_up(self, table: str, key: str) -> MapAnswer:
        """Answer one of Postfix's maps (`accounts.lookup.postfix.MAPS`); raises nothing.

        `key` is as Postfix sent it, decoded. A map that does not exist is a temporary error: the
        administrator has to correct a name in main.cf.
        """
        rule = MAPS.get(table)
        if rule is None:
            self._observer.answered("other", "temporary", is_stale=False)
            return MapTemporary("there is no such map")
        origin = _RowOrigin()
        try:
            terms = self.terms()
            text = await self._drive(rule(key, terms), origin)
            if text is Nothing.UNKNOWN and origin.rounds > SURE_ROUNDS:
                text = await self._drive(rule(key, terms), origin)
            if text is Nothing.UNKNOWN and origin.is_doubtful:
                result: MapAnswer = MapTemporary("the database is away")
            else:
                result = NOT_FOUND if isinstance(text, Nothing) else MapFound(text)
        except Unavailable:
            result = MapTemporary("the database is away")
        except Unresolvable as error:
            result = MapTemporary(str(error))
        except Exception:  # a mistake of ours must not refuse mail
            log.exception("a mistake in a look-up", table=table, key=key[:200])
            result = MapTemporary("internal error")
        self._observer.answered(table, _WORDS[type(result)], origin.is_stale)
        return result

    async def drive(self, lookup: RowLookup[T]) -> LookupOutcome[T]:
        """Run any look-up and return its result; raises `Unavailable` and what the look-up raises.

        Its rows may come from the cache, all but those of the table ``login``.
        """
        origin = _RowOrigin()
        result = await self._drive(lookup, origin)
        return LookupOutcome(result, origin.is_stale, origin.is_doubtful)

    async def ask(self, asks: Sequence[Ask]) -> tuple[RowAnswer, ...]:
        """Ask the database and nothing else, as for a login; raises `Unavailable`."""
        answers = self._source.ask(asks)
        return answers if isinstance(answers, tuple) else await answers

    async def _drive(self, lookup: RowLookup[T], origin: _RowOrigin) -> T:
        source = self._source
        try:
            asks = next(lookup)
            while True:
                origin.rounds += 1
                try:
                    answers = source.ask(asks)
                    if not isinstance(answers, tuple):
                        answers = await answers
                    self._cache.note(asks, answers, source.generation, self._monotonic())
                except Unavailable as error:
                    recalled = self._recall(asks, origin)
                    asks = lookup.throw(error) if recalled is None else lookup.send(recalled)
                except Unresolvable as error:
                    asks = lookup.throw(error)
                else:
                    asks = lookup.send(answers)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]  # StopIteration is not generic

    def _recall(self, asks: Sequence[Ask], origin: _RowOrigin) -> tuple[RowAnswer, ...] | None:
        """Return what the cache has; None unless it has all of it."""
        origin.is_stale = True
        now, generation = self._monotonic(), self._source.generation
        answers = []
        for ask in asks:
            known = self._cache.recall(ask, generation, now)
            if known is None:
                return None
            origin.is_doubtful |= known.is_doubtful
            answers.append(known.answer)
        return tuple(answers)


_WORDS: dict[type[MapAnswer], str] = {
    MapFound: "found",
    MapNotFound: "not_found",
    MapTemporary: "temporary",
}
