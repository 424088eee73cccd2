"""Access to the policy server's store for commands, with or without a running server."""

from __future__ import annotations

import asyncio
import concurrent.futures.thread  # noqa: F401 # asyncio would look for it as the store's owner
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TypeVar

import click

from gatepost.cli.as_owner import as_owner_of
from policyd.build import open_store
from policyd.errors import PolicydError
from policyd.settings import StoreSettings
from policyd.stores import Store

T = TypeVar("T")


@contextmanager
def as_owner(settings: StoreSettings) -> Iterator[None]:
    """Run as the owner of the store when started by root: SQLite opens files by name."""
    if settings.kind != "sqlite":
        yield
        return
    try:
        with as_owner_of(settings.path.absolute()):
            yield
    except OSError as error:
        raise click.ClickException(f"{settings.path}: cannot be used: {error.strerror}") from None


@asynccontextmanager
async def opened(settings: StoreSettings, *, once: bool) -> AsyncIterator[Store]:
    """Yield the store of the settings; a store in memory is only visible to the server."""
    if settings.kind == "memory":
        raise click.ClickException(
            "the store is in the memory of the policy server; commands cannot read it"
        )
    if settings.kind == "sqlite" and once and not settings.path.exists():
        raise click.ClickException(f"there is no store {settings.path} yet")
    store = open_store(settings, once=once)
    try:
        yield store
    finally:
        await store.close()


def run(settings: StoreSettings, work: Callable[[Store], Awaitable[T]], *, once: bool = True) -> T:
    """Open the store, do the work, close it; report an error in one line.

    `once` as `policyd.build.open_store` has it: false for work that reads and writes a lot.
    """

    async def main() -> T:
        async with opened(settings, once=once) as store:
            return await work(store)

    try:
        with as_owner(settings):
            return asyncio.run(main())
    except PolicydError as error:
        raise click.ClickException(str(error)) from None
