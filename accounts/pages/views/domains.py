"""Domains, for their administrators."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from accounts.directory.alias_names import MAX_PERSONAL
from accounts.http.principals import Role
from accounts.pages.form import WebForm
from accounts.pages.views.lists import show_list
from accounts.pages.visit import Visit, step

LIMITS = ("max_mailboxes", "max_aliases")
PERSONAL = ("disposable_aliases", "named_aliases")
MOST = 10_000_000


async def show(visit: Visit) -> Response:
    """Show the domains, a page at a time."""
    return await show_list(visit, "list-domains", "domains.html")


async def show_new(visit: Visit) -> Response:
    """Show the form for another domain."""
    return visit.page("domain_new.html")


async def add(visit: Visit) -> Response:
    """Add a domain."""
    form = visit.form
    given = {"name": form.text("name"), "description": form.text("description")}
    if form.text("alias_of"):
        given["alias_of"] = form.text("alias_of")
    (made,) = await visit.run(step("add-domain", body=given))
    return visit.go(f"/domains/{made['body']['name']}", "added")


async def show_one(visit: Visit) -> Response:
    """Show a domain and its form."""
    (found,) = await visit.run(step("get-domain", _where(visit)))
    is_global = visit.principal.role is Role.GLOBAL
    return visit.page("domain.html", domain=found["body"], tag=found["tag"], is_global=is_global)


async def save(visit: Visit) -> Response:
    """Save the fields that the visitor may set."""
    form = visit.form
    change: dict[str, Any] = {
        "description": form.text("description"),
        "catch_all": form.text("catch_all") or None,
        "default_quota": form.size("default_quota"),
    }
    # a page that was opened before an upgrade may lack these
    if "named_alias_pattern" in form:
        change["named_alias_pattern"] = form.text("named_alias_pattern") or None
        change |= {name: form.number(name, 0, MAX_PERSONAL) for name in PERSONAL}
    if visit.principal.role is Role.GLOBAL:
        change |= {
            "enabled": form.flag("enabled"),
            "max_quota": form.size("max_quota"),
            "transport": form.text("transport") or None,
            "is_relay": form.flag("is_relay"),
            **{name: _limit(form, name) for name in LIMITS},
        }
    tag = form.text("tag") or '"-"'
    (made,) = await visit.run(step("change-domain", _where(visit), body=change, tag=tag))
    return visit.go(f"/domains/{made['body']['name']}", "changed")


async def show_removal(visit: Visit) -> Response:
    """Ask whether a domain is to be removed, and say what goes with it."""
    (found,) = await visit.run(step("get-domain", _where(visit)))
    return visit.page("domain_remove.html", domain=found["body"], tag=found["tag"])


async def remove(visit: Visit) -> Response:
    """Remove a domain with everything in it."""
    await visit.confirm()
    tag = visit.form.text("tag") or '"-"'
    await visit.run(step("remove-domain", _where(visit), tag=tag))
    return visit.go("/domains", "removed")


def _where(visit: Visit) -> dict[str, str]:
    return {"domain": visit.params["domain"]}


def _limit(form: WebForm, name: str) -> int | None:
    return form.number(name, 0, MOST) if form.text(name) else None
