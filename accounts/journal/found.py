"""Found stories: a page of a search, and the place where the next page begins."""

from __future__ import annotations

from typing import NamedTuple

from accounts.journal.journey import MailJourney, join
from accounts.journal.place import JournalPlace
from accounts.journal.question import FoundRows
from accounts.journal.story import MailStory


class FoundStories(NamedTuple):
    """A page of stories, the latest first. `following` is None on the last page."""

    stories: list[MailStory]
    following: JournalPlace | None


def page_of(found: FoundRows, limit: int) -> tuple[list[MailJourney], JournalPlace | None]:
    """Return `limit` journeys, the latest ones first, and where the next page begins.

    The latest row of a mail that matches decides about its page, so that no mail is on two pages,
    and none is on no page. Recipients about whom one decision was made are on the same page, which
    may then have more of them.
    """
    placed: list[tuple[JournalPlace, MailJourney]] = []
    for journey in join(found.rows):
        rows = journey.rows
        matches = [JournalPlace.of(row) for row in rows if row.id in found.matches]
        if matches and not any(row.id in found.shown for row in rows):
            placed.append((max(matches), journey))
    if len(placed) <= limit:
        return [journey for _, journey in placed], found.end
    last = sorted((place for place, _ in placed), reverse=True)[limit - 1]
    return [journey for place, journey in placed if place >= last], last
