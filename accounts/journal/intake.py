"""ASGI application that takes records: `POST /journal/v1/records`, a JSON object in each line.

The answer is 204 once the records are written.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from starlette.types import ASGIApp

from accounts.intake import PostIntake
from accounts.journal.counts import REFUSED
from accounts.journal.journal import MailJournal
from accounts.snapshots.access import Tokens
from gatepost.journal.record import JournalRecord, RecordError, decode

PATH: Final = "/journal/v1/records"
MAX_BODY: Final = 512 << 10
"""Octets of a request; the daemons send half as many."""


class JournalIntake(PostIntake):
    """The application. `tokens()` returns the tokens in use; `rest` answers other requests."""

    path = PATH
    max_body = MAX_BODY

    def __init__(self, journal: MailJournal, tokens: Callable[[], Tokens], rest: ASGIApp) -> None:
        super().__init__(tokens, rest)
        self._journal = journal

    @property
    def is_off(self) -> bool:
        """Return whether no records are kept."""
        return not self._journal.days

    def refused(self, why: str) -> None:
        """Count what was refused."""
        REFUSED.labels(why).inc()

    async def take(self, body: bytes) -> HTTPStatus:
        """Write the records of a body."""
        records: list[JournalRecord] = []
        for line in body.split(b"\n"):
            if not line:
                continue
            try:
                records.append(decode(line))
            except RecordError:
                # of a later version, perhaps; the others are good
                self.refused("form")
        await self._journal.add(records)
        return HTTPStatus.NO_CONTENT
