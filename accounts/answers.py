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

from accounts.lookup.ask import Ask, AskAnswer, LookupSteps, Unavailable, Unresolvable
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
class FoundText:
    """There is an answer; `text` is what Postfix gets."""

    text: str


@dataclass(frozen=True, slots=True)
class NothingFound:
    """The database has nothing under that key."""


@dataclass(frozen=True, slots=True)
class TemporaryAnswer:
    """It could not be found out; `reason` is one line for the log and the client."""

    reason: str


LookupResult: TypeAlias = FoundText | NothingFound | TemporaryAnswer
NOT_FOUND = NothingFound()


@dataclass(frozen=True, slots=True)
class Driven(Generic[T]):
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


class _Way:
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

    async def look_up(self, table: str, key: str) -> LookupResult:
        """Answer one of Postfix's maps (`accounts.lookup.postfix.MAPS`); raises nothing.

        `key` is as Postfix sent it, decoded. A map that does not exist is a temporary error: the
        administrator has to correct a name in main.cf.
        """
        rule = MAPS.get(table)
        if rule is None:
            self._observer.answered("other", "temporary", is_stale=False)
            return TemporaryAnswer("there is no such map")
        way = _Way()
        try:
            terms = self.terms()
            text = await self._drive(rule(key, terms), way)
            if text is Nothing.UNKNOWN and way.rounds > SURE_ROUNDS:
                text = await self._drive(rule(key, terms), way)
            if text is Nothing.UNKNOWN and way.is_doubtful:
                result: LookupResult = TemporaryAnswer("the database is away")
            else:
                result = NOT_FOUND if isinstance(text, Nothing) else FoundText(text)
        except Unavailable:
            result = TemporaryAnswer("the database is away")
        except Unresolvable as error:
            result = TemporaryAnswer(str(error))
        except Exception:  # a mistake of ours must not refuse mail
            log.exception("a mistake in a look-up", table=table, key=key[:200])
            result = TemporaryAnswer("internal error")
        self._observer.answered(table, _WORDS[type(result)], way.is_stale)
        return result

    async def drive(self, lookup: LookupSteps[T]) -> Driven[T]:
        """Run any look-up and return its result; raises `Unavailable` and what the look-up raises.

        Its rows may come from the cache, all but those of the table ``login``.
        """
        way = _Way()
        result = await self._drive(lookup, way)
        return Driven(result, way.is_stale, way.is_doubtful)

    async def ask(self, asks: Sequence[Ask]) -> tuple[AskAnswer, ...]:
        """Ask the database and nothing else, as for a login; raises `Unavailable`."""
        answers = self._source.ask(asks)
        return answers if isinstance(answers, tuple) else await answers

    async def _drive(self, lookup: LookupSteps[T], way: _Way) -> T:
        source = self._source
        try:
            asks = next(lookup)
            while True:
                way.rounds += 1
                try:
                    answers = source.ask(asks)
                    if not isinstance(answers, tuple):
                        answers = await answers
                    self._cache.note(asks, answers, source.generation, self._monotonic())
                except Unavailable as error:
                    recalled = self._recall(asks, way)
                    asks = lookup.throw(error) if recalled is None else lookup.send(recalled)
                except Unresolvable as error:
                    asks = lookup.throw(error)
                else:
                    asks = lookup.send(answers)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]  # StopIteration is not generic

    def _recall(self, asks: Sequence[Ask], way: _Way) -> tuple[AskAnswer, ...] | None:
        """Return what the cache has; None unless it has all of it."""
        way.is_stale = True
        now, generation = self._monotonic(), self._source.generation
        answers = []
        for ask in asks:
            known = self._cache.recall(ask, generation, now)
            if known is None:
                return None
            way.is_doubtful |= known.is_doubtful
            answers.append(known.answer)
        return tuple(answers)


_WORDS: dict[type[LookupResult], str] = {
    FoundText: "found",
    NothingFound: "not_found",
    TemporaryAnswer: "temporary",
}
