"""Adapter between Postfix's look-up protocols and `accounts.answers`."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from structlog.typing import FilteringBoundLogger

from accounts import answers
from accounts.eager import begin
from accounts.protocols.table import (
    TableAnswer,
    TableFound,
    TableLookup,
    TableNotFound,
    TableTemporary,
)
from gatepost.daemon import RareWarnings

_NOT_FOUND = TableNotFound()


class Maps:
    """Look-ups by the rules in use, which `rules()` returns."""

    def __init__(self, rules: Callable[[], answers.Answers], log: FilteringBoundLogger) -> None:
        self._rules = rules
        self._warnings = RareWarnings(log, time.monotonic)

    def answer(self, event: TableLookup) -> TableAnswer | Awaitable[TableAnswer]:
        """Return the answer, or an awaitable for it; raises nothing."""
        return begin(self._answer(event))

    async def _answer(self, event: TableLookup) -> TableAnswer:
        result = await self._rules().look_up(event.table, event.key)
        if isinstance(result, answers.MapFound):
            return TableFound(result.text)
        if isinstance(result, answers.MapNotFound):
            return _NOT_FOUND
        self._warnings.warn(
            "temporary answer", map=event.table, key=event.key[:320], reason=result.reason
        )
        return TableTemporary(result.reason)
