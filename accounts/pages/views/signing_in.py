"""Login and logout."""

from __future__ import annotations

import re
import secrets
from http import HTTPStatus

from sqlalchemy import Connection
from starlette.responses import RedirectResponse, Response

from accounts.directory import web_sessions
from accounts.http.authentication import Refused
from accounts.http.principals import Principal, Role
from accounts.http.problems import ApiProblem
from accounts.pages import cookies
from accounts.pages.visit import MAX_NEXT, Visit
from accounts.passwords import BadPassword, Password

_NEXT = re.compile(r"/(?![/\\])[A-Za-z0-9@._~%/?=&+*:-]*\Z")


async def show_login(visit: Visit) -> Response:
    """Show the form; somebody who is logged in goes on."""
    if visit.visitor is not None and visit.problem is None:
        return RedirectResponse(next_of(visit, visit.query.get("next", "")), 303)
    is_new = not visit.secret
    if is_new:
        visit.secret = secrets.token_urlsafe(32)
    typed = visit.form.text("next") or visit.query.get("next", "")
    response = visit.page("login.html", next=typed, has_ended="ended" in visit.query)
    if is_new:
        cookies.put(response, cookies.FORM, visit.secret)
    return response


async def log_in(visit: Visit) -> Response:
    """Check login and password, and begin a session with a new secret."""
    form = visit.form
    try:
        password = Password(form.secret("password"))
        principal = await visit.authentication.by_password(
            form.text("login"), password, visit.client
        )
    except BadPassword:
        raise _refused("The login or the password is wrong.") from None
    except Refused as refused:
        raise _refused(refused.detail) from None
    wanted = next_of(visit, form.text("next"))
    response: Response = RedirectResponse(wanted, 303)
    cookies.put(response, cookies.SESSION, await begin(visit, principal))
    cookies.drop(response, cookies.FORM)
    return response


async def begin(visit: Visit, principal: Principal) -> str:
    """Begin a session, in place of the one that the browser has; return its secret."""
    now, limits, before = visit.now, visit.limits, visit.session
    client = None if visit.client is None else str(visit.client)
    browser = visit.request.headers.get("user-agent", "")

    def work(connection: Connection) -> str:
        web_sessions.end_old(connection, now, limits)
        if before is not None:
            web_sessions.end(connection, before.id)
        return web_sessions.begin(connection, now, client, browser, **owner_of(principal))

    return await visit.context.database.record(work)


async def log_out(visit: Visit) -> Response:
    """End the session."""
    row = visit.own.id
    await visit.context.database.record(lambda connection: web_sessions.end(connection, row))
    response = visit.go("/login", "logged-out")
    cookies.drop(response, cookies.SESSION)
    return response


def owner_of(principal: Principal) -> dict[str, str | None]:
    """Return the owner of sessions, as `accounts.directory.web_sessions` takes it."""
    if principal.role is Role.MAILBOX:
        return {"mailbox": principal.mailbox}
    return {"administrator": principal.name}


def next_of(visit: Visit, text: str) -> str:
    """Return the path behind a login: one of our own pages, or the first one."""
    home = visit.url("/")
    if len(text) <= MAX_NEXT and _NEXT.match(text) and text.startswith(home):
        return text
    return home


def _refused(text: str) -> ApiProblem:
    # no 401: a browser would ask for a login in a window of its own
    return ApiProblem(HTTPStatus.UNPROCESSABLE_ENTITY, text)
