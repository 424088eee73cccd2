"""App passwords of the visitor's mailbox, and the setup of a phone with a new one."""

from __future__ import annotations

from typing import Any, Final

import segno
from starlette.responses import Response

from accounts.autoconfig import apple, phone
from accounts.directory.app_passwords import PROTOCOLS
from accounts.http.autoconfig import profile_answer
from accounts.pages.form import WebForm, wrong
from accounts.pages.visit import Visit, step

MAX_PASSWORD: Final = 200
"""Characters of the password in a profile."""


async def show(visit: Visit) -> Response:
    """Show the app passwords and the form for another one."""
    return await _shown(visit)


async def add(visit: Visit) -> Response:
    """Make an app password, which is shown only now."""
    form = visit.form
    await visit.confirm()
    given = {
        "name": form.text("name"),
        "protocols": _protocols(form),
        "expires": form.last_moment("expires"),
    }
    made, mailbox = await visit.run(
        step("own-add-app-password", body=given), step("own-get-mailbox")
    )
    visit.form = WebForm()
    return await _shown(visit, made["body"], mailbox["body"]["display_name"])


async def download_profile(visit: Visit) -> Response:
    """Return a profile for Apple's devices with the password in the form.

    The page that shows a new password sends it back in this form: so it is in no URL, and the
    service need not keep it.
    """
    form, settings = visit.form, visit.context.autoconfig
    password, address = form.secret("password"), visit.principal.name
    servers = phone.servers_for(settings, _protocols(form))
    if servers is None or not 0 < len(password) <= MAX_PASSWORD or not password.isprintable():
        raise wrong("password", "There is no profile for this password.")
    domain = address.rpartition("@")[2]
    content = apple.profile(settings, domain, address, password, servers)
    return await profile_answer(visit.context, content)


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


def _protocols(form: WebForm) -> list[str]:
    return [one for one in PROTOCOLS if one in form.all("protocols")]


async def _shown(
    visit: Visit, made: dict[str, Any] | None = None, display_name: str = ""
) -> Response:
    (found,) = await visit.run(step("own-list-app-passwords"))
    return visit.page(
        "app_passwords.html",
        found=found["body"]["items"],
        protocols=PROTOCOLS,
        made=made,
        setup=None if made is None else _setup(visit, made, display_name),
    )


def _setup(visit: Visit, made: dict[str, Any], display_name: str) -> dict[str, Any] | None:
    """Return what helps to set up a phone with a new password; None without servers for it."""
    settings, address = visit.context.autoconfig, made["mailbox"]
    servers = phone.servers_for(settings, made["protocols"])
    if servers is None:
        return None
    url = phone.profile_url(settings, address)
    code = phone.thunderbird_code(servers, address, display_name, made["password"])
    return {
        "servers": servers,
        "url": url,
        "url_code": None if url is None else _picture(url),
        "thunderbird_code": None if code is None else _picture(code),
    }


def _picture(text: str) -> str:
    """Return a QR code as a picture that a page contains (ISO/IEC 18004)."""
    code = segno.make_qr(text, error="m")
    return code.svg_data_uri(scale=4, border=4, dark="#000", light="#fff")
