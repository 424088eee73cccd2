"""Trainer of the spam filter: lessons, their ledger and their undoing, on the event loop.

Lessons are learned one at a time: SpamAssassin locks the data of a user while it writes, and mail
that arrives meanwhile has to find a free child of spamd.

The ledger never names a lesson that the scanner may not have: it is noted after the scanner has
learned, and dropped before the scanner changes it. A kill in between leaves a lesson that the
ledger does not know. It can be learned and forgotten like any other one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from structlog.typing import FilteringBoundLogger

from delivery.counts import LESSONS
from delivery.ledger import NAME as LEDGER
from delivery.ledger import Ledger, LedgerError, LedgerSummary
from delivery.lesson import Lesson, LessonClass, make_lesson
from delivery.protocols import rspamd, spamc
from delivery.protocols.rspamd import RspamdQuestion
from delivery.settings import DeliverySettings
from delivery.user import SITE, SpamUser
from gatepost.peer.answer_reader import AnswerReader
from gatepost.peer.connection import ask
from gatepost.peer.errors import PeerError

R = TypeVar("R")

FILES: Final = ("bayes_toks", "bayes_seen", "bayes_journal", LEDGER, f"{LEDGER}-journal")
"""Files that are removed when everything is forgotten."""
MAX_WAITING: Final = 64
"""Lessons that wait for their turn."""


class TrainingError(Exception):
    """A lesson was not learned, or not forgotten; the text says why. It may work later.

    `is_away` tells that the scanner does not answer: no other lesson would work now either.
    """

    def __init__(self, problem: str, *, is_away: bool = False) -> None:
        super().__init__(problem)
        self.is_away = is_away


class NotSupportedError(Exception):
    """The scanner cannot do this."""


class _NotDoneError(PeerError):
    """The scanner works, and has not learned this message."""


class LearnedFacts(NamedTuple):
    """Lessons of a user, counted."""

    summary: LedgerSummary
    is_used: bool
    """True if mail of the user is scanned with these data."""


class LessonTurns:
    """The turns of lessons: one at a time. Raises `TrainingError` if too many wait."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(1)
        self._waiting = 0

    async def __aenter__(self) -> None:
        if self._waiting >= MAX_WAITING:
            raise TrainingError("too many lessons wait")
        self._waiting += 1
        try:
            await self._turn.acquire()
        except BaseException:
            self._waiting -= 1
            raise

    async def __aexit__(self, *_: object) -> None:
        self._waiting -= 1
        self._turn.release()


class Trainer:
    """Trainer with the settings of one configuration, for SpamAssassin or Rspamd."""

    def __init__(
        self,
        settings: DeliverySettings,
        password: str,
        log: FilteringBoundLogger,
        turns: LessonTurns,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if settings.ledgers is None:
            raise ValueError("no folder for the ledgers")
        self.settings = settings
        self._spam = settings.spam
        self._password = password
        self._folder = settings.ledgers
        self._log = log
        self._clock = clock
        self._turns = turns

    async def learn(
        self, user: SpamUser, lesson_class: LessonClass, message: bytes, source: str
    ) -> bool:
        """Teach a message; returns False if it was known. Raises `TrainingError`."""
        lesson = make_lesson(message, self._spam.scan_size)
        ledger = Ledger(self._folder_of(user))
        async with self._turns:
            known = await _read(ledger.find, lesson.digest)
            if known is lesson_class:
                self._count("known", user, lesson_class, source)
                return False
            await _read(_make_folder, self._folder, user)
            if known is not None:
                await _read(ledger.drop, lesson.digest)
            try:
                is_new = await self._set(user, lesson_class, lesson)
            except PeerError as error:
                self._count("failed", user, lesson_class, source, str(error))
                is_away = not isinstance(error, _NotDoneError)
                raise TrainingError(f"the spam scanner: {error}", is_away=is_away) from None
            try:
                await _read(ledger.note, lesson.digest, lesson_class, self._clock(), source)
            except TrainingError as error:
                # unknown to the ledger, it could not be counted and would be learned again
                await self._take_back(user, lesson)
                self._count("failed", user, lesson_class, source, str(error))
                raise
        self._count("learned" if is_new else "known", user, lesson_class, source)
        return is_new

    async def forget(self, user: SpamUser, message: bytes) -> bool:
        """Undo the lesson of a message; returns False if it was not known.

        Raises `TrainingError`, and `NotSupportedError` with Rspamd.
        """
        self._require_spamassassin("forget a message")
        lesson = make_lesson(message, self._spam.scan_size)
        ledger = Ledger(self._folder_of(user))
        async with self._turns:
            known = await _read(ledger.find, lesson.digest)
            await _read(ledger.drop, lesson.digest)
            try:
                has_removed = await self._tell(user, None, lesson)
            except PeerError as error:
                raise TrainingError(f"the spam scanner: {error}", is_away=True) from None
        self._log.info("forgotten", user=str(user), known=known is not None or has_removed)
        return has_removed or known is not None

    async def reset(self, user: SpamUser) -> bool:
        """Forget all lessons of a user; preferences stay. Returns whether there were any.

        Raises `TrainingError`, and `NotSupportedError` with Rspamd.
        """
        self._require_spamassassin("forget everything")
        async with self._turns:
            had_any = await _read(_remove_files, self._folder_of(user))
        self._log.info("everything forgotten", user=str(user), known=had_any)
        return had_any

    async def facts(self, user: SpamUser) -> LearnedFacts:
        """Return what a user has taught; raises `TrainingError`."""
        summary = await _read(Ledger(self._folder_of(user)).summary)
        if self._spam.engine == "rspamd":
            return LearnedFacts(summary, self._spam.per_user)
        is_used = user == SITE or summary.suffices(self._spam.min_learned)
        return LearnedFacts(summary, is_used)

    async def _set(self, user: SpamUser, lesson_class: LessonClass, lesson: Lesson) -> bool:
        """Teach; returns False if the scanner knew the message. Raises `PeerError`."""
        if self._spam.engine == "rspamd":
            question = RspamdQuestion(recipient=_name_of(user), password=self._password)
            head = rspamd.learn_request(question, len(lesson.octets), lesson_class)
            return await self._ask(head, lesson, rspamd.RspamdLearnReader())
        if await self._tell(user, lesson_class, lesson):
            return True
        # spamd says the same of a message that it knows and of data that it cannot write: what it
        # knows it can forget
        if await self._tell(user, None, lesson) and await self._tell(user, lesson_class, lesson):
            return False
        raise _NotDoneError("it did not learn the message; its log may say why")

    async def _take_back(self, user: SpamUser, lesson: Lesson) -> None:
        if self._spam.engine == "spamassassin":
            try:
                await self._tell(user, None, lesson)
            except PeerError as error:
                self._log.warning("a lesson is not in the ledger", user=str(user), why=str(error))

    async def _tell(self, user: SpamUser, lesson_class: LessonClass | None, lesson: Lesson) -> bool:
        head = spamc.tell_request(str(user), len(lesson.octets), lesson_class)
        answer = await self._ask(head, lesson, spamc.SpamdReader())
        return answer.has_done("remove" if lesson_class is None else "set")

    async def _ask(self, head: bytes, lesson: Lesson, reader: AnswerReader[R]) -> R:
        parts: Iterator[bytes] = iter((head, lesson.octets))
        return await ask(self._spam.address, parts, reader, self._spam.timeout)

    def _folder_of(self, user: SpamUser) -> Path:
        folder = self._folder / user.folder
        # spamd can write here: files are made and removed where no link of its making leads
        if folder.is_symlink() or folder.parent.is_symlink():
            raise TrainingError(f"{folder}: a symbolic link is in the way")
        return folder

    def _require_spamassassin(self, what: str) -> None:
        if self._spam.engine != "spamassassin":
            raise NotSupportedError(f"Rspamd cannot {what}: teach the other class instead")

    def _count(
        self, outcome: str, user: SpamUser, lesson_class: LessonClass, source: str, why: str = ""
    ) -> None:
        LESSONS.labels(lesson_class.value, outcome).inc()
        report = self._log.warning if why else self._log.info
        more = {"why": why} if why else {}
        report(
            "lesson",
            user=str(user),
            outcome=outcome,
            kind=lesson_class.value,
            source=source,
            **more,
        )


def _name_of(user: SpamUser) -> str:
    """Return the recipient for Rspamd; the site has none."""
    return "" if user == SITE else str(user)


def _make_folder(root: Path, user: SpamUser) -> None:
    """Make the folder of a user, in which spamd can write as well: by the group of `root`."""
    for folder in (root / user.domain, root / user.folder):
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        folder.chmod(0o2770)


def _remove_files(folder: Path) -> bool:
    had_any = False
    for name in FILES:
        try:
            (folder / name).unlink()
        except (FileNotFoundError, NotADirectoryError):
            continue
        had_any = True
    return had_any


async def _read(work: Callable[..., R], *arguments: object) -> R:
    """Run work with files in a thread; raises `TrainingError`."""
    try:
        return await asyncio.to_thread(work, *arguments)
    except LedgerError as error:
        raise TrainingError(f"the ledger {error}") from None
    except OSError as error:
        raise TrainingError(f"{error.filename}: {error.strerror}") from None
