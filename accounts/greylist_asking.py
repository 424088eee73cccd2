"""Question to the policy servers about the greylist: it is asked, and answers are waited for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from accounts.directory import daemon_states, greylist_questions
from accounts.store.database import Database
from gatepost.greylist_exchange import MAX_ROWS, GreylistAnswer, GreylistRow
from msgauth.mail_address import MailAddress

PATIENCE: Final = 8.0
"""Seconds for all policy servers to answer."""
LOOK: Final = 0.1
"""Seconds between two looks for answers, which grow to half a second."""


@dataclass(frozen=True, slots=True)
class GreylistFound:
    """Answers of the policy servers, together."""

    items: tuple[GreylistRow, ...]
    forgotten: int
    answered: tuple[str, ...]
    missing: tuple[str, ...]
    problems: tuple[str, ...]
    is_partial: bool
    is_hidden: bool


async def ask_policy_servers(
    database: Database,
    kind: str,
    text: str,
    domains: frozenset[str] | None,
    clock: Callable[[], float],
    patience: float | None = None,
) -> GreylistFound:
    """Ask all policy servers that were heard of lately, and return what they say in time.

    `domains` are those of the recipients that the asker may see; None for all. Raises
    `DatastoreError`.
    """
    now = int(clock())
    states = await database.read(lambda c: daemon_states.find(c, now))
    there = {
        one.instance for one in states if one.component == "policyd" and not one.is_silent(now)
    }
    if not there:
        return together([], set(), domains)
    number = await database.record(lambda c: greylist_questions.ask(c, kind, text, domains, now))
    end, pause = time.monotonic() + (PATIENCE if patience is None else patience), LOOK
    while True:
        answers = await database.read(lambda c: greylist_questions.answers(c, number))
        if there <= {one.instance for one in answers} or time.monotonic() >= end:
            return together(answers, there, domains)
        await asyncio.sleep(pause)
        pause = min(2 * pause, 0.5)


def together(
    answers: list[GreylistAnswer], there: set[str], domains: frozenset[str] | None
) -> GreylistFound:
    """Return all answers as one: policy servers with the same store have the same records."""
    rows: dict[tuple[str, str, str, bool], GreylistRow] = {}
    for answer in answers:
        for row in answer.rows:
            if domains is not None and not _concerns(row, domains):
                continue
            key = row.client, row.sender, row.recipient, row.is_client
            if key not in rows or rows[key].last < row.last:
                rows[key] = row
    items = sorted(rows.values(), key=lambda one: (-one.last, one.client, one.sender))
    answered = tuple(sorted(one.instance for one in answers))
    return GreylistFound(
        tuple(items[:MAX_ROWS]),
        sum(one.forgotten for one in answers),
        answered,
        tuple(sorted(there - set(answered))),
        tuple(f"{one.instance}: {one.problem}" for one in answers if one.problem),
        len(items) > MAX_ROWS or any(one.is_partial for one in answers),
        any(one.is_hidden for one in answers),
    )


def _concerns(row: GreylistRow, domains: frozenset[str]) -> bool:
    """Return whether a row is about the recipients of these domains, whatever a daemon says."""
    return not row.is_client and MailAddress.parse(row.recipient).host in domains
