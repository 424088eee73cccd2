"""A read-only view of a store: checks run on it without leaving traces."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Sequence

from policyd.stores import Change, Known, Store, StoreEntry, T


class View:
    """The entries of another store; every update is decided and none is written."""

    def __init__(self, store: Store) -> None:
        self.name = store.name
        self._store = store

    def update(self, keys: Sequence[str], change: Change[T]) -> Awaitable[T]:
        """As `Store.update`, without the writing."""

        def look(known: Known) -> tuple[Known, T]:
            _, result = change(known)
            return known, result

        return self._store.update(keys, look)

    def scan(self, prefix: str) -> AsyncIterator[tuple[str, StoreEntry]]:
        """As `Store.scan`."""
        return self._store.scan(prefix)

    async def sweep(self) -> int:
        """Remove nothing."""
        return 0

    async def close(self) -> None:
        """As `Store.close`."""
        await self._store.close()
