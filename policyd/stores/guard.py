"""Protection of the checks from a store that is slow or down.

`GuardedStore` limits how long an update may take and stops using a store that keeps failing; it
retries by itself, less and less often. `Fallback` continues in memory meanwhile, for data that is
useful even if incomplete, and hands over the new entries when the store is back. A store that
cannot write, as on a full disk, is still read.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, TypeAlias

from gatepost.logs import get_logger
from gatepost.metrics import Counter, Gauge
from policyd.stores import Change, Known, RawStore, StoreEntry, StoreError, T
from policyd.stores.memory import MemoryStore

FAILURES_TO_OPEN = 3
"""Failures in a row after which the store is not used for a while."""
FIRST_PAUSE = 0.5
"""Seconds until a failed store is tried again; doubles up to `MAX_PAUSE`."""
MAX_PAUSE = 15.0
CHECK_INTERVAL = 5.0
"""Seconds without an answered update after which a store is read, so that `store_up` is true even
if no mail arrives."""
SETTLED = 2.0
"""Seconds that a store has to work until it counts as back: on a nearly full disk one write
succeeds and the next fails."""
TICK = 0.05
"""Seconds between two checks of the updates in progress: the precision of their time limit."""
WRITE_BACK = 200
"""Entries handed over at once when a store is back."""
HAND_OVER_PAUSE = 5.0
"""Seconds between two attempts to hand over to a store that has not been down."""
_PROBE_KEY = "probe"
_PROBE_EXPIRES = 3600
"""Seconds after which the entry of a probe expires."""

UP = Gauge(
    "gatepost_policyd_store_up",
    "1 while the store answers; it is asked every few seconds, also without mail",
    ["store"],
    across="min",
)
FAILURES = Counter("gatepost_policyd_store_failures_total", "Failed updates", ["store"])
FALLBACKS = Counter(
    "gatepost_policyd_store_fallbacks_total", "Updates answered from memory instead", ["store"]
)

Merge: TypeAlias = Callable[[str, StoreEntry, StoreEntry], StoreEntry]
"""(key, ours, theirs): merges two entries into one."""

log = get_logger("policyd")


class GuardedStore:
    """A store with a limit of `timeout` seconds for each update, and a circuit breaker."""

    def __init__(self, store: RawStore, timeout: float) -> None:
        self.store = store
        self.name = store.name
        self._timeout = timeout
        self._failures = 0
        self._has_worked = False  # since the last tick
        self._worked_at = -math.inf
        self._pause = FIRST_PAUSE
        self._retry_at = 0.0
        self._open = False
        self._back_at: float | None = None
        self.readable = False
        self._asked: list[asyncio.Future[Any]] = []
        """Updates since the last check."""
        self._unanswered: deque[tuple[float, list[asyncio.Future[Any]]]] = deque()
        """Updates that a check found unanswered, and when."""
        self._ticker: asyncio.Task[None] | None = None
        self._probe: asyncio.Task[None] | None = None
        self.on_recovery: list[Callable[[], None]] = []
        self.on_tick: list[Callable[[], None]] = []
        """Called several times a second, with or without requests."""
        UP.labels(self.name).set(1)
        self._failed_count = FAILURES.labels(self.name)

    @property
    def down(self) -> bool:
        """Return whether the store is not used at the moment."""
        return self._open

    def start(self) -> None:
        """Start watching; called once the event loop runs."""
        self._ticker = asyncio.get_running_loop().create_task(self._tick())

    @property
    def tasks(self) -> Sequence[asyncio.Task[None]]:
        """Return the tasks that run as long as the store is in use."""
        return () if self._ticker is None else (self._ticker,)

    async def update(self, keys: Sequence[str], change: Change[T]) -> T:
        """As `Store.update`; raises `StoreError` at once while the store is down."""
        if self._open:
            raise StoreError(f"{self.name} is down")
        try:
            result = await self.ask(keys, change)
        except StoreError as error:
            self.failed(error)
            raise
        self.worked()
        return result

    def ask(self, keys: Sequence[str], change: Change[T]) -> asyncio.Future[T]:
        """Start an update, whether the store is down or not.

        The caller that awaits it must report the end: `worked()`, or `failed()` after a
        `StoreError`. `update()` does so at the cost of one more coroutine.
        """
        future = self.store.update(keys, change)
        self._asked.append(future)
        return future

    def worked(self) -> None:
        """Note that an update is done."""
        self._failures = 0
        self._has_worked = True

    async def look(self, keys: Sequence[str]) -> Known:
        """Return the entries of `keys` while the store is down but `readable`."""
        try:
            return await self.ask(keys, _look)
        except StoreError as error:
            self.readable = error.readable
            raise

    def scan(self, prefix: str) -> AsyncIterator[tuple[str, StoreEntry]]:
        """As `Store.scan`."""
        return self.store.scan(prefix)

    async def sweep(self) -> int:
        """As `Store.sweep`; nothing while the store is down."""
        return 0 if self._open else await self.store.sweep()

    async def close(self) -> None:
        """As `Store.close`."""
        for task in (self._ticker, self._probe):
            if task is not None:
                task.cancel()
        await self.store.close()

    def failed(self, error: StoreError) -> None:
        """Note that an update failed: after several in a row the store is down."""
        self._failed_count.inc()
        self._failures += 1
        self.readable = error.readable
        if self._open or self._failures < FAILURES_TO_OPEN:
            return
        self._open = True
        UP.labels(self.name).set(0)
        if self._back_at is None:
            self._pause = FIRST_PAUSE
            log.error("store down", store=self.name, error=str(error))
        else:  # it was back too briefly to be reported
            self._pause = min(self._pause * 2, MAX_PAUSE)
            self._back_at = None
        self._retry_at = asyncio.get_running_loop().time() + self._pause

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(TICK)
            now = loop.time()
            self._give_up_late(now)
            if self._has_worked:
                self._has_worked = False
                self._worked_at = now
            if self._probe is None:
                if not self._open and now - self._worked_at >= CHECK_INTERVAL:
                    self._probe = loop.create_task(self._check())
                elif self._open and now >= self._retry_at:
                    self._probe = loop.create_task(self._try_again())
            if self._back_at is not None and now - self._back_at >= SETTLED:
                self._back_at = None
                log.warning("store back", store=self.name)
            for ticked in self.on_tick:
                ticked()

    def _give_up_late(self, now: float) -> None:
        if unanswered := [future for future in self._asked if not future.done()]:
            self._unanswered.append((now, unanswered))
        self._asked.clear()
        while self._unanswered and now - self._unanswered[0][0] >= self._timeout:
            _, late = self._unanswered.popleft()
            for future in late:
                if not future.done():
                    why = f"{self.name}: no answer in {self._timeout:g} s"
                    future.set_exception(StoreError(why))

    async def _check(self) -> None:
        """Read until the store has answered, or counts as down."""
        try:
            while not self._open:
                try:
                    await self.ask((_PROBE_KEY,), _look)
                except StoreError as error:
                    self.failed(error)
                else:
                    self.worked()
                    return
        except Exception:  # a mistake of ours must not stop mail
            self._has_worked = True  # the next check is not at once
            log.exception("the store could not be checked", store=self.name)
        finally:
            self._probe = None

    async def _try_again(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            # it has to write: a full disk can still be read
            await self.ask((_PROBE_KEY,), _write)
        except Exception as error:  # including bugs: retry, but not at once
            self.readable = isinstance(error, StoreError) and error.readable
            self._pause = min(self._pause * 2, MAX_PAUSE)
            self._retry_at = loop.time() + self._pause
            if not isinstance(error, StoreError):
                log.exception("the store could not be tested", store=self.name)
        else:
            self._open = False
            self._failures = 0
            self._back_at = loop.time()
            UP.labels(self.name).set(1)
            for recovered in self.on_recovery:
                recovered()
        finally:
            self._probe = None


def _look(known: Known) -> tuple[Known, Known]:
    return known, known


def _write(_: Known) -> tuple[Known, None]:
    now = int(time.time())
    return [StoreEntry(str(now), now + _PROBE_EXPIRES)], None


class Fallback:
    """A guarded store that continues in memory while it is down."""

    def __init__(self, guard: GuardedStore, memory: MemoryStore, merge: Merge) -> None:
        self.name = guard.name
        self._guard = guard
        self.memory = memory
        self._merge = merge
        self._handing_over: asyncio.Task[None] | None = None
        self._hand_over_at = 0.0
        self._fell_back = FALLBACKS.labels(guard.name)
        guard.on_recovery.append(self._begin_hand_over)
        guard.on_tick.append(self._hand_over_soon)

    async def update(self, keys: Sequence[str], change: Change[T]) -> T:
        """As `Store.update`; never fails."""
        guard = self._guard
        if not guard.down:
            try:
                result = await guard.ask(keys, change)
            except StoreError as error:
                guard.failed(error)
            else:
                guard.worked()
                return result
        self._fell_back.inc()
        if guard.readable:
            await self._take_up(keys)
        return self.memory.update_now(keys, change)

    async def _take_up(self, keys: Sequence[str]) -> None:
        """Copy entries into memory from a store that cannot write."""
        missing = [key for key in keys if key not in self.memory.entries]
        if not missing:
            return
        try:
            found = await self._guard.look(missing)
        except StoreError:
            return
        self.memory.update_now(
            missing,
            # entries that arrived meanwhile are newer
            lambda known: (
                [ours or theirs for ours, theirs in zip(known, found, strict=True)],
                None,
            ),
        )

    def scan(self, prefix: str) -> AsyncIterator[tuple[str, StoreEntry]]:
        """As `Store.scan`, of the store alone."""
        return self._guard.scan(prefix)

    async def sweep(self) -> int:
        """As `Store.sweep`, of both."""
        return await self.memory.sweep() + await self._guard.sweep()

    async def close(self) -> None:
        """As `Store.close`."""
        if self._handing_over is not None:
            self._handing_over.cancel()
        await self._guard.close()

    def _hand_over_soon(self) -> None:
        """Hand over now and then after failures that were too few for the store to be down."""
        if not self.memory.entries or self._guard.down:
            return
        now = asyncio.get_running_loop().time()
        if now >= self._hand_over_at:
            self._hand_over_at = now + HAND_OVER_PAUSE
            self._begin_hand_over()

    def _begin_hand_over(self) -> None:
        if self._handing_over is None or self._handing_over.done():
            self._handing_over = asyncio.get_running_loop().create_task(self._hand_over())

    async def _hand_over(self) -> None:
        """Merge the entries from memory into the store."""
        count = 0
        while taken := self.memory.take(WRITE_BACK):
            for n, (key, entry) in enumerate(taken):
                try:
                    await self._guard.update((key,), self._merging(key, entry))
                except Exception as error:  # down again: keep the rest for the next time
                    if not isinstance(error, StoreError):
                        log.exception(
                            "entries from memory could not be handed over", store=self.name
                        )
                    for kept_key, kept in taken[n:]:
                        # more entries may have arrived meanwhile
                        self.memory.update_now((kept_key,), self._merging(kept_key, kept))
                    return
                count += 1
        if count:
            log.info("entries from memory written to the store", store=self.name, entries=count)

    def _merging(self, key: str, ours: StoreEntry) -> Change[None]:
        def change(known: Known) -> tuple[Known, None]:
            theirs = known[0]
            return [ours if theirs is None else self._merge(key, ours, theirs)], None

        return change
