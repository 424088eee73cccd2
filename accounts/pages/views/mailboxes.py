"""Mailboxes, for administrators of their domains."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from accounts.pages.form import WebForm
from accounts.pages.views.lists import show_list
from accounts.pages.visit import Visit, step

FLAGS = ("enabled", "may_login", "may_send", "may_receive", "keep_copy")


async def show(visit: Visit) -> Response:
    """Show the mailboxes, a page at a time."""
    return await show_list(visit, "list-mailboxes", "mailboxes.html", ("text", "domain"))


async def show_new(visit: Visit) -> Response:
    """Show the form for another mailbox."""
    return visit.page("mailbox_new.html")


async def add(visit: Visit) -> Response:
    """Add a mailbox."""
    form = visit.form
    given: dict[str, Any] = {
        "address": form.text("address"),
        "display_name": form.text("display_name"),
    }
    if form.text("quota"):
        given["quota"] = form.size("quota")
    if form.secret("password"):
        given["password"] = form.secret("password")
    (made,) = await visit.run(step("add-mailbox", body=given))
    return visit.go(f"/mailboxes/{made['body']['address']}", "added")


async def show_one(visit: Visit) -> Response:
    """Show a mailbox with its form, its delegates and its app passwords."""
    where = _where(visit)
    mailbox, usage, rights, passwords, aliases = await visit.run(
        step("get-mailbox", where),
        step("get-usage", where),
        step("list-sender-rights", where),
        step("list-app-passwords", where),
        step("list-aliases", query={"target": visit.params["address"]}),
    )
    return visit.page(
        "mailbox.html",
        mailbox=mailbox["body"],
        tag=mailbox["tag"],
        usage=usage["body"],
        rights=rights["body"]["items"],
        passwords=passwords["body"]["items"],
        aliases=aliases["body"]["items"],
    )


async def save(visit: Visit) -> Response:
    """Save a mailbox."""
    form = visit.form
    change: dict[str, Any] = {
        "display_name": form.text("display_name"),
        "quota": form.size("quota"),
        "forwards": form.lines("forwards"),
        **_flags(form),
    }
    tag = form.text("tag") or '"-"'
    (made,) = await visit.run(step("change-mailbox", _where(visit), body=change, tag=tag))
    return visit.go(f"/mailboxes/{made['body']['address']}", "changed")


async def set_password(visit: Visit) -> Response:
    """Set the password of a mailbox, whose sessions end."""
    await visit.confirm()
    given = {"password": visit.form.secret("password")}
    await visit.run(step("set-password", _where(visit), body=given))
    return visit.go(f"/mailboxes/{visit.params['address']}", "changed")


async def change_delegates(visit: Visit) -> Response:
    """Let a mailbox send as another address, or no more."""
    form, where = visit.form, _where(visit)
    sender = form.text("sender")
    if form.flag("remove"):
        await visit.run(step("remove-sender-right", where | {"sender": sender}))
        return visit.go(f"/mailboxes/{where['address']}", "removed")
    await visit.run(step("add-sender-right", where, body={"sender": sender}))
    return visit.go(f"/mailboxes/{where['address']}", "added")


async def remove_app_password(visit: Visit) -> Response:
    """Remove an app password; administrators never make or see one."""
    where = _where(visit)
    name = {"name": visit.form.secret("name")}
    await visit.run(step("remove-app-password", where | name))
    return visit.go(f"/mailboxes/{where['address']}", "removed")


async def show_removal(visit: Visit) -> Response:
    """Ask whether a mailbox is to be removed, and say what goes with it."""
    mailbox, usage = await visit.run(
        step("get-mailbox", _where(visit)), step("get-usage", _where(visit))
    )
    return visit.page(
        "mailbox_remove.html",
        mailbox=mailbox["body"],
        tag=mailbox["tag"],
        usage=usage["body"],
        kept=int(visit.context.keep_deleted // 86_400),
    )


async def remove(visit: Visit) -> Response:
    """Remove a mailbox."""
    await visit.confirm()
    tag = visit.form.text("tag") or '"-"'
    await visit.run(step("remove-mailbox", _where(visit), tag=tag))
    return visit.go("/mailboxes", "removed")


def _where(visit: Visit) -> dict[str, str]:
    return {"address": visit.params["address"]}


def _flags(form: WebForm) -> dict[str, bool]:
    return {name: form.flag(name) for name in FLAGS}
