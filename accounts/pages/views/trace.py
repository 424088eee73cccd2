"""Page "Where is my mail?": searches in the journal, as far as the visitor's role reaches."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from starlette.responses import Response

from accounts.http.principals import Role
from accounts.http.problems import ApiProblem
from accounts.pages.mail_states import words_of
from accounts.pages.visit import ROWS, Visit, chosen, is_led_here, step
from msgauth.mail_address import MailAddress

EVENTS: Final = 50
"""Events of a mail that are shown, the latest ones."""
MAX_SHOWN: Final = 2000
"""Characters of refused words that are shown again."""
_HOUR: Final = 3600
_DAY: Final = 86_400
_PERIODS: Final = ("day", "hour", "all")
"""Values of `time` in the URL; the first one is usual."""


async def show(visit: Visit) -> Response:
    """Show the search, and what it finds once the URL has words, which may be empty.

    A search by an administrator is entered in the audit log, so a link of another site only fills
    in the form.
    """
    journal = visit.context.journal
    days = 0 if journal is None else journal.days
    is_owner = visit.principal.role is Role.MAILBOX
    words = visit.query.get("words")
    period = chosen(_PERIODS, visit.query.get("time", ""))
    stories: list[dict[str, Any]] | None = None
    following: str | None = None
    if days and words is not None and not is_led_here(visit):
        stories, following = await _search(visit, words, _since(visit.now, period, days))
    return visit.page(
        "trace.html",
        title=visit.gettext("Where is my mail?") if is_owner else visit.gettext("Trace mail"),
        days=days,
        is_owner=is_owner,
        words=(words or "")[:MAX_SHOWN],
        period=period,
        stories=stories,
        is_later="after" in visit.query,
        following=following,
        most_events=EVENTS,
        domain_of=lambda address: MailAddress.parse(address).host,
        words_of=lambda state: words_of(state, visit.gettext),
    )


async def _search(
    visit: Visit, words: str, since: int
) -> tuple[list[dict[str, Any]] | None, str | None]:
    """Return what was found, and the key of the next page; None for both if the search was refused,
    which the page then says."""
    own = visit.principal.role is Role.MAILBOX
    after = visit.query.get("after") or None
    query: dict[str, str | int | bool | None] = {
        "words": words,
        "since": since,
        "limit": ROWS,
        "after": after,
    }
    try:
        (found,) = await visit.run(step("trace-own-mail" if own else "trace-mail", query=query))
    except ApiProblem as problem:
        if problem.status != HTTPStatus.UNPROCESSABLE_ENTITY:
            raise
        visit.problem = problem
        return None, None
    return found["body"]["items"], found["next"]


def _since(now: int, period: str, days: int) -> int:
    """Return where a period begins; the longest one is that of the journal."""
    seconds = {"hour": _HOUR, "day": _DAY}.get(period, days * _DAY)
    return max(0, now - seconds)
