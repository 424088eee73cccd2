"""Answer to senders while the owner is away: a rule with a name of its own."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from starlette.responses import Response

from accounts.http.problems import ApiProblem
from accounts.pages.visit import Visit, step

AWAY = "Away"
"""The name of the rule."""


async def show(visit: Visit) -> Response:
    """Show the answer."""
    rule, tag = await own_rule(visit, AWAY, "vacation")
    answer = next((one for one in actions_of(rule) if one.get("kind") == "vacation"), {})
    shown = dict.fromkeys(("text", "subject", "since", "until", "days", "addresses")) | answer
    return visit.page("away.html", rule=rule, tag=tag, answer=shown)


async def save(visit: Visit) -> Response:
    """Switch the answer on with a text and dates, or off."""
    form = visit.form
    since, until = form.day("since"), form.day("until")
    addresses = form.lines("addresses")
    action: dict[str, Any] = {
        "kind": "vacation",
        "text": form.secret("text").strip(),
        "days": form.number("days", 1, 30),
    }
    if form.text("subject"):
        action["subject"] = form.text("subject")
    if addresses:
        action["addresses"] = addresses
    if since is not None:
        action["since"] = since.isoformat()
    if until is not None:
        action["until"] = until.isoformat()
    await own_rule(visit, AWAY, "vacation")
    await save_rule(visit, AWAY, [action], enabled=form.flag("enabled"))
    return visit.go("/away", "changed")


async def own_rule(visit: Visit, name: str, kind: str) -> tuple[dict[str, Any] | None, str]:
    """Return the rule that a page has, and its tag; None if there is none yet.

    `kind` is that of its actions. Raises `ApiProblem` if the rule of this name says something that
    the page would not show, and would overwrite.
    """
    (found,) = await visit.run(step("own-list-rules"))
    if not any(rule["name"] == name for rule in found["body"]["items"]):
        return None, ""
    (one,) = await visit.run(step("own-get-rule", {"name": name}))
    if not is_own(one["body"], kind):
        raise _refused(
            "A filter has the name of this page, but does something else. Rename or remove it."
        )
    return one["body"], one["tag"]


def is_own(rule: dict[str, Any], kind: str) -> bool:
    """Return whether a rule is for all mail, and has only actions of a kind."""
    body = rule["rule"]
    if not isinstance(body, dict) or body.get("match") != "always" or body.get("conditions"):
        return False
    return all(action.get("kind") == kind for action in actions_of(rule))


def actions_of(rule: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Return the actions of a rule."""
    if rule is None or not isinstance(rule["rule"], dict):
        return []
    return [one for one in rule["rule"].get("actions", ()) if isinstance(one, dict)]


async def save_rule(
    visit: Visit, name: str, actions: list[dict[str, Any]], *, enabled: bool
) -> None:
    """Write the rule that a page has, which is for all mail.

    The form has the tag of the rule that it was made from; without one there was no rule.
    """
    rule = {"match": "always", "conditions": [], "actions": actions}
    tag = visit.form.text("tag")
    if not tag:
        given = {"name": name, "rule": rule, "enabled": enabled}
        await visit.run(step("own-add-rule", body=given))
        return
    change = {"rule": rule, "enabled": enabled}
    await visit.run(step("own-change-rule", {"name": name}, body=change, tag=tag))


def _refused(text: str) -> ApiProblem:
    return ApiProblem(HTTPStatus.CONFLICT, text)
