"""Holder of the mail on hold in the queue of Postfix, by the commands of Postfix.

``postqueue -j`` lists, ``postcat`` shows, and ``postsuper``, which only root may use, releases and
deletes. The queue is never touched otherwise.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import json
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from structlog.typing import FilteringBoundLogger

from gatepost.quarantine.facts import MAX_HEAD, first_value, header_of
from gatepost.quarantine.held import MAX_RECIPIENTS, HeldKind, HeldMail, HeldReach
from gatepost.quarantine.holder import (
    HeldByOthersError,
    HeldContent,
    HeldPage,
    HeldRelease,
    HolderError,
    NotHeldError,
)

PATH: Final = "/usr/sbin:/usr/bin:/sbin:/bin"
TIMEOUT: Final = 30.0
"""Seconds for a command: a queue may have many messages."""
MAX_LINE: Final = 8 << 20
"""Octets of a message in the list of the queue: each recipient is in it."""
MAX_LOOKED_INTO: Final = 50
"""Messages of a list whose header is read, with a command for each."""
GONE: Final = "It is not on hold: somebody has released or deleted it."

# not a word such as ALL, which postsuper takes for every message, or an option
_QUEUE_ID: Final = re.compile(r"[0-9A-Za-z]{6,40}\Z")
_DONE: Final = re.compile(r": (?:Released from hold|Deleted): 1 message\b")


class HoldQueue:
    """`gatepost.quarantine.holder.Holder` of the Postfix with a configuration folder."""

    def __init__(self, folder: Path, log: FilteringBoundLogger) -> None:
        self._folder = folder
        self._log = log
        self._acting = asyncio.Lock()

    async def latest(self, reach: HeldReach, limit: int) -> HeldPage:  # see Holder
        """Return the latest messages on hold."""
        newest: list[tuple[float, str, HeldMail]] = []
        count = 0
        async for mail in self._on_hold():
            seen = reach.narrowed(mail)
            if seen is None:
                continue
            count += 1
            entry = seen.held_at, seen.id, seen.shortened()
            if len(newest) < limit:
                heapq.heappush(newest, entry)
            else:
                heapq.heappushpop(newest, entry)
        mails = [mail for _, _, mail in sorted(newest, reverse=True)]
        for number, mail in enumerate(mails[:MAX_LOOKED_INTO]):
            # one that is gone meanwhile is told of when somebody opens it
            with contextlib.suppress(HolderError):
                mails[number] = await self._with_facts(mail)
        return HeldPage(tuple(mails), has_more=count > len(mails))

    async def read(self, mail_id: str, reach: HeldReach, most: int) -> HeldContent:  # see Holder
        """Return a message with its first `most` octets."""
        mail = await self._find(mail_id, reach)
        octets = await self._content(mail_id, max(most, MAX_HEAD) + 1)
        mail = _described(mail, octets)
        return HeldContent(mail, octets[:most], len(octets) <= most)

    async def release(self, mail_id: str, reach: HeldReach, by: str) -> HeldRelease:  # see Holder
        """Move a message out of hold; Postfix delivers it to all of its recipients."""
        async with self._acting:
            mail = await self._find(mail_id, reach)
            if mail.has_others:
                raise HeldByOthersError(
                    "It has recipients in other domains, to whom Postfix would deliver it, too: "
                    "only a global administrator releases it."
                )
            await self._super("-H", mail_id)
        self._note("released", mail, by)
        # the queue manager would look only later; it does anyway
        with contextlib.suppress(HolderError):
            await self._run("postqueue", "-i", mail_id)
        return HeldRelease(mail.recipients, {})

    async def delete(self, mail_id: str, reach: HeldReach, by: str) -> HeldMail:  # see Holder
        """Delete a message for good."""
        async with self._acting:
            mail = await self._find(mail_id, reach)
            if mail.has_others:
                raise HeldByOthersError("It has recipients in other domains: it is not deleted.")
            mail = await self._with_facts(mail)
            await self._super("-d", mail_id)
        self._note("deleted", mail, by)
        return mail

    async def _find(self, mail_id: str, reach: HeldReach) -> HeldMail:
        if _QUEUE_ID.match(mail_id):
            async for mail in self._on_hold():
                if mail.id == mail_id:
                    seen = reach.narrowed(mail)
                    if seen is not None:
                        return seen
        raise NotHeldError(GONE)

    async def _on_hold(self) -> AsyncIterator[HeldMail]:
        """Yield the messages on hold; raises `HolderError`."""
        async with self._started("postqueue", "-j") as process:
            assert process.stdout is not None  # noqa: S101
            try:
                while line := await process.stdout.readline():
                    # others, of which there may be many, are not parsed
                    if b'"hold"' in line and (mail := _read_entry(line)) is not None:
                        yield mail
            except ValueError:
                raise HolderError("The list of the queue has a line that is too long.") from None
            await _end(process, "postqueue")

    async def _content(self, mail_id: str, most: int) -> bytes:
        """Return the first octets of a message, with CRLF."""
        async with self._started("postcat", "-q", "-b", "-h", mail_id) as process:
            assert process.stdout is not None  # noqa: S101
            octets = bytearray()
            while len(octets) < most and (part := await process.stdout.read(65536)):
                octets += part
            if len(octets) >= most:
                process.kill()
            else:
                await _end(process, "postcat")
        return bytes(octets[:most]).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")

    async def _with_facts(self, mail: HeldMail) -> HeldMail:
        return _described(mail, await self._content(mail.id, MAX_HEAD))

    async def _super(self, action: str, mail_id: str) -> None:
        """Release or delete; raises `NotHeldError` if somebody else was faster."""
        said = await self._run("postsuper", action, mail_id, "hold")
        if not _DONE.search(said):
            raise NotHeldError(GONE)

    async def _run(self, command: str, *arguments: str) -> str:
        """Return what a command writes to standard error; raises `HolderError`."""
        async with self._started(command, *arguments) as process:
            _, errors = await process.communicate()
        text = errors.decode("utf-8", "replace")
        if process.returncode != 0:
            raise HolderError(f"{command}: {' '.join(text.split())[:300]}")
        return text

    @contextlib.asynccontextmanager
    async def _started(
        self, command: str, *arguments: str
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        try:
            process = await asyncio.create_subprocess_exec(
                command,
                *("-c", str(self._folder)),
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=MAX_LINE,
                env={"PATH": PATH, "LC_ALL": "C.UTF-8"},
            )
        except OSError as error:
            raise HolderError(f"{command}: {error.strerror or error}") from None
        try:
            async with asyncio.timeout(TIMEOUT):
                yield process
        except TimeoutError:
            raise HolderError(f"{command} takes longer than {TIMEOUT:g} s.") from None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    def _note(self, action: str, mail: HeldMail, by: str) -> None:
        self._log.info(
            "quarantine",
            action=action,
            by=by,
            queue_id=mail.id,
            sender=mail.sender,
            recipients=len(mail.recipients),
        )


async def _end(process: asyncio.subprocess.Process, command: str) -> None:
    """Wait for the end of a command; raises `HolderError` if it failed."""
    assert process.stderr is not None  # noqa: S101
    errors = await process.stderr.read(4000)
    if await process.wait() != 0:
        text = " ".join(errors.decode("utf-8", "replace").split())
        if "No such file" in text:
            raise NotHeldError(GONE)
        raise HolderError(f"{command}: {text[:300]}")


def _read_entry(line: bytes) -> HeldMail | None:
    """Return a message of ``postqueue -j``; None if it is not on hold."""
    try:
        given: dict[str, Any] = json.loads(line)
        if given["queue_name"] != "hold" or not _QUEUE_ID.match(given["queue_id"]):
            return None
        sender, recipients = given["sender"], given["recipients"]
        return HeldMail(
            id=given["queue_id"],
            kind=HeldKind.HOLD,
            held_at=float(given["arrival_time"]),
            # postqueue(1) shows the null sender by this name
            sender="" if sender == "MAILER-DAEMON" else str(sender),
            recipients=tuple(str(one["address"]) for one in recipients[:MAX_RECIPIENTS]),
            size=int(given["message_size"]),
            queue_id=given["queue_id"],
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _described(mail: HeldMail, octets: bytes) -> HeldMail:
    fields: Sequence[Any] = header_of(octets)
    return replace(
        mail,
        message_id=first_value(fields, b"message-id"),
        author=first_value(fields, b"from"),
        subject=first_value(fields, b"subject"),
    )
