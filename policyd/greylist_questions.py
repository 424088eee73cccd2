"""Answers to the questions of administrators about the greylist."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from gatepost.greylist_exchange import MAX_ROWS, GreylistAnswer, GreylistQuestion, GreylistRow
from gatepost.logs import get_logger
from msgauth.mail_address import MailAddress
from policyd import records
from policyd.checks.greylist import hide_of, rules_of
from policyd.greylist_names import BREATH, identities_of_domain, known_as, meant
from policyd.greylist_search import ExportedRecord, scan
from policyd.greylisting import GreylistRules
from policyd.settings import PolicydSettings
from policyd.stores import Store, StoreError

PATIENCE: Final = 5.0
"""Seconds for a question: a million records take longer, and then the answer is partial."""
AT_ONCE: Final = 100
"""Records that are removed at the same time."""

log = get_logger("policyd")


class GreylistQuestions:
    """The answers of this process. `settings` returns those in use."""

    def __init__(
        self,
        store: Store,
        settings: Callable[[], PolicydSettings],
        instance: str,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._settings = settings
        self._instance = instance
        self._clock = clock
        self._monotonic = monotonic

    async def answer(self, question: GreylistQuestion) -> GreylistAnswer:
        """Answer a question; raises nothing but what ends the process."""
        empty = GreylistAnswer(question.id, self._instance)
        try:
            return await self._answer(question, empty)
        except StoreError as error:
            return empty._replace(problem=f"the store does not answer: {error}")
        except Exception:  # a bug must not keep the person waiting
            log.exception("internal error in a question about the greylist")
            return empty._replace(problem="internal error; the log says what")

    async def _answer(self, question: GreylistQuestion, empty: GreylistAnswer) -> GreylistAnswer:
        settings = self._settings()
        hide, rules = hide_of(settings.greylist), rules_of(settings.greylist)
        is_hidden = hide is not records.plain
        is_search = question.kind == "find"
        if is_hidden and question.domains is not None:
            # nobody can tell whose mail a record is about
            return empty._replace(is_hidden=True)
        text = question.text
        parts = meant(text, settings)
        if is_search:
            parts |= identities_of_domain(text)
        wanted = {hide(one) for one in parts}
        end = self._monotonic() + PATIENCE
        if is_search:
            wanted |= await known_as(self._store, text, hide, lambda: self._monotonic() > end)
        part_of = text.lower() if is_search and not is_hidden else ""
        found: list[ExportedRecord] = []
        is_partial, number = False, 0
        most = MAX_ROWS if is_search else 50 * MAX_ROWS
        async for record in scan(self._store, ("triplet", "client")):
            number += 1
            if number % BREATH == 0:
                await asyncio.sleep(0)
            if len(found) >= most or self._monotonic() > end:
                is_partial = True
                break
            if _matches(record, wanted, part_of) and _concerns(record, question.domains):
                found.append(record)
        if is_search:
            now = int(self._clock())
            rows = tuple(_row(one, rules, now) for one in found)
            return empty._replace(rows=rows, is_partial=is_partial, is_hidden=is_hidden)
        for start in range(0, len(found), AT_ONCE):
            await asyncio.gather(*map(self._forget, found[start : start + AT_ONCE]))
        return empty._replace(forgotten=len(found), is_partial=is_partial, is_hidden=is_hidden)

    async def _forget(self, record: ExportedRecord) -> None:
        await self._store.update((record.key,), lambda _: ([None], None))


def _matches(record: ExportedRecord, wanted: set[str], part_of: str) -> bool:
    if wanted & set(record.parts):
        return True
    return bool(part_of) and any(part_of in one for one in record.parts)


def _concerns(record: ExportedRecord, domains: tuple[str, ...] | None) -> bool:
    """Return whether a record is about the recipients of these domains alone."""
    if domains is None:
        return True
    if record.kind != "triplet":
        return False
    return MailAddress.parse(record.parts[2]).host in domains


def _row(record: ExportedRecord, rules: GreylistRules, now: int) -> GreylistRow:
    client, sender, recipient = (*record.parts, "", "")[:3]
    return GreylistRow(
        client,
        sender,
        recipient,
        is_client=record.kind == "client",
        state=record.state(rules, now),
        last=max(0, record.known.last),
    )
