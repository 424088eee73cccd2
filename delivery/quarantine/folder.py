"""Folder of messages in quarantine: one file for each, which is whole or not there.

The first line of a file has the facts as JSON; the rest are the octets of the message. The name is
the id with one of these ends:

| end | state |
|---|---|
| ``.held`` | in quarantine |
| ``.doubt`` | the same, but a release was interrupted: some recipients may have it |
| ``.taken`` | somebody releases or deletes it now |
| ``.new`` | being written; nobody has been told that it is there |

A file is taken by its new name: of two who want the same, one gets it. A file that cannot be read
is listed, and stays until somebody deletes it. The functions wait for the disk; they raise
`OSError`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final

from gatepost.printable import escape
from gatepost.quarantine.held import HeldKind, HeldMail, HeldReach, read_held
from gatepost.quarantine.holder import HeldPage
from gatepost.quarantine.wire import is_name
from gatepost.shortage import is_shortage

HELD: Final = ".held"
DOUBT: Final = ".doubt"
TAKEN: Final = ".taken"
NEW: Final = ".new"
MAX_LINE: Final = 16 << 20
"""Octets of the first line."""
MAX_FILES: Final = 10_000
"""Messages of a folder."""
NOTE: Final = "A release was interrupted: some recipients may have it already."
NO_FACTS: Final = "its first line does not describe a mail"
CHUNK: Final = 1 << 20


class FolderFullError(Exception):
    """There is no room for another message."""


@dataclass(frozen=True, slots=True)
class HeldEnvelope:
    """Parameters of MAIL, which a release needs besides the facts."""

    body: str
    smtputf8: bool


@dataclass(frozen=True, slots=True)
class FolderUse:
    """Messages in a folder, and their octets."""

    messages: int
    octets: int


class HeldFolder:
    """The folder at `path`, which is made if it is not there. One process at a time uses it."""

    def __init__(self, path: Path, max_size: int) -> None:
        self.path = path
        self.max_size = max_size

    def prepare(self) -> None:
        """Make the folder, and end what a process before has left unfinished."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in sorted(os.listdir(self.path)):
            base, end = os.path.splitext(name)
            if end == NEW:
                self._unlink(name)
            elif end == TAKEN:
                os.rename(self.path / name, self.path / (base + DOUBT))
        self._sync()

    def use(self) -> FolderUse:
        """Return the size of the folder."""
        sizes = [entry.stat().st_size for entry in self._entries()]
        return FolderUse(len(sizes), sum(sizes))

    def add(self, mail: HeldMail, envelope: HeldEnvelope, parts: Iterable[bytes]) -> HeldMail:
        """Keep a message; on return it survives a crash. Raises `FolderFullError`."""
        used = self.use()
        if used.messages >= MAX_FILES or used.octets + mail.size > self.max_size:
            raise FolderFullError(
                f"the quarantine has {used.messages} messages of {used.octets} octets"
            )
        # ids in the order of time, and no two alike
        mail = replace(mail, id=f"{int(mail.held_at * 1000):012x}{secrets.token_hex(4)}")
        self._write(mail, envelope, parts, HELD)
        return mail

    def latest(self, reach: HeldReach, limit: int) -> HeldPage:
        """Return the latest messages within reach."""
        found: list[HeldMail] = []
        for name in sorted((entry.name for entry in self._entries()), reverse=True):
            with contextlib.suppress(FileNotFoundError):
                seen = reach.narrowed(self._facts(name))
                if seen is not None:
                    if len(found) == limit:
                        return HeldPage(tuple(found), has_more=True)
                    found.append(seen.shortened())
        return HeldPage(tuple(found), has_more=False)

    def read(self, mail_id: str, most: int) -> tuple[HeldMail, bytes, bool] | None:
        """Return a message, its first octets, and whether these are all; None without it.

        Of a file that cannot be read these are the octets of the file, or none.
        """
        for end in (HELD, DOUBT):
            name = mail_id + end
            with contextlib.suppress(FileNotFoundError):
                mail = self._facts(name)
                if mail.kind is HeldKind.UNREADABLE:
                    return mail, *self._octets(name, most)
                with self._open(name) as file:
                    file.readline(MAX_LINE)
                    octets = file.read(most)
                    return mail, octets, not file.read(1)
        return None

    def take(self, mail_id: str) -> TakenMessage | None:
        """Take a message for a release or to delete it.

        Returns None if it is gone, somebody has it, or its file has no facts.
        """
        for end in (HELD, DOUBT):
            try:
                os.rename(self.path / (mail_id + end), self.path / (mail_id + TAKEN))
            except FileNotFoundError:
                continue
            try:
                file = self._open(mail_id + TAKEN)
                if (found := _head(file, mail_id)) is not None:
                    return TakenMessage(self, end, file, *found)
                file.close()
            except OSError:
                # such as too many open files: nobody would find it until the next start
                self._rename(mail_id, end)
                raise
            self._rename(mail_id, end)
            return None
        return None

    def discard(self, mail_id: str) -> None:
        """Remove a file that cannot be read."""
        for end in (HELD, DOUBT):
            self._unlink(mail_id + end)
        self._sync()

    def expired(self, before: float) -> list[str]:
        """Return the ids of messages that came before a time."""
        first = f"{int(before * 1000):012x}"
        return [entry.name.partition(".")[0] for entry in self._entries() if entry.name < first]

    # for TakenMessage

    def put_back(self, mail_id: str, end: str) -> None:
        """Give a taken message back."""
        self._rename(mail_id, end)
        self._sync()

    def drop(self, mail_id: str) -> None:
        """Remove a taken message."""
        self._unlink(mail_id + TAKEN)
        self._sync()

    def keep_for(
        self, mail: HeldMail, envelope: HeldEnvelope, parts: Iterable[bytes], end: str
    ) -> None:
        """Replace a taken message by one to other recipients, and give that back."""
        # it stays taken until then: who took it now would have his file removed
        self._write(mail, envelope, parts, TAKEN)
        self.put_back(mail.id, end)

    def _write(
        self, mail: HeldMail, envelope: HeldEnvelope, parts: Iterable[bytes], end: str
    ) -> None:
        facts = mail.as_json() | {"body": envelope.body, "smtputf8": envelope.smtputf8}
        name = self.path / (mail.id + NEW)
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(descriptor, "wb") as file:
                file.write(json.dumps(facts).encode() + b"\n")
                for part in parts:
                    file.write(part)
                file.flush()
                os.fsync(file.fileno())
            os.rename(name, self.path / (mail.id + end))
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise
        self._sync()

    def _entries(self) -> Iterator[os.DirEntry[str]]:
        with os.scandir(self.path) as scan:
            for entry in scan:
                if entry.name.endswith((HELD, DOUBT)) and entry.is_file(follow_symlinks=False):
                    yield entry

    def _facts(self, name: str) -> HeldMail:
        """Return the facts of a file, also of one that cannot be read."""
        mail_id, end = os.path.splitext(name)
        try:
            with self._open(name) as file:
                found = _head(file, mail_id)
        except FileNotFoundError:
            raise
        except OSError as error:
            # such as too many open files, which is not about this file
            if is_shortage(error):
                raise
            return self._unreadable(name, error.strerror or str(error))
        return self._unreadable(name, NO_FACTS) if found is None else _noted(found[0], end)

    def _unreadable(self, name: str, problem: str) -> HeldMail:
        status = os.stat(self.path / name, follow_symlinks=False)
        mail_id, _ = os.path.splitext(name)
        if not is_name(mail_id):
            # it must not be the id of another file
            mail_id = "unnamed-" + hashlib.sha256(os.fsencode(name)).hexdigest()[:20]
        return HeldMail(
            id=mail_id,
            kind=HeldKind.UNREADABLE,
            held_at=max(0, int(status.st_mtime)),
            sender="",
            recipients=(),
            size=status.st_size,
            note=f"The file {escape(name)} cannot be read: {problem}.",
        )

    def _octets(self, name: str, most: int) -> tuple[bytes, bool]:
        """Return the first octets of a file, and whether these are all; none if they cannot be
        read."""
        try:
            with self._open(name) as file:
                return file.read(most), not file.read(1)
        except OSError:
            return b"", True

    def _open(self, name: str) -> BinaryIO:
        return open(os.open(self.path / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")

    def _rename(self, mail_id: str, end: str) -> None:
        os.rename(self.path / (mail_id + TAKEN), self.path / (mail_id + end))

    def _unlink(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path / name)

    def _sync(self) -> None:
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class TakenMessage:
    """A message that this process has taken. End with one of `put_back`, `drop`, `keep_for`."""

    def __init__(
        self,
        folder: HeldFolder,
        end: str,
        file: BinaryIO,
        mail: HeldMail,
        envelope: HeldEnvelope,
    ) -> None:
        self._folder = folder
        self._end = end
        self._file = file
        self._start = file.tell()
        self.mail = mail
        self.envelope = envelope

    def parts(self) -> Iterator[bytes]:
        """Yield the octets of the message."""
        self._file.seek(self._start)
        while part := self._file.read(CHUNK):
            yield part

    def put_back(self, *, in_doubt: bool = False) -> None:
        """Give it back; `in_doubt`: some recipients may have it."""
        self._file.close()
        self._folder.put_back(self.mail.id, DOUBT if in_doubt else self._end)

    def drop(self) -> None:
        """Remove it for good."""
        self._file.close()
        self._folder.drop(self.mail.id)

    def keep_for(self, recipients: tuple[str, ...], *, in_doubt: bool = False) -> None:
        """Keep it for these recipients alone; `in_doubt`: some of them may have it."""
        mail = replace(self.mail, recipients=recipients)
        end = DOUBT if in_doubt else self._end
        self._folder.keep_for(mail, self.envelope, self.parts(), end)
        self._file.close()


def read_clock() -> float:
    """Return the time in seconds since the epoch."""
    return time.time()


def _head(file: BinaryIO, mail_id: str) -> tuple[HeldMail, HeldEnvelope] | None:
    """Return the facts at the beginning of a file; None if they cannot be read."""
    try:
        given = json.loads(file.readline(MAX_LINE))
        mail = replace(read_held(given), id=mail_id)
    except (ValueError, RecursionError):
        return None
    if not mail.recipients or mail.kind is not HeldKind.VIRUS:
        return None  # it was damaged: a release would deliver it to nobody, and remove it
    return mail, HeldEnvelope(str(given.get("body", "")), given.get("smtputf8") is True)


def _noted(mail: HeldMail, end: str) -> HeldMail:
    return replace(mail, note=NOTE) if end == DOUBT else mail
