"""Spam: preferences of the visitor's mailbox, and the senders that it allows or blocks."""

from __future__ import annotations

import re
from typing import Any, Final

from starlette.responses import Response

from accounts.pages.form import WebForm, wrong
from accounts.pages.visit import Visit, chosen, step

KINDS = ("allow", "block")
FLAGS = ("greylist", "spam_check", "virus_check")
SCORES = ("spam_junk_score", "spam_reject_score")
TAG_USES = ("domain", "none", "own")
"""Choices for the text before subjects: that of the domain, none, or one of the mailbox."""
MAX_LINE: Final = 200
"""Characters of the score of a rule."""

_RULE_SCORE: Final = re.compile(
    r"([A-Za-z_][A-Za-z0-9_]{0,63})\s*(?:=|\s)\s*([+-]?\d{1,3}(?:[.,]\d{1,3})?)\Z", re.ASCII
)


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
        tag_use={None: "domain", "": "none"}.get(preferences["body"]["subject_tag"], "own"),
        lists={kind: [one for one in senders if one["kind"] == kind] for kind in KINDS},
    )


async def save(visit: Visit) -> Response:
    """Save the preferences."""
    form = visit.form
    change: dict[str, Any] = {name: form.flag(name) for name in FLAGS}
    change |= {name: _score(form, name) for name in SCORES}
    # a page that was opened before an upgrade may lack these
    if "languages" in form:
        change["languages"] = form.text("languages").lower().replace(",", " ").split()
    if "tag_use" in form:
        change["subject_tag"] = await _subject_tag(visit)
    if "rule_scores" in form:
        change["rule_scores"] = _rule_scores(form)
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


async def _subject_tag(visit: Visit) -> str | None:
    """Return the text before subjects; raises `ApiProblem`, also where it would be forgotten."""
    form = visit.form
    use, text = chosen(TAG_USES, form.text("tag_use")), form.text("subject_tag")
    if use == "own" and not text:
        raise wrong("subject_tag", "Write the text.")
    if use != "own" and text:
        (found,) = await visit.run(step("own-get-preferences"))
        # the text of before may stay in the field
        if text != found["body"]["subject_tag"]:
            raise wrong("subject_tag", "Choose “this text”, or empty the field.")
    return {"domain": None, "none": ""}.get(use, text)


def _rule_scores(form: WebForm) -> dict[str, float]:
    """Return the scores by the names of their rules; raises `ApiProblem`."""
    found: dict[str, float] = {}
    for line in filter(None, map(str.strip, form.text("rule_scores").split("\n"))):
        # many spaces would take the expression long
        parts = _RULE_SCORE.match(line) if len(line) <= MAX_LINE else None
        if parts is None:
            raise wrong("rule_scores", "Each line must be the name of a rule, = and a number.")
        name, score = parts.groups()
        if name in found:
            raise wrong("rule_scores", "A rule has two scores.")
        found[name] = float(score.replace(",", "."))
    return found
