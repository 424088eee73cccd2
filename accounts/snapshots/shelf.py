"""Shelf of the latest snapshots. A request makes a new one if the data have changed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import Connection

from accounts.snapshots.contents import CONTENTS, SnapshotInputs
from accounts.snapshots.counts import MADE, OCTETS, SECONDS
from accounts.snapshots.history import History, read_changes, read_history
from accounts.snapshots.making import MadeSnapshot, make
from accounts.store.database import Database
from accounts.store.errors import DatastoreError, DatastoreUnavailable
from gatepost.logs import get_logger
from gatepost.snapshots.form import SnapshotError

PAUSE = 4.0
"""Pause before a snapshot is made again, as a multiple of the time that it took: many changes of
the data must not keep the service busy."""
MAX_PAUSE = 30.0

log = get_logger("accounts")


class _Kept(NamedTuple):
    """A snapshot, the state that it is current for, and when another may be made.

    `is_due`: the data have changed, but it is too early to make another.
    """

    made: MadeSnapshot
    history: History
    seen: int
    inputs: SnapshotInputs
    not_before: float
    is_due: bool = False


class SnapshotShelf:
    """Snapshots of a datastore. Use it in one event loop.

    `inputs` returns the inputs in use, apart from the data.
    """

    def __init__(
        self,
        database: Database,
        inputs: Callable[[], SnapshotInputs],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._inputs = inputs
        self._monotonic = monotonic
        self._kept: dict[str, _Kept] = {}
        self._locks = {name: asyncio.Lock() for name in CONTENTS}
        self._making = asyncio.Lock()

    async def wait(
        self, name: str, tag: str, timeout: float, ended: asyncio.Event
    ) -> tuple[MadeSnapshot, History]:
        """Return a snapshot once its tag differs, after `timeout` seconds, or when `ended` is set.

        It comes with the state of the data that it is current for. Raises `DatastoreError` if there
        is none because the database is away.
        """
        end = self._monotonic() + timeout
        while True:
            seen = self._database.generation
            kept = await self._current(name)
            left = end - self._monotonic()
            if kept.made.tag != tag or left <= 0 or ended.is_set():
                return kept.made, kept.history
            if kept.is_due:
                await _pause(min(left, max(0.01, kept.not_before - self._monotonic())), ended)
            else:
                await self._sleep(seen, min(left, self._life(kept)), ended)

    async def _sleep(self, seen: int, timeout: float, ended: asyncio.Event) -> None:
        """Wait for a change of the data, for `ended`, or until the time is over."""
        change = asyncio.ensure_future(self._database.wait_for_change(seen, timeout))
        end = asyncio.ensure_future(ended.wait())
        try:
            await asyncio.wait((change, end), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            change.cancel()
            end.cancel()
            await asyncio.gather(change, end, return_exceptions=True)

    def _life(self, kept: _Kept) -> float:
        """Return the seconds until the records change by themselves."""
        if kept.made.until is None:
            return float("inf")
        return max(0.1, kept.made.until - self._inputs().terms.now)

    async def _current(self, name: str) -> _Kept:
        async with self._locks[name]:
            kept = self._kept.get(name)
            inputs = self._inputs()
            seen = self._database.generation
            if kept is not None and kept.seen == seen and not _is_over(kept, inputs):
                return kept
            try:
                kept = await self._renewed(name, kept, inputs, seen)
            except (DatastoreError, SnapshotError) as error:
                if kept is None:
                    if isinstance(error, DatastoreError):
                        raise
                    raise DatastoreUnavailable(str(error)) from None
                # the last snapshot is still the best answer
                log.warning("cannot make a snapshot", snapshot=name, error=str(error))
                return kept
            if not kept.is_due:
                self._kept[name] = kept
            return kept

    async def _renewed(
        self, name: str, kept: _Kept | None, inputs: SnapshotInputs, seen: int
    ) -> _Kept:
        content = CONTENTS[name]
        if kept is not None:
            before = kept

            def look(connection: Connection) -> tuple[History, bool]:
                changes = read_changes(connection, before.history)
                return read_history(connection), content.is_concerned(changes)

            history, is_concerned = await self._database.read(look)
            if not (is_concerned or _is_over(kept, inputs)):
                return kept._replace(history=history, seen=seen)
            if self._monotonic() < kept.not_before:
                return kept._replace(is_due=True)
        async with self._making:
            began = self._monotonic()
            made = await self._database.read(
                lambda connection: make(connection, name, content, inputs)
            )
            took = self._monotonic() - began
        MADE.labels(name).inc()
        SECONDS.observe(took)
        OCTETS.labels(name).set(made.size)
        if kept is None or kept.made.tag != made.tag:
            log.info(
                "snapshot made",
                snapshot=name,
                generation=made.history.generation,
                records=made.records,
                octets=made.size,
                seconds=round(took, 3),
            )
        else:
            # the records are the same: keep the old octets
            made = made._replace(packed=kept.made.packed, size=kept.made.size)
        not_before = self._monotonic() + min(MAX_PAUSE, PAUSE * took)
        return _Kept(made, made.history, seen, inputs, not_before)


async def _pause(seconds: float, ended: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(ended.wait(), seconds)


def _is_over(kept: _Kept, inputs: SnapshotInputs) -> bool:
    """Return whether it must be made again although the data have not changed."""
    return (
        inputs.seal is not kept.inputs.seal
        or inputs.terms._replace(now=0) != kept.inputs.terms._replace(now=0)
        or (kept.made.until is not None and inputs.terms.now >= kept.made.until)
    )
