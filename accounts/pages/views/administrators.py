"""Administrators, for global administrators."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from accounts.pages.form import WebForm
from accounts.pages.views.lists import show_list
from accounts.pages.visit import Visit, chosen, step
from accounts.passwords import random_password

ROLES: Final = ("domains", "global")
"""Roles; a form without one means the first."""
GROUPS: Final = 4
"""Groups of four characters of a first password: 80 random bits."""


async def show(visit: Visit) -> Response:
    """Show the administrators, a page at a time."""
    return await show_list(visit, "list-administrators", "administrators.html")


async def show_new(visit: Visit) -> Response:
    """Show the form for another administrator."""
    return visit.page("administrator_new.html", made=None, password="")


async def add(visit: Visit) -> Response:
    """Add an administrator with a first password, which is shown only now."""
    await visit.confirm()
    password = random_password(GROUPS)
    given = {"login": visit.form.text("login"), "password": password, **_rights(visit.form)}
    (made,) = await visit.run(step("add-administrator", body=given))
    visit.form = WebForm()
    return visit.page("administrator_new.html", made=made["body"], password=password)


async def show_one(visit: Visit) -> Response:
    """Show an administrator and the form."""
    return await _shown(visit)


async def save(visit: Visit) -> Response:
    """Save the rights of an administrator."""
    await visit.confirm()
    change = _rights(visit.form) | {"enabled": visit.form.flag("enabled")}
    tag = visit.form.text("tag") or '"-"'
    (made,) = await visit.run(step("change-administrator", _where(visit), body=change, tag=tag))
    return visit.go(f"/administrators/{made['body']['login']}", "changed")


async def renew_password(visit: Visit) -> Response:
    """Set another password of an administrator, which is shown only now; their sessions end."""
    await visit.confirm()
    password = random_password(GROUPS)
    given = {"password": password}
    await visit.run(step("set-administrator-password", _where(visit), body=given))
    visit.form = WebForm()
    return await _shown(visit, password)


async def show_removal(visit: Visit) -> Response:
    """Ask whether an administrator is to be removed, and say what goes with them."""
    found, tokens = await visit.run(
        step("get-administrator", _where(visit)),
        step("list-tokens", query={"administrator": visit.params["login"]}),
    )
    return visit.page(
        "administrator_remove.html",
        administrator=found["body"],
        tag=found["tag"],
        tokens=tokens["body"]["items"],
    )


async def remove(visit: Visit) -> Response:
    """Remove an administrator with their tokens."""
    await visit.confirm()
    tag = visit.form.text("tag") or '"-"'
    await visit.run(step("remove-administrator", _where(visit), tag=tag))
    return visit.go("/administrators", "removed")


def _where(visit: Visit) -> dict[str, str]:
    return {"login": visit.params["login"]}


def _rights(form: WebForm) -> dict[str, Any]:
    return {"role": chosen(ROLES, form.text("role")), "domains": form.lines("domains")}


async def _shown(visit: Visit, password: str = "") -> Response:
    (found,) = await visit.run(step("get-administrator", _where(visit)))
    return visit.page(
        "administrator.html", administrator=found["body"], tag=found["tag"], password=password
    )
