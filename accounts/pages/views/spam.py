"""Spam: preferences of the visitor's mailbox, and the senders that it allows or blocks."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from accounts.pages.form import WebForm, wrong
from accounts.pages.visit import Visit, chosen, step

KINDS = ("allow", "block")
FLAGS = ("greylist", "spam_check", "virus_check")
SCORES = ("spam_junk_score", "spam_reject_score")


async def show(visit: Visit) -> Response:
    """Show the preferences and the lists."""
    preferences, listed = await visit.run(
        step("own-get-preferences"), step("own-list-listed-senders")
    )
    senders = listed["body"]["items"]
    return visit.page(
        "spam.html",
        preferences=preferences["body"],
        tag=preferences["tag"],
        lists={kind: [one for one in senders if one["kind"] == kind] for kind in KINDS},
    )


async def save(visit: Visit) -> Response:
    """Save the preferences."""
    form = visit.form
    change: dict[str, Any] = {name: form.flag(name) for name in FLAGS}
    change |= {name: _score(form, name) for name in SCORES}
    await visit.run(step("own-change-preferences", body=change, tag=form.text("tag") or '"-"'))
    return visit.go("/spam", "changed")


async def change_list(visit: Visit) -> Response:
    """Add a sender to a list, or take one out."""
    form = visit.form
    kind, pattern = chosen(KINDS, form.text("kind")), form.text("pattern")
    if form.flag("remove"):
        await visit.run(step("own-remove-listed-sender", {"kind": kind, "pattern": pattern}))
        return visit.go("/spam", "removed")
    await visit.run(step("own-add-listed-sender", body={"kind": kind, "pattern": pattern}))
    return visit.go("/spam", "added")


def _score(form: WebForm, name: str) -> float | None:
    text = form.text(name).replace(",", ".")
    if not text:
        return None
    try:
        number = float(text[:20])
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1000:
        raise wrong(name, "It must be a number from 0 to 1000.")
    return number
