"""App passwords of the visitor's mailbox."""

from __future__ import annotations

from starlette.responses import Response

from accounts.directory.app_passwords import PROTOCOLS
from accounts.pages.form import WebForm
from accounts.pages.visit import Visit, step


async def show(visit: Visit) -> Response:
    """Show the app passwords and the form for another one."""
    return await _shown(visit)


async def add(visit: Visit) -> Response:
    """Make an app password, which is shown only now."""
    form = visit.form
    await visit.confirm()
    given = {
        "name": form.text("name"),
        "protocols": [one for one in PROTOCOLS if one in form.all("protocols")],
        "expires": form.last_moment("expires"),
    }
    (made,) = await visit.run(step("own-add-app-password", body=given))
    visit.form = WebForm()
    return await _shown(visit, made["body"])


async def show_removal(visit: Visit) -> Response:
    """Ask whether an app password is to be removed."""
    name = visit.query.get("name", "")
    (found,) = await visit.run(step("own-get-app-password", {"name": name}))
    return visit.page("app_password_remove.html", found=found["body"])


async def remove(visit: Visit) -> Response:
    """Remove an app password."""
    await visit.confirm()
    name = visit.query.get("name", "")
    await visit.run(step("own-remove-app-password", {"name": name}))
    return visit.go("/app-passwords", "removed")


async def _shown(visit: Visit, made: dict[str, object] | None = None) -> Response:
    (found,) = await visit.run(step("own-list-app-passwords"))
    return visit.page(
        "app_passwords.html", found=found["body"]["items"], protocols=PROTOCOLS, made=made
    )
