"""Stores of the checks' data: one Protocol, several implementations.

A store maps text keys to entries. Its one verb is `update`: it reads the entries of some keys, lets
a pure function decide on changes, writes them, all as one atomic step, and returns the function's
result. When the `await` returns, the change is kept: a process killed after that loses nothing.

Keys are ``kind`` LF ``part`` LF ``part``: no attribute of Postfix can contain LF.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import NamedTuple, Protocol, TypeAlias, TypeVar

from policyd.errors import CheckError, PolicydError

T = TypeVar("T")


class StoreEntry(NamedTuple):
    """A value and when it expires (seconds since the epoch)."""

    value: str
    expires: int


Known: TypeAlias = Sequence[StoreEntry | None]
"""The entries of the requested keys, in their order; None for missing ones."""

Change: TypeAlias = Callable[[Known], tuple[Known, T]]
"""Decides how entries change. It may be called more than once for one update, so it must have no
side effects. An entry returned as the same object is not written; None deletes."""


class StoreError(CheckError):
    """The store did not do an update; the message says why, for the log.

    `readable`: entries can still be read, but not written (a full disk).
    """

    def __init__(self, message: str, *, readable: bool = False) -> None:
        super().__init__(message)
        self.readable = readable


class StoreStartError(PolicydError):
    """The store cannot be opened; the message is for the administrator."""


class Store(Protocol):
    """The interface of a store. Every failure is a `StoreError`."""

    name: str
    """Its name in logs and metrics: memory, sqlite, valkey."""

    def update(self, keys: Sequence[str], change: Change[T]) -> Awaitable[T]:
        """Read, decide and write the entries of `keys` as one step."""
        ...

    def scan(self, prefix: str) -> AsyncIterator[tuple[str, StoreEntry]]:
        """Yield every entry whose key begins with `prefix`, in no order, while others keep
        writing."""
        ...

    async def sweep(self) -> int:
        """Remove some expired entries and return how many; never takes long."""
        ...

    async def close(self) -> None:
        """Finish pending work and release the store."""
        ...


class RawStore(Store, Protocol):
    """A store whose update starts as soon as it is called."""

    def update(self, keys: Sequence[str], change: Change[T]) -> asyncio.Future[T]:
        """As `Store.update`."""
        ...
