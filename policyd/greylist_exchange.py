"""Exchange with accounts: a thread fetches questions about the greylist, and sends the answers.

The policy server asks, because it reaches accounts in any case; nobody has to reach it.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final, TypeAlias

from structlog.typing import FilteringBoundLogger

from gatepost.greylist_exchange import (
    MAX_WAIT,
    MEDIA_TYPE,
    PATH,
    ExchangeError,
    ExchangeRequest,
    GreylistAnswer,
    GreylistQuestion,
    decode_questions,
    encode_request,
)
from gatepost.snapshots.client import FetchError
from gatepost.snapshots.connection import AccountsConnection
from gatepost.snapshots.settings import AccountsSource

SPARE: Final = 10.0
"""Time limit in seconds for an answer of accounts, on top of the wait."""
LATE: Final = 15.0
"""Seconds for the answers to the questions of one request."""
PAUSES: Final = (1.0, 2.0, 5.0, 10.0)
"""Seconds after each failure in a row; the last one repeats."""
OFF_PAUSE: Final = 300.0
"""Seconds until an accounts is asked again that knows no such questions: an older one."""
REMEMBERED: Final = 200
"""Questions that are not answered twice."""

Answering: TypeAlias = Callable[[GreylistQuestion], Awaitable[GreylistAnswer]]


class GreylistExchange:
    """The thread. `start()` is called in the event loop, where questions are answered."""

    def __init__(
        self,
        source: AccountsSource,
        log: FilteringBoundLogger,
        connection: AccountsConnection | None = None,
    ) -> None:
        self.instance = socket.gethostname()
        self._log = log
        self._connection = connection or AccountsConnection(source)
        self._answers: list[GreylistAnswer] = []
        self._done: OrderedDict[str, None] = OrderedDict()
        self._failures = 0
        self._told = ""
        self._stop = threading.Event()
        self._answering: Answering | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, answering: Answering) -> None:
        """Answer questions from now on."""
        self._answering = answering
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._run, name="greylist-questions", daemon=True).start()

    def stop(self) -> None:
        """Take up no more questions; the thread ends after its wait."""
        self._stop.set()

    def turn(self, wait: float = MAX_WAIT) -> float:
        """Send the answers, fetch questions and answer them; return the seconds to pause."""
        # with answers at hand, accounts answers at once
        request = ExchangeRequest(self.instance, wait, tuple(self._answers))
        try:
            answer = self._connection.ask(
                "POST", PATH, wait + SPARE, encode_request(request), MEDIA_TYPE
            )
            if answer.status != HTTPStatus.OK:
                why = "off" if answer.status == HTTPStatus.NOT_FOUND else "away"
                return self._failed(why, f"accounts answers with {answer.status}")
            questions = decode_questions(answer.body)
        except FetchError as error:
            return self._failed(error.why, str(error))
        except ExchangeError as error:
            return self._failed("invalid", str(error))
        self._answers.clear()
        self._failures, self._told = 0, ""
        new = [one for one in questions if one.id not in self._done]
        for question in new:
            self._done[question.id] = None
            self._answers.append(self._ask_loop(question))
        while len(self._done) > REMEMBERED:
            self._done.popitem(last=False)
        # accounts asks again where an answer was lost, without a wait
        return 0.0 if new or not questions else PAUSES[0]

    def _ask_loop(self, question: GreylistQuestion) -> GreylistAnswer:
        assert self._loop is not None  # noqa: S101
        assert self._answering is not None  # noqa: S101
        answering = self._answering

        async def work() -> GreylistAnswer:
            return await answering(question)

        asked = asyncio.run_coroutine_threadsafe(work(), self._loop)
        try:
            return asked.result(LATE)
        except TimeoutError:
            asked.cancel()
            return GreylistAnswer(question.id, self.instance, problem="it took too long")

    def _failed(self, why: str, problem: str) -> float:
        # the person does not wait for so long
        self._answers.clear()
        if self._told != why:  # the same failure is told once
            self._told = why
            level = self._log.warning if why in ("refused", "invalid") else self._log.info
            level("no questions about the greylist from accounts", why=why, problem=problem)
        pause = PAUSES[min(self._failures, len(PAUSES) - 1)]
        self._failures += 1
        return OFF_PAUSE if why == "off" else pause

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                pause = self.turn()
            except Exception:  # a bug must not end the thread
                self._log.exception("internal error in the questions about the greylist")
                self._connection.close()
                pause = PAUSES[-1]
            self._stop.wait(pause)
        self._connection.close()
