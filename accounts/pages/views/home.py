"""First page of each role."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from accounts.http.principals import Role
from accounts.pages.overview_words import faults, outcomes, places, services
from accounts.pages.visit import Visit, step

SHOWN = 20
"""Rows of each kind that a search shows."""


async def show(visit: Visit) -> Response:
    """Show the mailbox of an owner, or the overview and the search of an administrator."""
    if visit.principal.role is Role.MAILBOX:
        return await _show_mailbox(visit)
    text = visit.query.get("text", "").strip()[:254]
    found: list[list[Any]] = [[], [], []]
    if text:
        query: dict[str, str | int | bool | None] = {"text": text, "limit": SHOWN}
        kinds = ("list-domains", "list-mailboxes", "list-aliases")
        answers = await visit.run(*(step(kind, query=query) for kind in kinds))
        found = [answer["body"]["items"] for answer in answers]
    overview = None
    if not text:
        (answer,) = await visit.run(step("show-overview"))
        overview = answer["body"]
    domains, mailboxes, aliases = found
    values: dict[str, Any] = {"domains": domains, "mailboxes": mailboxes, "aliases": aliases}
    values |= _told(visit, overview)
    return visit.page("overview.html", text=text, **values)


def _told(visit: Visit, overview: dict[str, Any] | None) -> dict[str, Any]:
    """Return what the page says about the system."""
    if overview is None:
        return {"overview": None}
    counts = [one[period] for one in overview["mail"] or () for period in ("last_day", "yesterday")]
    return {
        "overview": overview,
        "faults": faults(overview, visit.gettext),
        "outcomes": outcomes(visit.gettext),
        "services": services(visit.gettext),
        "places": places(visit.gettext),
        "most": max(counts, default=0) or 1,
    }


async def _show_mailbox(visit: Visit) -> Response:
    mailbox, usage, rules, rights = await visit.run(
        step("own-get-mailbox"),
        step("own-get-usage"),
        step("own-list-rules"),
        step("own-list-sender-rights"),
    )
    sent = [
        action["address"]
        for rule in rules["body"]["items"]
        if rule["enabled"]
        for action in rule["rule"].get("actions", ())
        if action.get("kind") == "redirect"
    ]
    return visit.page(
        "home.html",
        mailbox=mailbox["body"],
        usage=usage["body"],
        forwards=[*mailbox["body"]["forwards"], *dict.fromkeys(sent)],
        senders=rights["body"]["items"],
    )
