"""ASGI application that takes reports of daemons: `POST /reports/v1/states`, one JSON object."""

from __future__ import annotations

import time
from collections.abc import Callable
from http import HTTPStatus

from starlette.types import ASGIApp

from accounts.directory import daemon_states
from accounts.intake import PostIntake
from accounts.snapshots.access import Tokens
from accounts.store.database import Database
from gatepost.reports.report import MAX_REPORT, ReportError, decode_report
from gatepost.reports.sender import PATH


class ReportIntake(PostIntake):
    """The application. `tokens()` returns the tokens in use; `rest` answers other requests."""

    path = PATH
    max_body = MAX_REPORT

    def __init__(
        self,
        database: Database,
        tokens: Callable[[], Tokens],
        rest: ASGIApp,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(tokens, rest)
        self._database = database
        self._clock = clock

    async def take(self, body: bytes) -> HTTPStatus:
        """Keep the report in a body."""
        try:
            report = decode_report(body)
        except ReportError:
            return HTTPStatus.BAD_REQUEST
        if report.component == "accounts":  # it writes its own
            return HTTPStatus.BAD_REQUEST
        now = int(self._clock())
        await self._database.record(lambda c: daemon_states.note(c, report, now))
        return HTTPStatus.NO_CONTENT
