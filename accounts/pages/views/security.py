"""Own password, own sessions, and the changes of the own account."""

from __future__ import annotations

from starlette.responses import Response

from accounts.directory import web_sessions
from accounts.http.call import actor_of
from accounts.http.principals import Role
from accounts.pages import cookies
from accounts.pages.form import wrong
from accounts.pages.views.signing_in import begin
from accounts.pages.visit import Visit, step

ENTRIES = 20
"""Changes of the own account that are shown."""


async def show(visit: Visit) -> Response:
    """Show the sessions of the visitor, and what happened to the account."""
    owner, now, limits = visit.principal.login_owner, visit.now, visit.limits
    sessions = await visit.context.database.read(
        lambda connection: web_sessions.find(connection, now, limits, **owner)
    )
    (audit,) = await visit.run(step("list-own-audit", query={"limit": ENTRIES}))
    return visit.page(
        "security.html",
        sessions=sessions,
        here_id=visit.own.id,
        entries=audit["body"]["items"],
        is_owner=visit.principal.role is Role.MAILBOX,
    )


async def end_session(visit: Visit) -> Response:
    """End a session of the visitor."""
    owner, row = visit.principal.login_owner, visit.form.number("session", 1, 2**63 - 1)
    actor = actor_of(visit.principal, visit.client)
    await visit.context.database.write(
        actor, lambda write: web_sessions.remove(write, row, **owner)
    )
    return visit.go("/security", "ended")


async def end_others(visit: Visit) -> Response:
    """End all sessions of the visitor but this one."""
    owner, row = visit.principal.login_owner, visit.own.id
    actor = actor_of(visit.principal, visit.client)
    await visit.context.database.write(
        actor, lambda write: web_sessions.remove_others(write, row, **owner)
    )
    return visit.go("/security", "others-ended")


async def show_password(visit: Visit) -> Response:
    """Show the form for another password."""
    return visit.page("password.html")


async def set_password(visit: Visit) -> Response:
    """Set the password of the visitor. All sessions end, and this browser gets a new one."""
    form = visit.form
    given = {
        "current_password": form.secret("current_password"),
        "password": form.secret("password"),
    }
    if given["password"] != form.secret("repeated"):
        raise wrong("repeated", "The two new passwords differ.")
    if visit.factors:
        await visit.confirm()
    await visit.run_alone("set-own-password", given)
    response = visit.go("/security", "password")
    cookies.put(response, cookies.SESSION, await begin(visit, visit.principal))
    return response
