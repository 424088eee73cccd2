"""Question to the journal: words, a time range, and the rows that the asker may see."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, Connection

from accounts.journal import table
from accounts.journal.place import JournalPlace
from accounts.journal.row import JournalRow, base_of
from accounts.journal.table import JOURNAL, JournalView, equals, is_one_of

MAX_WORDS: Final = 4
MAX_WORD: Final = 400
"""Characters of a word: a Message-ID or an address."""
MAX_MAILS: Final = 100
"""Mails of a search."""
_ROWS: Final = 5
"""Rows of a mail, mostly; so many times the wanted mails match at most, the latest ones."""
_FEWEST: Final = 20
"""Mails that are read at least: some of them may have been on the page before."""
MAX_RELATED: Final = 1500
"""Rows that belong to the same mail as those."""
_NEARBY: Final = 60
"""Rows of one pair of sender and recipient."""
ATTEMPTS_BEFORE: Final = 86_400.0
"""Seconds before a mail in which attempts count as attempts at it."""
ATTEMPTS_AFTER: Final = 5 * 86_400.0
"""Seconds after an attempt in which its mail may arrive, and be delivered."""
_SLACK: Final = 5.0


class SearchWordError(ValueError):
    """A word cannot be searched for; the message is a sentence."""


class JournalQuestion(NamedTuple):
    """A search. Rows have to match all words; times are in seconds since the epoch.

    `limit` is the number of mails. `after`: where the page before this one ended.
    """

    words: tuple[str, ...]
    since: float | None = None
    until: float | None = None
    view: JournalView = JournalView()
    limit: int = MAX_MAILS
    after: JournalPlace | None = None


class FoundRows(NamedTuple):
    """Rows in the order of time, and the ids of those that match the question.

    The others are about the same mail, or about other mail of the same people. `shown`: the ids of
    those that match, and have put their mail on an earlier page. `end`: the place of the earliest
    match if there may be more before it.
    """

    rows: list[JournalRow]
    matches: frozenset[int]
    shown: frozenset[int] = frozenset()
    end: JournalPlace | None = None


def read_words(words: Iterable[str]) -> tuple[str, ...]:
    """Return the words without brackets; raises `SearchWordError`."""
    found = []
    for word in words:
        word = word.strip()
        if len(word) > MAX_WORD:
            raise SearchWordError(f"A word has more than {MAX_WORD} characters.")
        for begin, end in ("<>", "[]"):
            if word.startswith(begin) and word.endswith(end) and len(word) > 1:
                word = word[1:-1]
        if not word or not word.isprintable():
            raise SearchWordError("A word is empty, or has a character that cannot be printed.")
        found.append(word)
    if len(found) > MAX_WORDS:
        raise SearchWordError(f"There are more than {MAX_WORDS} words.")
    return tuple(found)


def ask(connection: Connection, question: JournalQuestion, delimiter: str) -> FoundRows:
    """Return the rows that match, and those about the same mail."""
    mails = max(question.limit, _FEWEST)
    most = mails * _ROWS
    leads = _leads(question, delimiter)
    place = () if question.after is None else (question.after.earlier(),)
    found: dict[int, JournalRow] = {}
    for conditions in leads:
        for row in table.find(connection, _bounded(question), [*conditions, *place], most):
            found[row.id] = row
    latest = sorted(found.values(), key=JournalPlace.of)[-most:]
    instances = {row.instance for row in latest if row.instance}
    attempts = _by(connection, question.view, JOURNAL.c.instance, instances)
    matches = _cut(latest, attempts, mails)
    kept = {row.id: row for row in matches}
    for row in _related(connection, question, matches, attempts):
        if len(kept) >= most + MAX_RELATED:
            break
        kept.setdefault(row.id, row)
    rows = sorted(kept.values(), key=JournalPlace.of)
    return FoundRows(
        rows,
        frozenset(row.id for row in matches),
        _shown(connection, question, leads, rows),
        JournalPlace.of(matches[0]) if len(found) >= most or matches != latest else None,
    )


def _cut(rows: list[JournalRow], attempts: list[JournalRow], most: int) -> list[JournalRow]:
    """Return the latest of these rows, which are about `most` pairs of sender and recipient.

    The related rows of each pair are read; without them, one mail would look like two.
    """
    of_instance: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in attempts:
        of_instance[row.instance].update(_pair(row))
    pairs: set[tuple[str, str]] = set()
    for number, row in enumerate(reversed(rows)):
        # without a recipient, it is about all recipients of the message
        pairs |= _pair(row) or of_instance[row.instance]
        if number and len(pairs) > most:
            return rows[-number:]
    return rows


def _pair(row: JournalRow) -> set[tuple[str, str]]:
    return {(row.base, row.sender_base)} if row.base else set()


def _leads(question: JournalQuestion, delimiter: str) -> list[list[ColumnElement[bool]]]:
    """Return the conditions of statements that together find all matches."""
    common: list[ColumnElement[bool]] = []
    if question.since is not None and question.view.addresses is None:
        common.append(JOURNAL.c.at >= question.since)
    if question.until is not None:
        common.append(JOURNAL.c.at < question.until)
    if not question.words:
        return [common]
    # one word leads, so that each statement has an index
    first, *others = (_choices(word, delimiter) for word in question.words)
    rest = [_any(several) for several in others]
    return [[*common, *rest, one] for one in first]


def _shown(
    connection: Connection,
    question: JournalQuestion,
    leads: list[list[ColumnElement[bool]]],
    rows: list[JournalRow],
) -> frozenset[int]:
    """Return the ids of those of the rows that match, and are not before this page."""
    after = question.after
    if after is None:
        return frozenset()
    later = [row.id for row in rows if JournalPlace.of(row) >= after]
    if not later:
        return frozenset()
    among = JOURNAL.c.id.in_(later)
    return frozenset(
        row.id
        for conditions in leads
        for row in table.find(connection, _bounded(question), [*conditions, among], len(later))
    )


def _bounded(question: JournalQuestion) -> JournalView:
    """Return the view since the time of the question: of two times, SQLite may search by the
    earlier one."""
    view = question.view
    return view._replace(since=max(view.since, question.since or 0.0))


def _choices(word: str, delimiter: str) -> list[ColumnElement[bool]]:
    """Return the conditions of which a row has to meet one."""
    columns = JOURNAL.c
    if "@" in word:
        base = base_of(word, delimiter)
        exact = [equals(columns.base, base), equals(columns.sender_base, base)]
        if base != base_of(word, ""):
            # with an extension, it is about this one alone
            exact = [
                equals(columns.base, base) & columns.recipient.ilike(_literal(word), escape="\\"),
                equals(columns.sender_base, base)
                & columns.sender.ilike(_literal(word), escape="\\"),
            ]
        return [*exact, is_one_of(columns.message_id, (word, f"<{word}>"))]
    found = [
        equals(columns.queue_id, word),
        equals(columns.reason, word.lower()),
        equals(columns.instance, word),
        is_one_of(columns.message_id, (word, f"<{word}>")),
    ]
    try:
        address = ipaddress.ip_address(word)
    except ValueError:
        return found
    return [columns.client == str(address)]


def _any(several: list[ColumnElement[bool]]) -> ColumnElement[bool]:
    condition = several[0]
    for one in several[1:]:
        condition = condition | one
    return condition


def _literal(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _related(
    connection: Connection,
    question: JournalQuestion,
    matches: list[JournalRow],
    attempts: list[JournalRow],
) -> Iterable[JournalRow]:
    """Yield the rows about the same mail; `attempts` have the same instances."""
    columns, view = JOURNAL.c, question.view
    seen: set[str] = set()

    def of_queue(rows: Iterable[JournalRow]) -> list[JournalRow]:
        new = {row.queue_id for row in rows if row.queue_id} - seen
        seen.update(new)
        return _by(connection, view, columns.queue_id, new)

    queued = of_queue(matches)
    yield from queued
    instances = {row.instance for row in matches if row.instance}
    together = [row for row in attempts if row.instance in instances]
    yield from together
    pairs: dict[tuple[str, str], tuple[float, float]] = {}
    for rows, most in (
        (matches, None),
        (together, None),
        (queued, 2 * max(question.limit, _FEWEST)),
    ):
        for row in sorted(rows, key=lambda row: -row.at):
            pair = row.base, row.sender_base
            if pair in pairs:
                pairs[pair] = min(pairs[pair][0], row.at), max(pairs[pair][1], row.at)
            elif row.base and (most is None or len(pairs) < most):
                pairs[pair] = row.at, row.at
    for (base, sender), (first, last) in pairs.items():
        conditions = [
            equals(columns.base, base),
            columns.sender_base == sender,
            columns.at >= first - ATTEMPTS_BEFORE - _SLACK,
            columns.at <= last + ATTEMPTS_AFTER,
        ]
        nearby = table.find(connection, view, conditions, _NEARBY)
        yield from nearby
        yield from of_queue(nearby)


def _by(
    connection: Connection, view: JournalView, column: ColumnElement[str], values: set[str]
) -> list[JournalRow]:
    if not values:
        return []
    return table.find(connection, view, [is_one_of(column, sorted(values))], MAX_RELATED)
