"""Greylist: searches in the policy servers, and exceptions; for administrators."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from starlette.responses import Response

from accounts.http.principals import Role
from accounts.http.problems import ApiProblem
from accounts.pages.visit import ROWS, Visit, chosen, is_led_here, step
from gatepost.greylist_exchange import MAX_TEXT

KINDS: Final = ("client", "sender")


async def show(visit: Visit) -> Response:
    """Show the search, and what the policy servers answer once the URL has a text.

    A search is entered in the audit log, so a link of another site only fills in the form.
    """
    text = visit.query.get("text", "").strip()
    found: dict[str, Any] | None = None
    if text and not is_led_here(visit) and visit.problem is None:
        try:
            (answer,) = await visit.run(step("find-greylist", query={"text": text}))
            found = answer["body"]
        except ApiProblem as problem:
            if problem.status != HTTPStatus.UNPROCESSABLE_ENTITY:
                raise
            visit.problem = problem
    return visit.page("greylist.html", text=text[:MAX_TEXT], found=found, domains=_own(visit))


async def forget(visit: Visit) -> Response:
    """Let the policy servers forget records; those of one domain, if the form names one."""
    text, domain = visit.form.text("text"), visit.form.text("domain")
    if domain:
        where = {"domain": domain}
        done = await visit.run_reply("forget-domain-greylist", {"text": text}, where)
    else:
        done = await visit.run_reply("forget-greylist", {"text": text})
    is_done = bool(done["answered"]) and not done["missing"] and not done["problems"]
    return visit.go("/greylist", "forgotten" if is_done else "forgotten-in-part", text=text)


async def show_exceptions(visit: Visit) -> Response:
    """Show the exceptions, and a form for another one, which the URL may fill in."""
    after = visit.query.get("after", "")
    query: dict[str, str | int | bool | None] = {"limit": ROWS}
    if after.isascii() and after.isdecimal():
        query["after"] = after[:15]
    (found,) = await visit.run(step("list-greylist-exceptions", query=query))
    return visit.page(
        "greylist_exceptions.html",
        rows=found["body"]["items"],
        next=found["next"],
        kinds=KINDS,
        wanted={
            "kind": chosen(KINDS, visit.query.get("kind", "")),
            "pattern": visit.query.get("pattern", "")[:MAX_TEXT],
            "domain": visit.query.get("domain", "")[:MAX_TEXT],
        },
        is_global=visit.principal.role is Role.GLOBAL,
        domains=_own(visit),
    )


async def add(visit: Visit) -> Response:
    """Add an exception."""
    domain = visit.form.text("domain")
    given = {
        "kind": chosen(KINDS, visit.form.text("kind")),
        "pattern": visit.form.text("pattern"),
        "note": visit.form.text("note"),
    }
    if domain:
        await visit.run(step("add-domain-greylist-exception", {"domain": domain}, body=given))
    else:
        await visit.run(step("add-greylist-exception", body=given))
    return visit.go("/greylist/exceptions", "added")


async def remove(visit: Visit) -> Response:
    """Remove an exception."""
    domain, where = visit.form.text("domain"), {"id": visit.form.text("id")}
    if domain:
        where["domain"] = domain
        await visit.run(step("remove-domain-greylist-exception", where))
    else:
        await visit.run(step("remove-greylist-exception", where))
    return visit.go("/greylist/exceptions", "removed")


def _own(visit: Visit) -> list[str]:
    """Return the domains of an administrator of some; none for one of all."""
    return sorted(visit.principal.domains) if visit.principal.role is Role.DOMAINS else []
