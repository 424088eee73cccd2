"""The generation of the data, as this process has seen it last, and those who wait for the next."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from sqlalchemy import Connection, select

from accounts.store import schema


def read_generation(connection: Connection) -> int:
    """Return the generation that the database has."""
    return int(connection.execute(select(schema.state.c.generation)).scalar_one())


class Generation:
    """A number that grows with each change; after a restored backup it may be lower, too."""

    def __init__(self, current: int) -> None:
        self.current = current
        self._changed = asyncio.Event()
        self._told = 0

    def tell(self, generation: int) -> None:
        """Note a generation that was written, here or by another process."""
        self._told += 1
        if generation > self.current:
            self._set(generation)

    @asynccontextmanager
    async def being_read(self) -> AsyncIterator[Callable[[int], None]]:
        """Yield a function that notes what was read from the database meanwhile.

        It counts unless a write was told of meanwhile: then it may be older than that.
        """
        told = self._told

        def seen(generation: int) -> None:
            if self._told == told and generation != self.current:
                self._set(generation)

        yield seen

    async def wait(self, after: int, timeout: float) -> int:
        """Wait until it is not `after`, for `timeout` seconds at most; returns what it is then."""
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
