"""Own aliases of the visitor's mailbox: disposable ones, and named ones if the domain allows."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from accounts.pages.form import wrong
from accounts.pages.visit import Visit, step


async def show(visit: Visit) -> Response:
    """Show the own aliases, and the forms for another one."""
    return await _shown(visit)


async def add(visit: Visit) -> Response:
    """Make a disposable alias, or a named one; the page shows which it is."""
    form = visit.form
    given: dict[str, Any] = {
        "description": form.text("description"),
        "expires": form.last_moment("expires"),
    }
    if "name" in form:
        if not form.text("name"):
            raise wrong("name", "Write a name.")
        given["name"] = form.text("name")
    (made,) = await visit.run(step("own-add-personal-alias", body=given))
    return visit.go("/addresses", "added", address=made["body"]["address"])


async def show_one(visit: Visit) -> Response:
    """Show an own alias and its form."""
    (found,) = await visit.run(step("own-get-personal-alias", _where(visit)))
    return visit.page("address.html", alias=found["body"], tag=found["tag"])


async def save(visit: Visit) -> Response:
    """Save an own alias."""
    form = visit.form
    change = {
        "description": form.text("description"),
        "enabled": form.flag("enabled"),
        "expires": form.last_moment("expires"),
    }
    tag = form.text("tag") or '"-"'
    await visit.run(step("own-change-personal-alias", _where(visit), body=change, tag=tag))
    return visit.go("/addresses", "changed")


async def show_removal(visit: Visit) -> Response:
    """Ask whether an own alias is to be removed, and say what that means."""
    (found,) = await visit.run(step("own-get-personal-alias", _where(visit)))
    return visit.page("address_remove.html", alias=found["body"], tag=found["tag"])


async def remove(visit: Visit) -> Response:
    """Remove an own alias."""
    tag = visit.form.text("tag") or '"-"'
    await visit.run(step("own-remove-personal-alias", _where(visit), tag=tag))
    return visit.go("/addresses", "removed")


def _where(visit: Visit) -> dict[str, str]:
    return {"alias": visit.query.get("address", "")}


async def _shown(visit: Visit) -> Response:
    found, allowed = await visit.run(
        step("own-list-personal-aliases"), step("own-get-alias-allowance")
    )
    rows = found["body"]["items"]
    # only an address that is theirs appears, whatever a link says
    made = visit.query.get("address")
    return visit.page(
        "addresses.html",
        rows=rows,
        allowed=allowed["body"],
        made=next((one["address"] for one in rows if one["address"] == made), None),
    )
