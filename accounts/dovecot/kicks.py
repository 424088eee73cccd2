"""Dovecot servers that are told to end sessions, each with its waiting kicks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from urllib.parse import urlsplit

from accounts.dovecot import doveadm
from accounts.dovecot.doveadm import DoveadmError
from accounts.dovecot.waiting import Waiting
from gatepost.config import SecretFile
from gatepost.logs import get_logger
from gatepost.metrics import Counter, Gauge

AT_ONCE: Final = 50
"""Maximum number of masks in one request."""
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
"""Seconds between two attempts to reach a failing server; each pause is twice the one before."""
SHOWN: Final = 10
"""Maximum number of masks in a line of the log."""

KICKS: Final = Counter(
    "gatepost_accounts_kicks_total",
    "Kicks of users or masks of users by server and result: ended, nobody (had a session), "
    "failed (and tried again)",
    ["doveadm", "result"],
)
WAITING: Final = Gauge(
    "gatepost_accounts_kicks_waiting", "Waiting kicks by server", ["doveadm"], across="max"
)
UP: Final = Gauge(
    "gatepost_accounts_doveadm_up",
    "1 if the last request to this server succeeded, otherwise 0",
    ["doveadm"],
    across="min",
)

log = get_logger("accounts")

Send = Callable[[str, str, Sequence[str]], Awaitable[int]]


class Doveadm:
    """A Dovecot server. `key` returns the file with the key of its API."""

    def __init__(
        self,
        url: str,
        key: Callable[[], SecretFile | None],
        *,
        send: Send = doveadm.kick,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = urlsplit(url).netloc
        self._url = url
        self._key = key
        self._send = send
        self._clock = clock
        self._waiting = Waiting()
        self._wake = asyncio.Event()
        self._failures = 0
        self._error = ""
        self._away_since = 0.0
        UP.labels(self.name).set(1)

    def add(self, mask: str, *, repeat: bool) -> None:
        """End the sessions of some users soon; with `repeat`, do it a second time after a while."""
        self._waiting.add(mask, self._clock(), repeat=repeat)
        self._count()
        self._wake.set()

    def limping(self) -> str | None:
        """Return a line about the server if it fails, else None."""
        if not self._failures:
            return None
        seconds = round(self._clock() - self._away_since)
        return f"away for {seconds} s, sessions do not end: {self._error}"

    async def run(self) -> None:
        """Kick forever."""
        while True:
            try:
                await self._wait()
                await self.work()
            except Exception:  # a bug must not keep all sessions open
                log.exception("internal error in a kick", doveadm=self.name)
                await asyncio.sleep(LONGEST_PAUSE)
            if self._failures:
                await asyncio.sleep(pause(self._failures))

    async def work(self) -> None:
        """Send one request with the kicks that are due."""
        masks = self._waiting.take(AT_ONCE, self._clock())
        if not masks:
            return
        try:
            ended = await self._send(self._url, self._read_key(), masks)
        except DoveadmError as error:
            self._fail(masks, str(error))
        except BaseException:
            self._waiting.put_back(masks, self._clock())
            raise
        else:
            self._succeed(masks, ended)
        self._count()

    async def _wait(self) -> None:
        """Wait for a kick that is due."""
        while (due := self._waiting.due_in(self._clock())) != 0:
            self._wake.clear()
            try:
                async with asyncio.timeout(due):
                    await self._wake.wait()
            except TimeoutError:
                return

    def _read_key(self) -> str:
        file = self._key()
        try:
            return "" if file is None else file.read_text()
        except (OSError, ValueError) as error:
            raise DoveadmError(f"cannot read the key: {error}") from None

    def _fail(self, masks: Sequence[str], error: str) -> None:
        self._waiting.put_back(masks, self._clock())
        KICKS.labels(self.name, "failed").inc(len(masks))
        UP.labels(self.name).set(0)
        if not self._failures:
            self._away_since = self._clock()
        if not self._failures or error != self._error:
            log.warning("sessions not ended", doveadm=self.name, error=error, users=shown(masks))
        self._failures += 1
        self._error = error

    def _succeed(self, masks: Sequence[str], ended: int) -> None:
        KICKS.labels(self.name, "ended").inc(ended)
        KICKS.labels(self.name, "nobody").inc(len(masks) - ended)
        UP.labels(self.name).set(1)
        if self._failures:
            seconds = round(self._clock() - self._away_since)
            log.info("doveadm back", doveadm=self.name, seconds=seconds)
        self._failures = 0
        log.info("sessions ended", doveadm=self.name, users=shown(masks), of=ended)

    def _count(self) -> None:
        WAITING.labels(self.name).set(len(self._waiting))


def pause(failures: int) -> float:
    """Return the seconds to wait after this number of failures."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures - 1, 20))


def shown(masks: Sequence[str]) -> list[str]:
    """Return masks as a line of the log shows them."""
    more = [f"and {len(masks) - SHOWN} more"] if len(masks) > SHOWN else []
    return [*masks[:SHOWN], *more]
