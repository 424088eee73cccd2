"""Nightly training of the spam filter from the mail of the users.

Spam is what lies in Junk and was read. Ham is what was read and has aged elsewhere, and what bears
the keyword $NotJunk. Nothing is learned from unread mail: nobody has looked at it, so it would only
repeat to the filter its own opinion. A keyword on the message says that it was learned.

Mail that was delivered without a scan is scanned first, as long as it is unread in INBOX.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

from delivery.learning.client import LearningAwayError
from delivery.lesson import MARGIN, LessonClass, read_top
from delivery.night.mail_reader import MailFolder, MailReaderError, is_below
from gatepost.errors import StartError

LEARNED: Final = {LessonClass.SPAM: "$LearnedSpam", LessonClass.HAM: "$LearnedHam"}
"""The keywords on messages that were learned; Dovecot's image sets them as well."""
RESCANNED: Final = "$SpamChecked"
"""The keyword on a message that was delivered without a scan, and was scanned later."""

_NO_HAM: Final = frozenset({"\\junk", "\\trash", "\\drafts", "\\sent", "\\all", "\\flagged"})
_NO_HAM_NAMES: Final = ("Junk", "Trash", "Drafts", "Sent")
_WAS_READ: Final = "SEEN UNDELETED UNDRAFT"
_SPAM: Final = f"{_WAS_READ} UNKEYWORD $LearnedSpam UNKEYWORD $NotJunk UNKEYWORD NonJunk"
_HAM: Final = f"{_WAS_READ} UNKEYWORD $LearnedHam UNKEYWORD $Junk UNKEYWORD Junk"
_NOT_JUNK: Final = f"{_WAS_READ} UNKEYWORD $LearnedHam OR KEYWORD $NotJunk KEYWORD NonJunk"
_UNREAD: Final = f"UNSEEN UNDELETED UNKEYWORD {RESCANNED}"
MAX_PROBLEMS: Final = 10
"""Messages of one user that cannot be learned, after which the next user has a turn."""
_MAX_UNREAD: Final = 1000
"""Unread messages of INBOX that are looked at, the newest first."""


class Teacher(Protocol):
    """The service that teaches, as `delivery.learning.client.LearningClient`."""

    def learn(self, user: str, lesson: str, message: bytes, source: str = ...) -> bool:
        """Teach a message; raises `StartError`."""
        ...

    def score(self, user: str, message: bytes) -> dict[str, Any]:
        """Return the verdict; raises `StartError`."""
        ...

    def stats(self, user: str) -> dict[str, Any]:
        """Return what a user has taught, and the mail store; raises `StartError`."""
        ...


class UserMail(Protocol):
    """The mail of a user, as in `delivery.night.mail_reader`; errors are `MailReaderError`."""

    def folders(self) -> list[MailFolder]:
        """Return the folders."""
        ...

    def open(self, folder: MailFolder) -> None:
        """Open a folder."""
        ...

    def search(self, query: str, limit: int, age: float = ...) -> Iterator[int]:
        """Yield UIDs."""
        ...

    def fields(self, uids: Sequence[int], name: str) -> dict[int, str]:
        """Return the value of a header field, of the messages that have it."""
        ...

    def read(self, uid: int, limit: int) -> bytes | None:
        """Return a message."""
        ...

    def mark(self, uid: int, add: str, remove: str = ...) -> None:
        """Set a keyword."""
        ...


class NightBounds(NamedTuple):
    """Bounds of a run; times are in seconds, `scan_size` in octets."""

    min_age: float
    max_messages: int
    max_time: float
    scan_size: int


@dataclass
class NightCounts:
    """Counts of the work for one user, or for all."""

    spam: int = 0
    ham: int = 0
    rescanned: int = 0
    moved: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Return whether nothing was done and nothing failed."""
        return self == NightCounts()

    def add(self, other: NightCounts) -> None:
        """Add the numbers of another one."""
        self.spam += other.spam
        self.ham += other.ham
        self.rescanned += other.rescanned
        self.moved += other.moved
        self.problems += other.problems


@dataclass
class NightSummary:
    """The result of a run."""

    users: int = 0
    failed: int = 0
    left: int = 0
    """Users whose turn did not come."""
    counts: NightCounts = field(default_factory=NightCounts)
    away: str = ""
    """Why the run was ended early: the service or the scanner is away."""

    @property
    def is_complete(self) -> bool:
        """Return whether everything worked. Users without a turn are no failure."""
        return not self.failed and not self.away


class _OutOfTimeError(Exception):
    pass


class Night:
    """One run. `open_mail(user, store)` connects; `move(user, store, uid)` moves a message from
    INBOX to Junk in a way that teaches nothing; `report(user, counts)` hears of each user."""

    def __init__(
        self,
        teacher: Teacher,
        open_mail: Callable[[str, str], AbstractContextManager[UserMail]],
        move: Callable[[str, str, int], None],
        report: Callable[[str, NightCounts], None],
        bounds: NightBounds,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._teacher = teacher
        self._open_mail = open_mail
        self._move = move
        self._report = report
        self._bounds = bounds
        self._clock = clock
        self._end = clock() + bounds.max_time

    def run(self, users: list[str]) -> NightSummary:
        """Teach from the mail of these users; a failure with one does not keep others from it."""
        summary = NightSummary()
        for number, user in enumerate(users):
            counts = NightCounts()
            try:
                self._check_time()
                self._serve(user, counts)
            except _OutOfTimeError:
                summary.left = len(users) - number
            except LearningAwayError as error:
                summary.away, summary.left = str(error), len(users) - number
            except (StartError, MailReaderError) as error:
                counts.problems.append(str(error))
            if not counts.is_empty:
                self._report(user, counts)
            summary.counts.add(counts)
            if summary.left:
                break
            summary.users += 1
            summary.failed += bool(counts.problems)
        return summary

    def _serve(self, user: str, counts: NightCounts) -> None:
        store = str(self._teacher.stats(user)["store"])
        with self._open_mail(user, store) as mail:
            folders = mail.folders()
            for folder in folders:
                if folder.name.upper() == "INBOX":
                    self._scan_again(mail, user, store, folder, counts)
            for folder in folders:
                if "\\junk" in folder.attributes or is_below(folder.name, _NO_HAM_NAMES[:1]):
                    self._teach_folder(mail, user, folder, LessonClass.SPAM, _SPAM, counts)
                    self._teach_folder(mail, user, folder, LessonClass.HAM, _NOT_JUNK, counts)
                elif not folder.attributes & _NO_HAM and not is_below(folder.name, _NO_HAM_NAMES):
                    self._teach_folder(mail, user, folder, LessonClass.HAM, _NOT_JUNK, counts)
                    self._teach_folder(mail, user, folder, LessonClass.HAM, _HAM, counts)

    def _teach_folder(
        self,
        mail: UserMail,
        user: str,
        folder: MailFolder,
        lesson: LessonClass,
        query: str,
        counts: NightCounts,
    ) -> None:
        done = counts.spam if lesson is LessonClass.SPAM else counts.ham
        limit = self._bounds.max_messages - done
        # who says that it is no junk has decided; the others may still change their mind
        age = 0.0 if query is _NOT_JUNK else self._bounds.min_age
        mail.open(folder)
        for uid in list(mail.search(query, limit, age)):
            self._check_time()
            message = mail.read(uid, self._bounds.scan_size + 2 * MARGIN)
            if message is None:
                continue
            try:
                self._teacher.learn(user, lesson.value, message, "night")
            except LearningAwayError:
                raise
            except StartError as error:
                # this message cannot be learned, others may
                problem = f"{folder.name}, UID {uid}: {error}"
                if len(counts.problems) + 1 >= MAX_PROBLEMS:
                    raise StartError(f"{problem}; the rest waits for another night") from None
                counts.problems.append(problem)
                continue
            mail.mark(uid, LEARNED[lesson], LEARNED[lesson.other])
            if lesson is LessonClass.SPAM:
                counts.spam += 1
            else:
                counts.ham += 1

    def _scan_again(
        self, mail: UserMail, user: str, store: str, inbox: MailFolder, counts: NightCounts
    ) -> None:
        mail.open(inbox)
        marks = mail.fields(list(mail.search(_UNREAD, _MAX_UNREAD)), "X-Spam-Status")
        unchecked = [uid for uid, mark in marks.items() if mark.startswith("Unchecked")]
        for uid in unchecked[: self._bounds.max_messages]:
            self._check_time()
            message = mail.read(uid, self._bounds.scan_size + 2 * MARGIN)
            # it may have more than one such field: the first one is ours
            if message is None or not read_top(message).status.startswith("Unchecked"):
                continue
            verdict = self._teacher.score(user, message)
            # the keyword goes with the message: if the user takes it out of Junk, it stays there
            mail.mark(uid, RESCANNED)
            counts.rescanned += 1
            if not verdict["junk"]:
                continue
            try:
                self._move(user, store, uid)
            except StartError:
                mail.mark(uid, "", RESCANNED)
                raise
            counts.moved += 1

    def _check_time(self) -> None:
        if self._clock() >= self._end:
            raise _OutOfTimeError
