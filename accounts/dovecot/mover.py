"""Mover of mailboxes between mail stores: the work that `accounts.directory.moves` has on record.

Any number of processes may do this with one database. Each step can be repeated.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final, Protocol

from accounts.directory import moves
from accounts.directory.moves import LEASE, Move
from accounts.dovecot import doveadm, transfer
from accounts.dovecot.doveadm import DoveadmError
from accounts.dovecot_settings import DovecotSettings
from accounts.home_stores_settings import HomeStoreSettings, HomeStoresSettings
from accounts.store.database import Database
from accounts.store.errors import Conflict, DatastoreError
from accounts.store.transaction import Actor, Write
from gatepost.logs import get_logger
from gatepost.metrics import Counter, Probes

AT_ONCE: Final = 2
"""Moves at the same time in one process."""
POLL: Final = 5.0
"""Seconds between two looks for moves that are due; a new one is seen immediately."""
FIRST_PASS: Final = 6 * 3600.0
"""Seconds that the first copy of a mailbox, or what is left to merge, may take."""
KICK_PAUSE: Final = 2.0
"""Seconds between the two times that sessions are ended: one may just be starting."""
MAX_PROBLEMS: Final = 1000
"""Failing moves that are remembered."""
SERVICE: Final = Actor("mover@accounts")

MOVES: Final = Counter(
    "gatepost_accounts_moves_total",
    "Steps of moves of mailboxes to another mail store, by result: switched, settled, failed",
    ["result"],
)

log = get_logger("accounts")

CopyMailbox = Callable[[str, str, str, str, float], Awaitable[None]]
EndSessions = Callable[[str, str, Sequence[str]], Awaitable[int]]
RemoveCopy = Callable[[str, str, str, float], Awaitable[None]]


class MovingSettings(Protocol):
    """The part of the settings that a move depends on."""

    stores: HomeStoresSettings
    dovecot: DovecotSettings


class Mover:
    """The work. `settings` returns those in use."""

    def __init__(
        self,
        database: Database,
        settings: Callable[[], MovingSettings],
        *,
        copy: CopyMailbox = transfer.copy,
        merge: CopyMailbox = transfer.merge,
        kick: EndSessions = doveadm.kick,
        remove: RemoveCopy = doveadm.remove_home,
        clock: Callable[[], float] = time.time,
        kick_pause: float = KICK_PAUSE,
    ) -> None:
        assert LEASE > 2 * transfer.LOCK_WAIT  # noqa: S101
        self._database = database
        self._settings = settings
        self._copy = copy
        self._merge = merge
        self._kick = kick
        self._remove = remove
        self._clock = clock
        self._kick_pause = kick_pause
        self._problems: dict[str, str] = {}

    def add_probes(self, probes: Probes) -> None:
        """Add a remark to `/readyz` while moves fail."""
        probes.remark("moves", self.limping)

    def limping(self) -> str | None:
        """Return a line about the moves that fail in this process, else None."""
        if not self._problems:
            return None
        address, problem = next(iter(self._problems.items()))
        return f"{len(self._problems)} failing, such as that of {address}: {problem}"

    def housekeeping(self) -> Sequence[Coroutine[Any, Any, None]]:
        """Return the coroutines that run all the time."""
        return tuple(self._run() for _ in range(AT_ONCE))

    async def look(self) -> bool:
        """Make one step of one move; False if none is due. Raises `DatastoreError`."""
        await self._forget_problems()
        now, holder = int(self._clock()), secrets.token_hex(8)
        move = await self._database.record(lambda c: moves.claim(c, holder, now))
        if move is None:
            return False
        step = asyncio.ensure_future(self._step(move, holder))
        renewing = asyncio.ensure_future(self._renew(move, holder))
        try:
            await asyncio.wait({step, renewing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (step, renewing):
                task.cancel()
            done = await asyncio.gather(step, renewing, return_exceptions=True)
        failed = done[0]
        if failed is None:
            self._problems.pop(move.address, None)
        elif isinstance(failed, DoveadmError | Conflict):
            await self._fail(move, holder, str(failed))
        elif isinstance(failed, Exception):
            raise failed
        return True

    async def _forget_problems(self) -> None:
        """Forget those of moves that were ended, or that another process has gone on with."""
        known = tuple(self._problems)
        if known:
            failing = await self._database.read(lambda c: moves.failing(c, known))
            for address in known:
                if address not in failing:
                    self._problems.pop(address, None)

    async def _run(self) -> None:
        while True:
            try:
                if self._settings().stores.named and await self.look():
                    continue
            except DatastoreError as error:
                log.warning("mailboxes not moved", error=str(error))
            except Exception:  # a bug must not end all moves
                log.exception("internal error in a move")
            await self._database.wait_for_change(self._database.generation, POLL)

    async def _renew(self, move: Move, holder: str) -> None:
        """Return when the move is no longer of this process."""
        is_own = True
        while is_own:
            await asyncio.sleep(LEASE / 4)
            now = int(self._clock())
            with contextlib.suppress(DatastoreError):
                is_own = await self._database.record(
                    lambda c: moves.renew(c, move, holder, now)  # noqa: B023
                )

    async def _step(self, move: Move, holder: str) -> None:
        settings = self._settings()
        key = _key(settings.dovecot)
        _, url = _reachable(settings.stores, move.source)
        target, _ = _reachable(settings.stores, move.target)
        if target.transfer is None:
            raise DoveadmError(f"accounts.stores.named.{move.target} has no transfer")
        peer = target.transfer
        if move.phase == "settle":
            await self._settle(move, holder, url, key, peer)
            return
        await self._copy(url, key, move.address, peer, FIRST_PASS)
        seconds = int(settings.stores.lock)
        await self._write(lambda write: moves.lock(write, move, holder, seconds))
        log.info("mailbox locked to move it", user=move.address, store=move.source)
        # sessions that began before the lock; their programs log in again, and are told to wait
        await self._kick(url, key, [move.address])
        await asyncio.sleep(self._kick_pause)
        await self._kick(url, key, [move.address])
        await self._copy(url, key, move.address, peer, max(1.0, seconds - 2 * moves.SKEW))
        settle = int(settings.stores.settle)
        await self._write(lambda write: moves.switch(write, move, holder, settle))
        log.info("mailbox moved", user=move.address, source=move.source, target=move.target)
        MOVES.labels("switched").inc()

    async def _settle(self, move: Move, holder: str, url: str, key: str, peer: str) -> None:
        if not await self._database.read(lambda c: moves.is_settled(c, move)):
            raise DoveadmError(f"{move.address} is not in {move.target}: its copy is not removed")
        await self._kick(url, key, [move.address])
        await self._merge(url, key, move.address, peer, FIRST_PASS)
        await self._remove(url, key, move.home, FIRST_PASS)
        await self._write(lambda write: moves.finish(write, move, holder))
        log.info("earlier mail store cleared", user=move.address, store=move.source)
        MOVES.labels("settled").inc()

    async def _fail(self, move: Move, holder: str, problem: str) -> None:
        log.warning(
            "move failed", user=move.address, source=move.source, target=move.target, error=problem
        )
        MOVES.labels("failed").inc()
        try:
            await self._write(lambda write: moves.fail(write, move, holder, problem))
        except Conflict:  # it was cancelled, or another process has it
            self._problems.pop(move.address, None)
            return
        self._problems[move.address] = problem
        if len(self._problems) > MAX_PROBLEMS:
            self._problems.pop(next(iter(self._problems)))

    async def _write(self, work: Callable[[Write], None]) -> None:
        await self._database.write(SERVICE, work)


def _reachable(stores: HomeStoresSettings, name: str) -> tuple[HomeStoreSettings, str]:
    """Return a store and the URL of its doveadm; raises `DoveadmError`."""
    found = stores.named.get(name)
    if found is None:
        raise DoveadmError(f"accounts.stores.named has no {name}")
    if found.doveadm_url is None:
        raise DoveadmError(f"accounts.stores.named.{name} has no doveadm_url")
    return found, found.doveadm_url


def _key(settings: DovecotSettings) -> str:
    file = settings.doveadm_key_file
    try:
        return "" if file is None else file.read_text()
    except (OSError, ValueError) as error:
        raise DoveadmError(f"cannot read the key: {error}") from None
