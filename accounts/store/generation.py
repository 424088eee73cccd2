"""Generation of the data that this process has seen last, and the tasks that wait for the next."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from sqlalchemy import Connection, select

from accounts.store import schema


def read_generation(connection: Connection) -> int:
    """Return the generation in the database."""
    return int(connection.execute(select(schema.state.c.generation)).scalar_one())


class Generation:
    """A number that grows with each change; a restored backup may lower it."""

    def __init__(self, current: int) -> None:
        self.current = current
        self._changed = asyncio.Event()
        self._told = 0

    def tell(self, generation: int) -> None:
        """Set the generation after a write by this or another process."""
        self._told += 1
        if generation > self.current:
            self._set(generation)

    @asynccontextmanager
    async def being_read(self) -> AsyncIterator[Callable[[int], None]]:
        """Yield a function that sets the generation to one read from the database.

        It has no effect if a write was reported meanwhile, because the value may be older.
        """
        told = self._told

        def seen(generation: int) -> None:
            if self._told == told and generation != self.current:
                self._set(generation)

        yield seen

    async def wait(self, after: int, timeout: float) -> int:
        """Wait until it is not `after`, at most `timeout` seconds; return its value."""
        try:
            async with asyncio.timeout(timeout):
                while self.current == after:
                    await self._changed.wait()
        except TimeoutError:
            pass
        return self.current

    def _set(self, generation: int) -> None:
        self.current = generation
        self._changed.set()
        self._changed = asyncio.Event()
