"""Removal of the mail of mailboxes that were removed, when its time is over.

Any number of processes may do this with one database: each home is claimed first. Everything can be
repeated: a home that is gone already is no error.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

from accounts.directory import deleted_mailboxes
from accounts.directory.deleted_mailboxes import LEASE, DeletedMailbox
from accounts.dovecot import doveadm
from accounts.dovecot.doveadm import DoveadmError
from accounts.dovecot_settings import DovecotSettings
from accounts.store.database import Database
from accounts.store.errors import DatastoreError
from accounts.store.transaction import Actor
from accounts.stored_mail import StoredMail
from gatepost.logs import get_logger
from gatepost.metrics import Counter

INTERVAL: Final = 60.0
"""Seconds between two looks of the service."""
TIMEOUT: Final = 600.0
"""Seconds for the removal of one home at one server; a million files take some minutes. It is less
than `LEASE`, after which another process may begin."""
AT_ONCE: Final = 500
"""Maximum number of homes that are removed in one look."""
MAX_FAILURES: Final = 3
"""Failures that end a look."""
SIZES: Final = 50
"""Maximum number of sizes that are asked for in one look."""
FRESH: Final = 3600
"""Seconds after the removal of a mailbox in which its size is asked for."""
DOMAIN: Final = "deleted.invalid"
"""The domain of the names by which doveadm opens deleted mailboxes (RFC 6761 section 6.4: there is
no such domain)."""
SERVICE: Final = Actor("purge@accounts")

PURGED: Final = Counter(
    "gatepost_accounts_purged_mailboxes_total",
    "Deleted mailboxes whose mail was removed, by result: removed, failed (and tried again)",
    ["result"],
)

log = get_logger("accounts")

Remove = Callable[[str, str, str, float], Awaitable[None]]
Measure = Callable[[str, str, str], Awaitable[StoredMail | None]]


class PurgeResult(NamedTuple):
    """A look: the mailboxes whose mail was removed, and those where it was not, with the reason."""

    removed: Sequence[DeletedMailbox]
    failed: Sequence[tuple[DeletedMailbox, str]]


class Purge:
    """The removal. `keep` returns the seconds for which mail is kept."""

    def __init__(
        self,
        database: Database,
        dovecot: Callable[[], DovecotSettings],
        keep: Callable[[], float],
        *,
        actor: Actor = SERVICE,
        remove: Remove = doveadm.remove_home,
        measure: Measure = doveadm.usage,
        clock: Callable[[], float] = time.time,
    ) -> None:
        assert LEASE > TIMEOUT  # noqa: S101
        self._database = database
        self._dovecot = dovecot
        self._keep = keep
        self._actor = actor
        self._remove = remove
        self._measure = measure
        self._clock = clock

    async def run(self) -> None:
        """Look forever."""
        while True:
            try:
                await self.measure()
                await self.look()
            except DatastoreError as error:
                log.warning("deleted mailboxes not purged", error=str(error))
            except Exception:  # a bug must not keep mail for ever
                log.exception("internal error in the removal of mail")
            await asyncio.sleep(INTERVAL)

    async def look(self, *, number: int | None = None) -> PurgeResult:
        """Remove the mail of mailboxes whose time is over; raises `DatastoreError`.

        `number`: only that of the mailbox with this id. After `MAX_FAILURES`, the rest waits for
        the next look: a server may be away.
        """
        removed: list[DeletedMailbox] = []
        failed: list[tuple[DeletedMailbox, str]] = []
        while len(removed) + len(failed) < AT_ONCE and len(failed) < MAX_FAILURES:
            now, keep = int(self._clock()), self._keep()
            found = await self._database.record(
                lambda c: deleted_mailboxes.claim(c, keep, now, number=number)  # noqa: B023
            )
            if found is None:
                break
            try:
                await self._remove_everywhere(found)
            except DoveadmError as error:
                log.warning("mail not removed", user=found.address, error=str(error))
                PURGED.labels("failed").inc()
                failed.append((found, str(error)))
                continue
            await self._database.write(
                self._actor,
                lambda write: deleted_mailboxes.forget(write, found),  # noqa: B023
            )
            log.info("mail removed", user=found.address, home=found.home, removed=found.removed)
            PURGED.labels("removed").inc()
            removed.append(found)
        return PurgeResult(removed, failed)

    async def measure(self) -> None:
        """Note the sizes of mailboxes that were removed a short time ago."""
        since = int(self._clock()) - FRESH
        found = await self._database.read(lambda c: deleted_mailboxes.without_size(c, since, SIZES))
        for one in found:
            try:
                octets = await self._size(one)
            except DoveadmError:
                return  # the size is for people only, and the next look asks again
            if octets is not None:
                await self._database.record(
                    lambda c: deleted_mailboxes.note_size(c, one, octets)  # noqa: B023
                )

    async def _size(self, one: DeletedMailbox) -> int | None:
        settings = self._dovecot()
        key = _key(settings)
        sizes = [
            held.octets
            for url in settings.doveadm_url
            if (held := await self._measure(url, key, name_of(one.id))) and held.octets is not None
        ]
        return max(sizes, default=None)

    async def _remove_everywhere(self, one: DeletedMailbox) -> None:
        """Remove a home at all servers; raises `DoveadmError` if one fails.

        Each may have some of the mail: nothing here knows where a mailbox has been.
        """
        settings = self._dovecot()
        if not settings.doveadm_url:
            raise DoveadmError("[accounts.dovecot] names no doveadm_url")
        key = _key(settings)
        done = await asyncio.gather(
            *(self._remove(url, key, one.home, TIMEOUT) for url in settings.doveadm_url),
            return_exceptions=True,
        )
        for url, result in zip(settings.doveadm_url, done, strict=True):
            if isinstance(result, DoveadmError):
                raise DoveadmError(f"{url}: {result}")
            if result is not None:
                raise result


def name_of(number: int) -> str:
    """Return the name by which doveadm opens the deleted mailbox with an id."""
    return f"{number}@{DOMAIN}"


def number_of(name: str) -> int | None:
    """Return the id in the name of a deleted mailbox; None for any other name."""
    number, at, domain = name.partition("@")
    is_name = at and domain == DOMAIN and number.isascii() and number.isdecimal()
    return int(number) if is_name and len(number) <= 18 else None


def _key(settings: DovecotSettings) -> str:
    file = settings.doveadm_key_file
    try:
        return "" if file is None else file.read_text()
    except (OSError, ValueError) as error:
        raise DoveadmError(f"cannot read the key: {error}") from None
