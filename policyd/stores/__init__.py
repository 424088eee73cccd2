"""Where the checks keep what they know: one Protocol, several stores.

A store maps text keys to entries. Its one verb is `update`: it reads the entries of some keys,
lets a pure function decide what becomes of them, writes what changed, all as one atomic step, and
returns what the function returned. When the `await` is over, the change is kept: a process that is
killed then loses nothing.

Keys are ``kind`` LF ``part`` LF ``part``: no attribute of Postfix can contain LF.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import NamedTuple, Protocol, TypeAlias, TypeVar

from policyd.errors import CheckError, PolicydError

T = TypeVar("T")


class Entry(NamedTuple):
    """A value and when it means nothing any more (seconds since the epoch)."""

    value: str
    expires: int


Known: TypeAlias = Sequence[Entry | None]
"""The entries of the keys asked for, in their order; None for those that are not there."""

Change: TypeAlias = Callable[[Known], tuple[Known, T]]
"""Decides what becomes of entries. It may be called more than once for one update, so it has no
effect but its result. An entry that comes back as the same object is not written; None deletes."""


class StoreError(CheckError):
    """The store did not do what was asked; the message says why, for the log.

    `readable`: what it knows can still be asked for, it only takes nothing new (a full disk).
    """

    def __init__(self, message: str, *, readable: bool = False) -> None:
        super().__init__(message)
        self.readable = readable


class StoreStartError(PolicydError):
    """The store cannot be opened; the message is for the administrator."""


class Store(Protocol):
    """What every store does. All that can go wrong is a `StoreError`."""

    name: str
    """What logs and metrics call it: memory, sqlite, valkey."""

    def update(self, keys: Sequence[str], change: Change[T]) -> Awaitable[T]:
        """Read, decide and write the entries of `keys` as one step."""
        ...

    def scan(self, prefix: str) -> AsyncIterator[tuple[str, Entry]]:
        """Every entry whose key begins with `prefix`, in no order, while others go on writing."""
        ...

    async def sweep(self) -> int:
        """Remove some of what has expired; returns how many entries. Never takes long."""
        ...

    async def close(self) -> None:
        """Finish what was begun and let go."""
        ...


class RawStore(Store, Protocol):
    """A store whose update is under way as soon as it is called."""

    def update(self, keys: Sequence[str], change: Change[T]) -> asyncio.Future[T]:
        """As `Store.update`."""
        ...
