"""Tokens of programs, for global administrators."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from accounts.http.principals import ALL, AREAS, PROGRAM_SCOPES, SCOPES
from accounts.pages.form import WebForm, wrong
from accounts.pages.views.lists import MAX_KEY
from accounts.pages.visit import ROWS, Visit, step

GROUPS = (ALL, *AREAS)
"""Areas in the order of the form."""


async def show(visit: Visit) -> Response:
    """Show the tokens, a page at a time, and the form for another one."""
    return await _shown(visit)


async def add(visit: Visit) -> Response:
    """Make a token, which is shown only now."""
    form = visit.form
    await visit.confirm()
    given: dict[str, Any] = {
        "name": form.text("name"),
        "scopes": _scopes(form),
        "expires": form.last_moment("expires"),
    }
    owner = form.text("owner")
    if owner:
        given["mailbox" if "@" in owner else "administrator"] = owner
    (made,) = await visit.run(step("add-token", body=given))
    visit.form = WebForm()
    return await _shown(visit, made["body"])


async def show_removal(visit: Visit) -> Response:
    """Ask whether a token is to be revoked."""
    (found,) = await visit.run(step("get-token", _where(visit)))
    return visit.page("token_remove.html", found=found["body"])


async def remove(visit: Visit) -> Response:
    """Revoke a token."""
    await visit.confirm()
    await visit.run(step("remove-token", _where(visit)))
    return visit.go("/tokens", "removed")


def _where(visit: Visit) -> dict[str, str]:
    return {"id": visit.query.get("id", "")}


def _scopes(form: WebForm) -> list[str]:
    found = [f"{area}:{form.text(f'scope-{area}')}" for area in GROUPS]
    made = [one for one in found if one in SCOPES]
    made += [one for one in PROGRAM_SCOPES if one in form.all("program")]
    if not made:
        raise wrong("scopes", "Choose at least one right.")
    return made


async def _shown(visit: Visit, made: dict[str, Any] | None = None) -> Response:
    text = visit.query.get("after", "")[:MAX_KEY]
    after = int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None
    (found,) = await visit.run(step("list-tokens", query={"after": after, "limit": ROWS}))
    return visit.page(
        "tokens.html",
        rows=found["body"]["items"],
        next=found["next"],
        made=made,
        areas=GROUPS,
        programs=PROGRAM_SCOPES,
    )
