"""Answers to mail programs: rules run against a database and the cache of its answers.

An answer is found, not found or a temporary error. "Not found" can make Postfix refuse mail, so
only the database, or a recent answer of it, is believed when it says that a row is missing. While
the database is away, an older answer of that kind becomes a temporary error. So does every failure
in this module.
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
"""Rounds of questions after which a look-up that found nothing is repeated: a change between two
rounds may have shown the rule some rows from before it and others from after it."""

log = get_logger("accounts")


@dataclass(frozen=True, slots=True)
class MapFound:
    """The entry was found; Postfix gets `text`."""

    text: str


@dataclass(frozen=True, slots=True)
class MapNotFound:
    """The database has no entry for the key."""


@dataclass(frozen=True, slots=True)
class MapTemporary:
    """The look-up failed for now; `reason` is one line for the log and the client."""

    reason: str


MapAnswer: TypeAlias = MapFound | MapNotFound | MapTemporary
NOT_FOUND = MapNotFound()


@dataclass(frozen=True, slots=True)
class LookupOutcome(Generic[T]):
    """Result of a look-up. `is_stale`: part of it came from the cache.

    `is_doubtful`: it is not certain that a row is missing, so nothing may be refused for that
    reason.
    """

    result: T
    is_stale: bool
    is_doubtful: bool


class Observer(Protocol):
    """Counters of the metrics. They are called for each answer, so they have to be quick."""

    def answered(self, table: str, answer: str, is_stale: bool) -> None:
        """Count an answer: ``found``, ``not_found`` or ``temporary``, of one map.

        `is_stale`: it came from the cache, because the database is away.
        """
        ...


class NoObserver:
    """Observer that counts nothing."""

    def answered(self, table: str, answer: str, is_stale: bool) -> None:
        """Do nothing."""


class _RowOrigin:
    """Origin of the rows of one answer: the database or the cache, and after how many rounds."""

    __slots__ = ("is_doubtful", "is_stale", "rounds")

    def __init__(self) -> None:
        self.rounds = 0
        self.is_stale = False
        self.is_doubtful = False


class Answers:
    """Look-ups of one process, for any protocol.

    `delimiter` is Postfix's recipient_delimiter, and `srs` makes bounce addresses. `clock` returns
    seconds since the epoch, and `monotonic` seconds that never go back.
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
        except Exception:  # a bug must not refuse mail
            log.exception("internal error in a look-up", table=table, key=key[:200])
            result = MapTemporary("internal error")
        self._observer.answered(table, _WORDS[type(result)], origin.is_stale)
        return result

    async def drive(self, lookup: RowLookup[T]) -> LookupOutcome[T]:
        """Run any look-up and return its result; raises `Unavailable` and what the look-up raises.

        Rows may come from the cache, except those of the table ``login``.
        """
        origin = _RowOrigin()
        result = await self._drive(lookup, origin)
        return LookupOutcome(result, origin.is_stale, origin.is_doubtful)

    async def ask(self, asks: Sequence[Ask]) -> tuple[RowAnswer, ...]:
        """Ask the database and never the cache, as for a login; raises `Unavailable`."""
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
        """Return the answers from the cache, or None if one of them is missing there."""
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
