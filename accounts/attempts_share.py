"""Shared count of wrong passwords, for processes on one PostgreSQL.

Each process tells the others of its wrong passwords with NOTIFY. A wrong password has cost a slow
hash before, so there are few. While the database is away, each process counts for itself.

Everybody who may log in to the database may listen and notify. So a message has an authentication
code of a secret that the processes share, and passwords only as fingerprints with a key made from
it. Without a secret, each process has its own key: then a wrong password that is repeated at
another process counts again.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final, Protocol, runtime_checkable

from accounts.attempts import PRINT, Attempts, WrongPassword
from accounts.store.errors import DatastoreUnavailable
from accounts.store.settings import DatabaseSettings
from gatepost.logs import get_logger

CHANNEL: Final = "gatepost_attempts"
MAX_PAYLOAD: Final = 7_900
"""Octets of a message; PostgreSQL takes fewer than 8,000."""
MAX_WAITING: Final = 1_000
"""Wrong passwords that wait to be told; the oldest are dropped."""
PAUSE: Final = 0.05
"""Seconds between two messages, each of which tells all that waits, if it has the room."""
PAUSE_AWAY: Final = 2.0
"""Seconds before a database that is away is asked again."""
MAX_SENDERS: Final = 100
"""Processes whose last message is remembered, so that nobody can repeat it."""

log = get_logger("accounts")


@runtime_checkable
class NotificationChannel(Protocol):
    """Interface of the notifications of a database. Both methods raise `DatastoreUnavailable`."""

    async def listen(self, channel: str, heard: Callable[[str], None]) -> None:
        """Call `heard` with each notification, also after the connection was made again."""

    async def notify(self, channel: str, payload: str) -> None:
        """Send a notification."""


def read_shared_secret(settings: DatabaseSettings) -> bytes:
    """Return what all processes on a database know, and nobody else; empty if there is nothing.

    It is the key that encrypts secrets, or else the password of the database.
    """
    for file in (settings.key_file, settings.password_file):
        if file is not None:
            try:
                words = file.read_text().split()
            except (OSError, ValueError):
                continue
            if words:
                return hashlib.blake2b(words[0].encode(), person=b"attempts").digest()
    return b""


class AttemptsShare:
    """Messages of one process. `attempts` returns those in use, `clock` the time in seconds.

    `secret` is that of `read_shared_secret`; a reload may replace it.
    """

    def __init__(
        self,
        channel: NotificationChannel,
        attempts: Callable[[], Attempts],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.secret = b""
        self._channel = channel
        self._attempts = attempts
        self._clock = clock
        self._own_key = secrets.token_bytes(32)
        self._name = secrets.token_hex(8)
        self._sent = 0
        self._last: OrderedDict[str, int] = OrderedDict()
        self._waiting: deque[WrongPassword] = deque(maxlen=MAX_WAITING)
        self._wake = asyncio.Event()

    @property
    def key(self) -> bytes:
        """The key of `Attempts`."""
        return self._keyed(b"fingerprints") if self.secret else self._own_key

    def add(self, wrong: WrongPassword) -> None:
        """Take a wrong password, to tell the other processes."""
        self._waiting.append(wrong)
        self._wake.set()

    async def run(self) -> None:
        """Listen, and tell all that waits, forever."""
        is_listening = False
        while True:
            try:
                if not is_listening:
                    await self._channel.listen(CHANNEL, self.hear)
                    is_listening = True
                    log.info(
                        "wrong passwords are counted together", authenticated=bool(self.secret)
                    )
                await self._wake.wait()
                self._wake.clear()
                while self._waiting:
                    await self._channel.notify(CHANNEL, self.message())
                    await asyncio.sleep(PAUSE)
            except DatastoreUnavailable:
                self._waiting.clear()  # later they would be old
                await asyncio.sleep(PAUSE_AWAY)
            except Exception:  # a bug must not stop logins
                log.exception("cannot share wrong passwords")
                await asyncio.sleep(PAUSE_AWAY)

    def message(self) -> str:
        """Return the next message, with as much of what waits as it has room for."""
        self._sent += 1
        items: list[str] = []
        size = 200  # the code, the name and the number
        while self._waiting:
            item = json.dumps(_written(self._waiting[0]))
            if size + len(item) > MAX_PAYLOAD:
                break
            self._waiting.popleft()
            items.append(item)
            size += len(item) + 1
        text = f'["{self._name}",{self._sent},[{",".join(items)}]]'
        return f"{self._code(text)} {text}"

    def hear(self, payload: str) -> None:
        """Count the wrong passwords of a message; one that is not from a process of ours is
        ignored."""
        code, _, text = payload.partition(" ")
        if len(payload) > MAX_PAYLOAD or not hmac.compare_digest(
            code.encode("utf-8", "replace"), self._code(text).encode()
        ):
            return
        try:
            name, number, items = json.loads(text)
            wrongs = [_read(*item) for item in items]
            is_new = name != self._name and number > self._last.get(name, 0)
        except (ValueError, TypeError, RecursionError):
            return
        if not is_new:
            return
        self._last[name] = number
        self._last.move_to_end(name)
        if len(self._last) > MAX_SENDERS:
            self._last.popitem(last=False)
        attempts, now = self._attempts(), self._clock()
        for wrong in wrongs:
            attempts.take(wrong, now)

    def _code(self, text: str) -> str:
        octets = text.encode("utf-8", "replace")
        return hashlib.blake2b(octets, key=self._keyed(b"messages"), digest_size=16).hexdigest()

    def _keyed(self, use: bytes) -> bytes:
        return hashlib.blake2b(self.secret, digest_size=32, person=use).digest()


def _written(wrong: WrongPassword) -> list[object]:
    return [wrong.account, wrong.network, wrong.is_limited, wrong.is_known, wrong.mark.hex()]


def _read(
    account: object, network: object, is_limited: object, is_known: object, mark: object
) -> WrongPassword:
    octets = bytes.fromhex(str(mark))
    if not (isinstance(account, str) and isinstance(network, str) and len(octets) == PRINT):
        raise ValueError("this is no wrong password")
    return WrongPassword(account, network, bool(is_limited), bool(is_known), octets)
