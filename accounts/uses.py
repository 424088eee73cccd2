"""Uses of logins, written to the database: their times, and stronger hashes of old passwords.

A login is answered before its use is written. Uses are written together, once a second. While the
database is away they wait, and only the latest of each mailbox is kept.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, TypeVar

from accounts.counts import NOT_NOTED, UPGRADES
from accounts.login import AppPasswordUsed, LoggedIn, Login, Upgrade
from accounts.passwords import Busy, Password, PasswordWorkers
from accounts.store.errors import DatastoreUnavailable, Invalid
from accounts.traces.trace import LoginTraces, Traces
from gatepost.logs import get_logger

K = TypeVar("K")
V = TypeVar("V")

PAUSE: Final = 1.0
"""Seconds between two writes."""
PAUSE_AWAY: Final = 5.0
"""Seconds between two writes while the database is away."""
MAX_WAITING: Final = 10_000
"""Maximum number of mailboxes, of app passwords and of new hashes that wait."""
MAX_UPGRADES: Final = 100
"""Maximum number of passwords that wait for a new hash; others get theirs at the next login."""

log = get_logger("accounts")


class Uses:
    """Collector of the effects of logins. `run()` writes them, and `flush()` does so at the end."""

    def __init__(self, traces: Traces, workers: Callable[[], PasswordWorkers]) -> None:
        self._traces = traces
        self._workers = workers
        self._logins: OrderedDict[str, int] = OrderedDict()
        self._app_passwords: OrderedDict[int, tuple[int, str | None]] = OrderedDict()
        self._old: OrderedDict[str, tuple[str, Password]] = OrderedDict()
        self._hashed: OrderedDict[str, tuple[str, str]] = OrderedDict()

    def add(self, login: Login, password: Password) -> None:
        """Take the effects of a successful login."""
        for effect in login.effects:
            match effect:
                case LoggedIn(at=at):
                    _put(self._logins, login.address, at)
                case AppPasswordUsed(app_password=row, at=at, client=client):
                    _put(self._app_passwords, row, (at, client))
                case Upgrade(stored=stored) if len(self._old) < MAX_UPGRADES:
                    self._old[login.address] = stored, password
                case _:
                    pass

    async def run(self) -> None:
        """Write forever."""
        while True:
            await asyncio.sleep(PAUSE)
            try:
                await self.flush()
            except DatastoreUnavailable:
                await asyncio.sleep(PAUSE_AWAY)
            except Exception:  # a bug must not stop logins
                log.exception("cannot write the uses of logins")

    async def flush(self) -> None:
        """Write the waiting effects; they still wait after `DatastoreUnavailable`."""
        await self._hash()
        if not (self._logins or self._app_passwords or self._hashed):
            return
        logins, self._logins = self._logins, OrderedDict()
        used, self._app_passwords = self._app_passwords, OrderedDict()
        hashed, self._hashed = self._hashed, OrderedDict()

        try:
            upgraded = await self._traces.note(LoginTraces(logins, used, hashed))
        except (
            DatastoreUnavailable,
            asyncio.CancelledError,
        ):  # `flush` is called again at the end
            self._logins = OrderedDict({**logins, **self._logins})
            self._app_passwords = OrderedDict({**used, **self._app_passwords})
            self._hashed = OrderedDict({**hashed, **self._hashed})
            raise
        for address in upgraded:
            UPGRADES.inc()
            log.info("password hashed again", address=address)

    async def _hash(self) -> None:
        while self._old:
            address, (stored, password) = self._old.popitem(last=False)
            try:
                after = await self._workers().hash(password)
            except (Busy, Invalid):
                continue  # the next login tries again
            _put(self._hashed, address, (stored, after))


def _put(waiting: OrderedDict[K, V], key: K, value: V) -> None:
    waiting[key] = value
    if len(waiting) > MAX_WAITING:
        waiting.popitem(last=False)
        NOT_NOTED.inc()
