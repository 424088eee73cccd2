"""Changes: the audit log, for administrators."""

from __future__ import annotations

from starlette.responses import Response

from accounts.http.principals import Role
from accounts.pages.views.lists import show_list
from accounts.pages.visit import Visit


async def show(visit: Visit) -> Response:
    """Show the latest changes; an administrator of some domains has to name the object."""
    is_global = visit.principal.role is Role.GLOBAL
    if not is_global and not visit.query.get("object", "").strip():
        sought = {"object": "", "actor": ""}
        return visit.page("audit.html", rows=[], next=None, sought=sought, is_global=False)
    return await show_list(
        visit, "list-audit", "audit.html", ("object", "actor"), "before", is_global=is_global
    )
