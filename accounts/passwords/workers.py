"""The threads that check and hash passwords, away from the event loop, two at a time.

Each ARGON2ID hash takes memory and a processor for some 20 ms, so a flood of logins has to wait in
a queue of bounded length. Whoever finds it full gets `Busy`, which is a temporary error.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeVar

from accounts.password_settings import PasswordSettings
from accounts.passwords.derived import Argon2
from accounts.passwords.errors import Busy, StoredPasswordError
from accounts.passwords.fresh import hash_password, new_app_password
from accounts.passwords.secret import Password
from accounts.passwords.stored import StoredPassword, read

AT_ONCE: Final = 2
"""Passwords that are checked at the same time: more would take memory and gain no speed."""
MAX_SLOW: Final = 10
"""Slow hashes of one login; each may take seconds, and one login must not keep a thread busy."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Checked:
    """The `index` of the stored password that matched, or None, and those that cannot be used.

    `problems` has pairs of index and a sentence without any part of the hash.
    """

    index: int | None
    problems: tuple[tuple[int, str], ...] = ()


class PasswordWorkers:
    """Two threads and a bounded queue before them; `close()` ends them.

    An attempt with a wrong password costs at least one ARGON2ID hash, whether or not the login
    exists and whatever scheme its stored password has. So the time of an answer does not tell which
    addresses exist. (A stored hash that costs more than that, such as bcrypt with a high cost, does
    tell; it is replaced at the next login.)
    """

    def __init__(self, settings: PasswordSettings) -> None:
        self._settings = settings
        self._limit = AT_ONCE + settings.waiting
        self._lock = threading.Lock()
        self._jobs = 0
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="passwords")
        # nobody knows the password of this hash
        self._nobody = read(hash_password(Password(new_app_password()[0]), settings))

    @property
    def jobs(self) -> int:
        """The number of jobs that run or wait."""
        return self._jobs

    async def check(self, password: Password, stored: Sequence[str], login: str) -> Checked:
        """Find the first stored password that the given one matches; fast schemes come first.

        With no stored passwords, for a login that does not exist, it works as hard as for one.
        Raises `Busy` when the queue is full.
        """
        fast: list[tuple[int, StoredPassword]] = []
        slow: list[tuple[int, StoredPassword]] = []
        problems: list[tuple[int, str]] = []
        for at, text in enumerate(stored):
            try:
                hashed = read(text)
            except StoredPasswordError as error:
                problems.append((at, str(error)))
                continue
            (slow if hashed.slow else fast).append((at, hashed))
        problems += [
            (at, "not checked: there are too many slow hashes") for at, _ in slow[MAX_SLOW:]
        ]
        del slow[MAX_SLOW:]
        # microseconds: no thread is needed, and a full queue does not matter
        index, _ = _find(password, fast, login)  # those that are read cannot fail
        if index is None:
            index, more = await self._run(lambda: self._find_slow(password, slow, login))
            problems += more
        return Checked(index, tuple(problems))

    async def hash(self, password: Password) -> str:
        """Return the hash to store for a new password; raises `Busy` when the queue is full."""
        return await self._run(lambda: hash_password(password, self._settings))

    def close(self) -> None:
        """Drop the jobs that wait and let the threads end."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _find_slow(
        self, password: Password, hashes: Sequence[tuple[int, StoredPassword]], login: str
    ) -> tuple[int | None, list[tuple[int, str]]]:
        index, problems = _find(password, hashes, login)
        if index is None and not any(self._is_as_costly(hashed) for _, hashed in hashes):
            _find(password, [(0, self._nobody)], login)
        return index, problems

    def _is_as_costly(self, hashed: StoredPassword) -> bool:
        settings = self._settings
        return isinstance(hashed, Argon2) and (
            hashed.memory * hashed.passes >= settings.memory * settings.passes
        )

    async def _run(self, job: Callable[[], _T]) -> _T:
        with self._lock:
            if self._jobs >= self._limit:
                raise Busy("too many passwords wait to be checked")
            self._jobs += 1
        try:
            future = self._pool.submit(job)
        except RuntimeError:  # closed
            self._leave()
            raise Busy("the service is stopping") from None
        # also called for a job that is cancelled while it waits; one that runs keeps its place
        future.add_done_callback(self._leave)
        return await asyncio.wrap_future(future)

    def _leave(self, _: Future[_T] | None = None) -> None:
        with self._lock:
            self._jobs -= 1


def _find(
    password: Password, hashes: Sequence[tuple[int, StoredPassword]], login: str
) -> tuple[int | None, list[tuple[int, str]]]:
    """Return the index of the first hash that matches, and the hashes that turned out unusable."""
    problems: list[tuple[int, str]] = []
    for index, hashed in hashes:
        try:
            if any(hashed.matches(form, login) for form in password.forms):
                return index, problems
        except StoredPasswordError as error:
            problems.append((index, str(error)))
    return None, problems
