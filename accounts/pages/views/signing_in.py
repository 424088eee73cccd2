"""Login, which may take two steps, and logout."""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple

from sqlalchemy import Connection
from starlette.responses import JSONResponse, RedirectResponse, Response

from accounts.directory import (
    administrators,
    challenges,
    login_steps,
    mailboxes,
    passkeys,
    second_factors,
    web_sessions,
)
from accounts.directory.owner import OwnerName, find_login_owner
from accounts.http.authentication import Refused, find_owner
from accounts.http.principals import Principal
from accounts.http.problems import ApiProblem
from accounts.pages import cookies
from accounts.pages.visit import MAX_NEXT, Visit
from accounts.passwords import BadPassword, Password
from accounts.store.errors import RefusalError

_NEXT = re.compile(r"/(?![/\\])[A-Za-z0-9@._~%/?=&+*:-]*\Z")


async def show_login(visit: Visit) -> Response:
    """Show the form; somebody who is logged in goes on."""
    if visit.visitor is not None and visit.problem is None:
        return RedirectResponse(next_of(visit, visit.query.get("next", "")), 303)
    is_new = not visit.secret
    if is_new:
        visit.secret = secrets.token_urlsafe(32)
    typed = visit.form.text("next") or visit.query.get("next", "")
    response = visit.page(
        "login.html",
        next=typed,
        has_ended="ended" in visit.query,
        passkey_script=visit.has_passkeys,
    )
    if is_new:
        cookies.put(response, cookies.FORM, visit.secret)
    return response


async def log_in(visit: Visit) -> Response:
    """Check login and password, and begin a session with a new secret, or the second step.

    A passkey whose authenticator knows its owner stands for all of it.
    """
    form, database = visit.form, visit.context.database
    if form.secret("passkey"):
        return await _log_in_with_passkey(visit)
    before = await database.read(lambda c: _versions(c, form.text("login")))
    try:
        password = Password(form.secret("password"))
        principal = await visit.authentication.by_password(
            form.text("login"), password, visit.client
        )
    except BadPassword:
        raise _refused("The login or the password is wrong.") from None
    except Refused as refused:
        raise _refused(refused.detail) from None

    def check(connection: Connection) -> None:
        """Insist that the account is as it was: another password has ended the sessions of now."""
        (kind,) = principal.login_owner
        if kind in before and _versions(connection, principal.name).get(kind) != before[kind]:
            raise _refused("The account was changed meanwhile. Log in again.")

    def begin_step(connection: Connection) -> str | None:
        check(connection)
        return _begin_step(connection, visit, principal)

    step = await database.record(begin_step)
    if step is not None:
        response = visit.go("/login/step", next=next_of(visit, form.text("next")))
        cookies.put(response, cookies.FORM, step)
        return response
    return _logged_in(visit, await begin(visit, principal, check=check))


def _versions(connection: Connection, name: str) -> dict[str, int]:
    """Return the versions of the administrator and of the mailbox with a name."""
    found = {}
    for kind, get in (("administrator", administrators.get), ("mailbox", mailboxes.get)):
        with contextlib.suppress(RefusalError):  # there is none, or the name is not valid
            found[kind] = get(connection, name).version
    return found


def _begin_step(connection: Connection, visit: Visit, principal: Principal) -> str | None:
    """Begin the second step of a login, and return its secret; None if there is none."""
    owner = find_login_owner(connection, **principal.login_owner)
    if not second_factors.kinds(connection, owner):
        return None
    return login_steps.begin(connection, owner, visit.now)


async def show_step(visit: Visit) -> Response:
    """Show the form for the second factor."""
    found = await visit.context.database.read(lambda c: _find_step(c, visit))
    if found is None:
        return visit.go("/login", ended=1)
    typed = visit.form.text("next") or visit.query.get("next", "")
    return visit.page("login_step.html", next=typed, factors=found.factors, passkey_script=True)


async def take_step(visit: Visit) -> Response:
    """Check the second factor, and begin a session with a new secret."""
    database, now = visit.context.database, visit.now
    found = await database.read(lambda c: _find_step(c, visit))
    if found is None:
        return visit.go("/login", ended=1)
    proof = visit.proof("step", cookies.read(visit.request, cookies.FORM))
    try:
        await visit.prover.prove(found.principal.login_owner, proof)
    except ApiProblem as problem:
        if problem.status == HTTPStatus.UNPROCESSABLE_ENTITY:
            await database.record(lambda c: login_steps.note_failure(c, found.id))
        raise
    # it ends here, or has ended meanwhile: with another password, or without the second factor
    if not await database.record(lambda c: login_steps.end(c, found.id, now)):
        return visit.go("/login", ended=1)
    return _logged_in(visit, await begin(visit, found.principal))


async def offer_step_challenge(visit: Visit) -> Response:
    """Return what a passkey has to sign for the second step, as JSON."""
    secret, now, party = cookies.read(visit.request, cookies.FORM), visit.now, visit.prover.party

    def work(connection: Connection) -> tuple[list[bytes], bytes] | None:
        found = _find_step(connection, visit)
        if found is None:
            return None
        owner = find_login_owner(connection, **found.principal.login_owner)
        known = [one.credential for one in passkeys.find(connection, owner)]
        return known, challenges.make(connection, secret, "step", now)

    made = await visit.context.database.record(work)
    if made is None:
        raise ApiProblem(HTTPStatus.FORBIDDEN, "Your session has ended. Log in again.")
    return JSONResponse(party.request(*made, verified=False))


async def offer_login_challenge(visit: Visit) -> Response:
    """Return what a passkey has to sign for a login without a password, as JSON."""
    secret, now, party = visit.secret, visit.now, visit.prover.party
    challenge = await visit.context.database.record(
        lambda c: challenges.make(c, secret, "login", now)
    )
    return JSONResponse(party.request(None, challenge, verified=True))


async def _log_in_with_passkey(visit: Visit) -> Response:
    owner = await visit.prover.identify(visit.proof("login"))
    principal = await visit.context.database.read(lambda c: find_owner(c, **_both(owner)))
    if principal is None:
        raise _refused("This account may not log in here.")
    return _logged_in(visit, await begin(visit, principal))


class _FoundStep(NamedTuple):
    id: int
    principal: Principal
    factors: frozenset[str]


def _find_step(connection: Connection, visit: Visit) -> _FoundStep | None:
    """Return the login of this browser that waits for its second step."""
    secret = cookies.read(visit.request, cookies.FORM)
    step = login_steps.find(connection, secret, visit.now)
    if step is None:
        return None
    principal = find_owner(connection, step.administrator, step.mailbox)
    if principal is None:
        return None
    owner = find_login_owner(connection, step.administrator, step.mailbox)
    factors = second_factors.kinds(connection, owner)
    return _FoundStep(step.id, principal, factors) if factors else None


def _both(owner: OwnerName) -> dict[str, str | None]:
    return {"administrator": owner.get("administrator"), "mailbox": owner.get("mailbox")}


def _logged_in(visit: Visit, secret: str) -> Response:
    """Return the way behind a login, with the secret of the session."""
    response: Response = RedirectResponse(next_of(visit, visit.form.text("next")), 303)
    cookies.put(response, cookies.SESSION, secret)
    cookies.drop(response, cookies.FORM)
    return response


async def begin(
    visit: Visit,
    principal: Principal,
    confirmed: int | None = None,
    check: Callable[[Connection], None] | None = None,
) -> str:
    """Begin a session, in place of the one that the browser has; return its secret.

    `confirmed` is when the password was given, if not just now. `check` may refuse in the same
    transaction.
    """
    now, limits, before = visit.now, visit.limits, visit.session
    client = None if visit.client is None else str(visit.client)
    browser = visit.request.headers.get("user-agent", "")

    def work(connection: Connection) -> str:
        if check is not None:
            check(connection)
        web_sessions.end_old(connection, now, limits)
        if before is not None:
            web_sessions.end(connection, before.id)
        secret = web_sessions.begin(connection, now, client, browser, **principal.login_owner)
        if confirmed is not None:
            web_sessions.note_confirmed(connection, secret, confirmed)
        return secret

    return await visit.context.database.record(work)


async def log_out(visit: Visit) -> Response:
    """End the session."""
    row = visit.own.id
    await visit.context.database.record(lambda connection: web_sessions.end(connection, row))
    response = visit.go("/login", "logged-out")
    cookies.drop(response, cookies.SESSION)
    return response


def next_of(visit: Visit, text: str) -> str:
    """Return the path behind a login: one of our own pages, or the first one."""
    home = visit.url("/")
    if len(text) <= MAX_NEXT and _NEXT.match(text) and text.startswith(home):
        return text
    return home


def _refused(text: str) -> ApiProblem:
    # no 401: a browser would ask for a login in a window of its own
    return ApiProblem(HTTPStatus.UNPROCESSABLE_ENTITY, text)
