"""Builder of stores and checks from the settings: the only module that knows all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence

from gatepost.config import GroundSettings
from gatepost.dns import AsyncResolver
from gatepost.errors import StartError
from gatepost.ownership import read_rights
from gatepost.snapshots.senders import join_rights
from policyd.accounts import PolicyAccounts
from policyd.checks import Check
from policyd.checks.client import ClientCheck
from policyd.checks.compromised import CompromisedCheck
from policyd.checks.dnslists import DnsListsCheck, ZoneStandings
from policyd.checks.greylist import GreylistCheck, Identify
from policyd.checks.limits import LimitsCheck
from policyd.checks.ownership import OwnershipCheck
from policyd.checks.spf import Spf, listed_identity
from policyd.checks.tables import TablesCheck
from policyd.engine import Engine, Row
from policyd.errors import PolicydError
from policyd.records import merge
from policyd.settings import CheckName, PolicydSettings, StoreSettings
from policyd.settings.base import CheckSection
from policyd.stores import RawStore, Store, StoreStartError
from policyd.stores.guard import Fallback, GuardedStore
from policyd.stores.memory import MemoryStore
from policyd.stores.sqlite import SqliteStore


def open_store(settings: StoreSettings, *, once: bool = False) -> RawStore:
    """Return the store of the settings, bare; raises `StoreStartError`.

    `once`: for a few reads at most, so that no index is built.
    """
    if settings.kind == "memory":
        return MemoryStore()
    if settings.kind == "sqlite":
        try:
            settings.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreStartError(
                f"cannot create the folder of the store {settings.path}: {error.strerror}"
            ) from None
        return SqliteStore(settings.path, indexed=not once)
    # without Valkey, its client need not be in memory
    from policyd.stores.valkey import ValkeyStore

    read_password = settings.password_file.read_text if settings.password_file else None
    if read_password is not None:
        try:
            read_password()  # a mistake is told now, and not at the first connection
        except (OSError, ValueError) as error:
            raise StoreStartError(f"cannot read the password of the store: {error}") from None
    return ValkeyStore(
        settings.url, prefix=settings.prefix, password=read_password, timeout=settings.timeout
    )


class Stores:
    """The store as the checks see it: `guarded` may fail, `lasting` continues in memory."""

    def __init__(self, guarded: Store, lasting: Store, guard: GuardedStore | None = None) -> None:
        self.guarded = guarded
        self.lasting = lasting
        self._guard = guard

    @classmethod
    def open(cls, settings: StoreSettings) -> Stores:
        """Open the store of the settings; raises `StoreStartError`."""
        store = open_store(settings)
        if settings.kind == "memory":
            return cls.over(store)
        guard = GuardedStore(store, settings.timeout)
        return cls(guard, Fallback(guard, MemoryStore(), merge), guard)

    @classmethod
    def over(cls, store: Store) -> Stores:
        """Wrap a store that needs no guard."""
        return cls(store, store)

    def start(self) -> None:
        """Start watching the store; called in the event loop."""
        if self._guard is not None:
            self._guard.start()

    @property
    def tasks(self) -> Sequence[asyncio.Task[None]]:
        """Return the tasks that watch the store; if one ends before `close()`, that is a fault."""
        return () if self._guard is None else self._guard.tasks

    def problem(self) -> str | None:
        """Return one line while the store does not work; None if it does."""
        if self._guard is None or not self._guard.down:
            return None
        return f"{self._guard.name} does not answer; greylisting continues in memory"

    async def close(self) -> None:
        """Finish pending work and release the store."""
        await self.lasting.close()


class Maker:
    """Builds the checks of one configuration; a check that has nothing to do is left out.

    `standings` holds what earlier configurations learned about DNS lists; new lists are added to
    it. `accounts` are the data from accounts in use.
    """

    def __init__(
        self,
        ground: GroundSettings,
        settings: PolicydSettings,
        stores: Stores,
        resolver: AsyncResolver,
        standings: ZoneStandings | None = None,
        accounts: PolicyAccounts | None = None,
    ) -> None:
        self._accounts = accounts or PolicyAccounts(settings.accounts)
        self._settings = settings
        self._hostname = ground.hostname
        self._proxy_networks = ground.proxy_networks
        self._stores = stores
        self._resolver = resolver
        self._standings: ZoneStandings = {} if standings is None else standings
        self._makers: dict[CheckName, tuple[CheckSection, Callable[[], Check | None]]] = {
            "ownership": (settings.ownership, self._ownership),
            "compromised": (settings.compromised, self._compromised),
            "limits": (settings.limits, self._limits),
            "tables": (settings.tables, self._tables),
            "client": (settings.client, self._client),
            "dnslists": (settings.dnslists, self._dnslists),
            "greylist": (settings.greylist, self._greylist),
        }

    def engine(self) -> Engine:
        """Return the enabled checks in their order; raises `StartError`."""
        rows = []
        for name in self._settings.order:
            try:
                row = self._row(name)
            except (PolicydError, OSError, ValueError) as error:
                raise StartError(f"[policyd.{name}]: {error}") from None
            if row is not None:
                rows.append(row)
        return Engine(rows, self._proxy_networks)

    def faults(self) -> Iterator[tuple[CheckName, str]]:
        """Yield the checks that cannot be built and the reason, such as a missing list."""
        for name in self._settings.order:
            try:
                self._row(name)
            except (PolicydError, OSError, ValueError) as error:
                yield name, str(error)

    def _row(self, name: CheckName) -> Row | None:
        section, make = self._makers[name]
        check = make() if section.enabled else None
        return None if check is None else Row.of(check, section)

    def _ownership(self) -> Check:
        settings = self._settings.ownership
        rights = self._accounts.rights
        owners = read_rights(settings) if rights is None else join_rights(settings, rights)
        return OwnershipCheck(settings, owners, self._hostname)

    def _compromised(self) -> Check | None:
        settings = self._settings.compromised
        if not (settings.max_networks or settings.max_countries or settings.bounces):
            return None
        return CompromisedCheck(settings, self._stores.guarded, self._hostname)

    def _limits(self) -> Check | None:
        settings = self._settings.limits
        if not settings.rules:
            return None
        return LimitsCheck(settings, self._stores.guarded, self._hostname)

    def _tables(self) -> Check | None:
        tables = TablesCheck(self._settings.tables, self._hostname)
        return tables if tables.used else None

    def _client(self) -> Check | None:
        settings = self._settings.client
        if all(treatment == "off" for treatment in settings.treatments):
            return None
        spf = Spf(self._resolver, self._hostname, settings.dns_budget)
        return ClientCheck(settings, self._resolver, spf, self._hostname)

    def _dnslists(self) -> Check | None:
        settings = self._settings.dnslists
        if not settings.lists:
            return None
        return DnsListsCheck(settings, self._resolver, self._hostname, self._standings)

    def _greylist(self) -> Check | None:
        settings = self._settings.greylist
        identify: list[Identify] = []
        for identity in settings.identities:
            if identity == "spf":
                spf = Spf(self._resolver, self._hostname, settings.dns_budget)
                identify.append(spf.identity)
            elif identity == "dnswl":
                identify.append(listed_identity)
        return GreylistCheck(
            settings,
            self._stores.lasting,
            self._hostname,
            identify,
            preferences=self._accounts.preferences,
            exceptions=self._accounts.exceptions,
        )


def faults(ground: GroundSettings, settings: PolicydSettings) -> Iterator[tuple[str, str]]:
    """Yield the keys whose files prevent a server with these settings from starting, and why.

    It queries nothing and opens no store.
    """
    maker = Maker(ground, settings, Stores.over(MemoryStore()), AsyncResolver(ground.dns))
    for name, why in maker.faults():
        yield f"policyd.{name}", why
    if settings.store.kind == "valkey" and settings.store.password_file is not None:
        try:
            settings.store.password_file.read_text()
        except (OSError, ValueError) as error:
            yield "policyd.store.password_file", str(error)
