"""Mail in quarantine: the list, one mail as text, its release and its end."""

from __future__ import annotations

import base64
from typing import Any, Final

from starlette.responses import Response

from accounts.http.principals import Role
from accounts.pages.visit import ROWS, Visit, step

PATH: Final = "/quarantine"


async def show(visit: Visit) -> Response:
    """Show the latest mail in quarantine, and the holders that do not answer."""
    (found,) = await visit.run(step("list-quarantine", query={"limit": ROWS}))
    return visit.page("quarantine.html", **found["body"], most=ROWS)


async def show_one(visit: Visit) -> Response:
    """Show a mail as text. It is entered in the audit log."""
    return await _shown(visit)


async def release(visit: Visit) -> Response:
    """Deliver a mail to its recipients, who are named again if that failed for some of them."""
    await visit.confirm()
    (done,) = await visit.run(step("release-quarantined-mail", _named(visit)))
    kept = done["body"]["kept"]
    if not kept:
        return visit.go(PATH, "released")
    return await _shown(visit, kept, done["body"]["released"])


async def show_removal(visit: Visit) -> Response:
    """Ask whether a mail is to be deleted."""
    (found,) = await visit.run(step("show-quarantined-mail", _named(visit)))
    return visit.page("quarantine_remove.html", mail=found["body"]["mail"])


async def remove(visit: Visit) -> Response:
    """Delete a mail for good."""
    await visit.confirm()
    await visit.run(step("delete-quarantined-mail", _named(visit)))
    return visit.go(PATH, "removed")


async def download(visit: Visit) -> Response:
    """Return a mail as a file to download, never as a page."""
    (found,) = await visit.run(step("fetch-quarantined-mail", _named(visit)))
    # the id is of letters and digits, or the operation would not have found the mail
    name = f"quarantine-{visit.params['id']}.eml"
    return Response(
        base64.b64decode(found["body"]["content"]),
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "X-Content-Type-Options": "nosniff",
        },
        # no program opens it by itself, as message/rfc822 might
        media_type="application/octet-stream",
    )


async def _shown(
    visit: Visit, kept: list[dict[str, Any]] | None = None, released: list[str] | None = None
) -> Response:
    (found,) = await visit.run(step("show-quarantined-mail", _named(visit)))
    body = found["body"]
    # "parts" are the macros of forms in templates
    body["parts_of_mail"] = body.pop("parts")
    return visit.page(
        "quarantine_mail.html",
        **body,
        kept=kept or [],
        released=released or [],
        is_global=visit.principal.role is Role.GLOBAL,
    )


def _named(visit: Visit) -> dict[str, str]:
    return {"holder": visit.params["holder"], "id": visit.params["id"]}
