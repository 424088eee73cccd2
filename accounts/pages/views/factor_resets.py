"""Second factors of others, which administrators remove for those who have lost them."""

from __future__ import annotations

from starlette.responses import Response

from accounts.pages.visit import Visit, step


async def show_of_mailbox(visit: Visit) -> Response:
    """Show the second factors of a mailbox, and what it means to remove them."""
    address = visit.params["address"]
    (found,) = await visit.run(step("list-second-factors", {"address": address}))
    return visit.page(
        "factors_reset.html",
        name=address,
        action=f"/mailboxes/{address}/second-factors",
        back=f"/mailboxes/{address}",
        found=found["body"]["items"],
    )


async def reset_of_mailbox(visit: Visit) -> Response:
    """Remove all second factors of a mailbox, whose sessions end."""
    await visit.confirm()
    address = visit.params["address"]
    await visit.run(step("reset-second-factors", {"address": address}))
    return visit.go(f"/mailboxes/{address}", "factors-reset")


async def show_of_administrator(visit: Visit) -> Response:
    """Show the second factors of an administrator, and a form to choose one."""
    login = visit.form.text("login") or visit.query.get("login", "")
    name, found = "", []
    if login:
        operation = "list-administrator-second-factors"
        (answer,) = await visit.run(step(operation, {"login": login}))
        name, found = login, answer["body"]["items"]
    return visit.page(
        "factors_reset_administrator.html",
        name=name,
        action="/security/second-factor/others",
        back="/security/second-factor",
        found=found,
    )


async def reset_of_administrator(visit: Visit) -> Response:
    """Remove all second factors of another administrator, whose sessions end."""
    await visit.confirm()
    login = visit.form.text("login")
    await visit.run(step("reset-administrator-second-factors", {"login": login}))
    return visit.go("/security/second-factor", "factors-reset")
