"""Aliases, for administrators of their domains."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from accounts.pages.form import WebForm
from accounts.pages.views.lists import show_list
from accounts.pages.visit import Visit, step


async def show(visit: Visit) -> Response:
    """Show the aliases, a page at a time."""
    return await show_list(visit, "list-aliases", "aliases.html", ("text", "domain"))


async def show_new(visit: Visit) -> Response:
    """Show the form for another alias."""
    return visit.page("alias.html", alias=None, tag="")


async def add(visit: Visit) -> Response:
    """Add an alias."""
    given = {"address": visit.form.text("address")} | _values(visit.form)
    (made,) = await visit.run(step("add-alias", body=given))
    return visit.go(f"/aliases/{made['body']['address']}", "added")


async def show_one(visit: Visit) -> Response:
    """Show an alias and its form."""
    (found,) = await visit.run(step("get-alias", _where(visit)))
    return visit.page("alias.html", alias=found["body"], tag=found["tag"])


async def save(visit: Visit) -> Response:
    """Save an alias."""
    tag = visit.form.text("tag") or '"-"'
    change = _values(visit.form)
    (made,) = await visit.run(step("change-alias", _where(visit), body=change, tag=tag))
    return visit.go(f"/aliases/{made['body']['address']}", "changed")


async def show_removal(visit: Visit) -> Response:
    """Ask whether an alias is to be removed."""
    (found,) = await visit.run(step("get-alias", _where(visit)))
    return visit.page("alias_remove.html", alias=found["body"], tag=found["tag"])


async def remove(visit: Visit) -> Response:
    """Remove an alias."""
    tag = visit.form.text("tag") or '"-"'
    await visit.run(step("remove-alias", _where(visit), tag=tag))
    return visit.go("/aliases", "removed")


def _where(visit: Visit) -> dict[str, str]:
    return {"address": visit.params["address"]}


def _values(form: WebForm) -> dict[str, Any]:
    return {
        "targets": form.lines("targets"),
        "description": form.text("description"),
        "expires": form.last_moment("expires"),
        "enabled": form.flag("enabled"),
        "members_may_send": form.flag("members_may_send"),
    }
