"""Makes stores and checks from the settings: the one place that knows all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from gatepost.daemon import StartError
from policyd.checks import Check
from policyd.checks.dnslists import AsyncAsker, DnsLists
from policyd.checks.greylist import Greylist
from policyd.engine import Engine, Row
from policyd.errors import PolicydError
from policyd.records import merge
from policyd.settings import CheckName, PolicydSettings, StoreSettings
from policyd.settings.base import CheckSection
from policyd.stores import Store, StoreStartError
from policyd.stores.guard import Fallback, Guard
from policyd.stores.memory import MemoryStore
from policyd.stores.sqlite import SqliteStore
from policyd.stores.valkey import ValkeyStore


def open_store(settings: StoreSettings) -> Store:
    """The store of the settings, bare; raises `StoreStartError`."""
    if settings.kind == "memory":
        return MemoryStore()
    if settings.kind == "sqlite":
        try:
            settings.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreStartError(
                f"cannot make the folder of the store {settings.path}: {error.strerror}"
            ) from None
        return SqliteStore(settings.path)
    try:
        password = settings.password_file.read().decode() if settings.password_file else None
    except (OSError, ValueError) as error:
        raise StoreStartError(f"cannot read the password of the store: {error}") from None
    return ValkeyStore(
        settings.url, prefix=settings.prefix, password=password, timeout=settings.timeout
    )


class Stores:
    """The store as the checks see it: `guarded` may fail, `lasting` goes on in memory."""

    def __init__(self, settings: StoreSettings) -> None:
        store = open_store(settings)
        if settings.kind == "memory":
            self.guard: Guard | None = None
            self.guarded: Store = store
            self.lasting: Store = store
        else:
            self.guard = Guard(store, settings.timeout)
            self.guarded = self.guard
            self.lasting = Fallback(self.guard, MemoryStore(), merge)

    def start(self) -> None:
        """Begin to watch the store; called in the event loop."""
        if self.guard is not None:
            self.guard.start()

    async def close(self) -> None:
        """Finish what was begun and let go."""
        await self.lasting.close()


def build_engine(
    settings: PolicydSettings, hostname: str, stores: Stores, resolver: AsyncAsker
) -> Engine:
    """The checks that are on, in their order; raises `StartError`."""
    makers: dict[CheckName, tuple[CheckSection, Callable[[], Check]]] = {
        "dnslists": (
            settings.dnslists,
            lambda: DnsLists(settings.dnslists, resolver, hostname),
        ),
        "greylist": (
            settings.greylist,
            lambda: Greylist(settings.greylist, stores.lasting, hostname),
        ),
    }
    rows = []
    for name in settings.order:
        section, make = makers[name]
        if not section.enabled:
            continue
        try:
            rows.append(Row.of(make(), section))
        except (PolicydError, OSError, ValueError) as error:
            raise StartError(f"[policyd.{name}]: {error}") from None
    return Engine(rows)


def watched_files(settings: PolicydSettings) -> Iterator[Path]:
    """The files whose change means "read again"."""
    greylist = settings.greylist
    yield from greylist.allow_clients_files
    yield from greylist.allow_recipients_files
    yield from greylist.opt_in_files
    if greylist.privacy_key_file is not None:
        yield greylist.privacy_key_file.path
    for one in settings.dnslists.lists:
        if one.key_file is not None:
            yield one.key_file.path
