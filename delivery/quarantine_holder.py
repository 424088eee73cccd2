"""Holder of the messages with a virus: the folder, and the release by the usual way."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from structlog.typing import FilteringBoundLogger

from delivery.answers import RecipientAnswers
from delivery.arrived import ArrivedMessage
from delivery.counts import QUARANTINE_ACTIONS, QUARANTINE_BYTES, QUARANTINE_MESSAGES, SPOOLED
from delivery.journal import journal_note
from delivery.marks import virus_field
from delivery.message_delivery import DeliveryRules, MessageDelivery
from delivery.protocols.envelope import LmtpEnvelope
from delivery.quarantine.folder import HeldFolder, TakenMessage, read_clock
from delivery.reasons import INTERNAL, OUT_OF_TIME
from gatepost.journal.sender import JournalSender
from gatepost.printable import escape
from gatepost.quarantine.held import HeldKind, HeldMail, HeldReach
from gatepost.quarantine.holder import (
    HeldByOthersError,
    HeldContent,
    HeldPage,
    HeldRelease,
    HolderError,
    NotHeldError,
)
from gatepost.spool import Spool

T = TypeVar("T")

LOOK: Final = 600.0
"""Seconds between two looks for messages that are kept no longer."""
GONE: Final = "It is not in quarantine, or somebody is releasing or deleting it right now."

UNREADABLE: Final = "It cannot be released, because its file cannot be read."


class VirusQuarantine:
    """`gatepost.quarantine.holder.Holder` of a folder, by the `rules()` in use."""

    def __init__(
        self,
        folder: HeldFolder,
        rules: Callable[[], DeliveryRules],
        log: FilteringBoundLogger,
        journal: JournalSender | None = None,
    ) -> None:
        self._folder = folder
        self._rules = rules
        self._log = log
        self._journal = journal if journal is not None and journal.is_wanted else None

    async def latest(self, reach: HeldReach, limit: int) -> HeldPage:  # see Holder
        """Return the latest messages."""
        return await _on_disk(asyncio.to_thread(self._folder.latest, reach, limit))

    async def read(self, mail_id: str, reach: HeldReach, most: int) -> HeldContent:  # see Holder
        """Return a message with its first `most` octets."""
        found = await _on_disk(asyncio.to_thread(self._folder.read, mail_id, most))
        seen = None if found is None else reach.narrowed(found[0])
        if found is None or seen is None:
            raise NotHeldError(GONE)
        return HeldContent(seen, found[1], found[2])

    async def delete(self, mail_id: str, reach: HeldReach, by: str) -> HeldMail:  # see Holder
        """Remove a message for good, or a file that cannot be read."""
        if (broken := await self._unreadable(mail_id, reach)) is not None:
            await _on_disk(asyncio.to_thread(self._folder.discard, mail_id))
            self._note("deleted", broken, by)
            return broken
        taken, seen = await self._take(mail_id, reach)
        if seen.has_others:
            taken.put_back()
            raise HeldByOthersError("It has recipients in other domains: it cannot be deleted.")
        try:
            await _on_disk(asyncio.to_thread(taken.drop))
        except HolderError:
            with contextlib.suppress(OSError):
                taken.put_back()
            raise
        self._note("deleted", taken.mail, by)
        return seen

    async def release(self, mail_id: str, reach: HeldReach, by: str) -> HeldRelease:  # see Holder
        """Deliver a message to its recipients within reach, without another scan for viruses."""
        if await self._unreadable(mail_id, reach) is not None:
            raise HolderError(UNREADABLE)
        taken, seen = await self._take(mail_id, reach)
        try:
            release, in_doubt = await self._deliver(taken, seen.recipients, by)
            done = set(release.released)
            left = tuple(one for one in taken.mail.recipients if one not in done)
            if not left:
                await asyncio.to_thread(taken.drop)
            elif done:
                await asyncio.to_thread(taken.keep_for, left, in_doubt=in_doubt)
            else:
                taken.put_back(in_doubt=in_doubt)
        except BaseException as error:
            # also when the daemon stops: the message stays, whoever has got it
            with contextlib.suppress(OSError):
                taken.put_back(in_doubt=True)
            if isinstance(error, OSError):
                raise _failed(error) from None
            raise
        self._note("released", taken.mail, by, recipients=len(done), kept=len(left))
        return release

    async def keep_house(self) -> None:
        """Delete messages whose time is over, and count the others, for ever."""
        while True:
            try:
                await self._expire()
            except OSError as error:
                self._log.warning("the quarantine cannot be read", error=str(error))
            await asyncio.sleep(LOOK)

    async def _expire(self) -> None:
        keep = self._rules().settings.quarantine.keep
        if keep:
            for mail_id in await asyncio.to_thread(self._folder.expired, read_clock() - keep):
                taken = await asyncio.to_thread(self._folder.take, mail_id)
                if taken is not None:
                    await asyncio.to_thread(taken.drop)
                    self._note("expired", taken.mail, "")
        used = await asyncio.to_thread(self._folder.use)
        QUARANTINE_MESSAGES.set(used.messages)
        QUARANTINE_BYTES.set(used.octets)

    async def _unreadable(self, mail_id: str, reach: HeldReach) -> HeldMail | None:
        """Return a mail of which only the file is known; None for others."""
        found = await _on_disk(asyncio.to_thread(self._folder.read, mail_id, 0))
        if found is None or found[0].kind is not HeldKind.UNREADABLE:
            return None
        return reach.narrowed(found[0])

    async def _take(self, mail_id: str, reach: HeldReach) -> tuple[TakenMessage, HeldMail]:
        taken = await _on_disk(asyncio.to_thread(self._folder.take, mail_id))
        if taken is None:
            raise NotHeldError(GONE)
        seen = reach.narrowed(taken.mail)
        if seen is None:
            taken.put_back()
            raise NotHeldError(GONE)
        return taken, seen

    async def _deliver(
        self, taken: TakenMessage, recipients: tuple[str, ...], by: str
    ) -> tuple[HeldRelease, bool]:
        """Return the outcome, and whether some recipient may have it without our knowledge."""
        rules, mail = self._rules(), taken.mail
        settings = rules.settings
        spool = Spool(settings.spool_folder, settings.memory_size, SPOOLED.add)
        message = ArrivedMessage(spool, settings.max_size)
        try:
            await asyncio.to_thread(_load, taken, message)
            envelope = LmtpEnvelope(
                mail.sender,
                recipients,
                "8BITMIME" if taken.envelope.body == "8BITMIME" else "",
                taken.envelope.smtputf8,
            )
            note = None
            if self._journal is not None:
                note = journal_note(self._journal, mail.queue_id, mail.sender, mail.size)
            log = self._log.bind(queue_id=mail.queue_id, released_by=by)
            answers = RecipientAnswers(recipients, log, time.monotonic, note)
            head = virus_field(f"Infected ({mail.reason}), released by {escape(by)[:200]}")
            reason = INTERNAL
            try:
                async with asyncio.timeout(settings.budget):
                    delivery = MessageDelivery(
                        rules._replace(virus=None), message, envelope, answers, head
                    )
                    await delivery.run()
            except TimeoutError:
                reason = OUT_OF_TIME
            except Exception:  # a mistake of ours must not lose mail
                self._log.exception("a message could not be released", id=mail.id)
            missing = answers.missing
            answers.refuse(missing, reason)
        finally:
            message.close()
        replies = list(zip(recipients, answers.replies, strict=True))
        return HeldRelease(
            tuple(one for one, reply in replies if reply is not None and reply.is_success),
            {one: str(reply) for one, reply in replies if reply is None or not reply.is_success},
        ), bool(missing)

    def _note(self, action: str, mail: HeldMail, by: str, **facts: object) -> None:
        QUARANTINE_ACTIONS.labels(action).inc()
        self._log.info(
            "quarantine",
            action=action,
            by=by,
            id=mail.id,
            queue_id=mail.queue_id,
            message_id=mail.message_id,
            sender=mail.sender,
            virus=mail.reason,
            **facts,
        )


def _load(taken: TakenMessage, message: ArrivedMessage) -> None:
    for part in taken.parts():
        message.write(part)
    message.finish()


async def _on_disk(work: Awaitable[T]) -> T:
    """Return the result of work on the disk; raises `HolderError`."""
    try:
        return await work
    except OSError as error:
        raise _failed(error) from None


def _failed(error: OSError) -> HolderError:
    return HolderError(f"The quarantine cannot be read or written: {error.strerror or error}.")
