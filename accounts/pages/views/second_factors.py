"""Own second factors: an app for codes, passkeys, and recovery codes."""

from __future__ import annotations

import base64
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import segno
from sqlalchemy import Connection
from starlette.responses import JSONResponse, Response

from accounts.directory import (
    challenges,
    passkeys,
    recovery_codes,
    second_factors,
    totp_secrets,
    web_sessions,
)
from accounts.directory.owner import LoginOwner, find_login_owner
from accounts.http.call import actor_of
from accounts.http.problems import ApiProblem
from accounts.one_time_code import uri
from accounts.pages.form import wrong
from accounts.pages.visit import Visit
from accounts.store.errors import NoSuchObject
from accounts.store.transaction import Write
from accounts.webauthn import BadPasskeyError
from gatepost.logs import get_logger

_HERE = "/security/second-factor"

log = get_logger("accounts")


async def show(visit: Visit) -> Response:
    """Show the second factors of the visitor."""

    def work(connection: Connection) -> dict[str, Any]:
        owner = _owner(connection, visit)
        return {
            "app": totp_secrets.get(connection, owner),
            "keys": passkeys.find(connection, owner),
            "left": recovery_codes.count(connection, owner),
        }

    found = await visit.context.database.read(work)
    return visit.page("second_factors.html", must_enrol=visit.must_enrol, **found)


# an app


async def show_app(visit: Visit) -> Response:
    """Show how to add an app; its secret only after `act_app` has made one."""
    secret = None
    # the password was given in this request, or shortly before
    if visit.has_confirmed and visit.form.text("do") == "confirm":
        seal, now = visit.context.seal, visit.now
        secret = await visit.context.database.read(
            lambda c: totp_secrets.pending(c, seal, _owner(c, visit), now)
        )
    return _app_page(visit, secret)


async def act_app(visit: Visit) -> Response:
    """Make a secret, or let it count after a right code."""
    await visit.confirm()
    seal, now = visit.context.seal, visit.now
    if visit.form.text("do") != "confirm":
        made = await visit.context.database.record(
            lambda c: totp_secrets.begin(c, seal, _owner(c, visit), now)
        )
        if made is None:
            raise ApiProblem(HTTPStatus.CONFLICT, "There is an app already. Remove it first.")
        return _app_page(visit, made)
    code = "".join(visit.form.text("first_code")[:20].split())

    def work(write: Write, owner: LoginOwner) -> None:
        if not totp_secrets.confirm(write, seal, owner, code):
            raise wrong("first_code", "The code is not right.")

    return await _added(visit, work)


def _app_page(visit: Visit, secret: bytes | None) -> Response:
    if secret is None:
        return visit.page("factor_app.html", secret=None)
    text = base64.b32encode(secret).decode()
    code = segno.make(uri(text, visit.prover.party.host, visit.principal.name), error="m")
    return visit.page(
        "factor_app.html",
        secret=" ".join(text[at : at + 4] for at in range(0, len(text), 4)),
        picture=code.svg_data_uri(scale=5, border=4, dark="#000", light="#fff"),
    )


# passkeys


async def show_passkey(visit: Visit) -> Response:
    """Show the form for a new passkey."""
    return visit.page("factor_passkey.html", passkey_script=True)


async def offer_passkey(visit: Visit) -> Response:
    """Return what a browser needs for a new passkey, as JSON."""
    known, challenge = await visit.context.database.record(
        lambda c: _challenge(c, visit, "register")
    )
    options = visit.prover.party.creation(visit.principal.name, known, challenge)
    return JSONResponse(options)


async def offer_challenge(visit: Visit) -> Response:
    """Return what a passkey has to sign before an action that needs it again, as JSON."""
    made = await visit.context.database.record(lambda c: _challenge(c, visit, "confirm"))
    return JSONResponse(visit.prover.party.request(*made, verified=False))


def _challenge(connection: Connection, visit: Visit, purpose: str) -> tuple[list[bytes], bytes]:
    """Return the ids of the visitor's passkeys, and a challenge."""
    found = passkeys.find(connection, _owner(connection, visit))
    made = challenges.make(connection, visit.secret, purpose, visit.now)
    return [one.credential for one in found], made


async def add_passkey(visit: Visit) -> Response:
    """Verify a new passkey, and keep it."""
    await visit.confirm()
    form, secret, now = visit.form, visit.secret, visit.now
    name = form.text("name")
    challenge = await visit.context.database.record(
        lambda c: challenges.take(c, secret, "register", now)
    )
    try:
        made = visit.prover.party.registered(challenge, form.secret("new_passkey"))
    except BadPasskeyError as error:
        log.info("passkey refused", actor=visit.principal.name, reason=str(error)[:200])
        raise _refused("The browser made no passkey. Try again; it needs JavaScript.") from None

    def work(write: Write, owner: LoginOwner) -> None:
        passkeys.add(
            write,
            owner,
            name,
            credential=made.credential,
            public_key=made.public_key,
            handle=made.handle,
            sign_count=made.sign_count,
        )

    return await _added(visit, work)


# recovery codes and removal


async def show_codes(visit: Visit) -> Response:
    """Show the form for new recovery codes."""
    return visit.page("recovery_codes.html", codes=None)


async def make_codes(visit: Visit) -> Response:
    """Make new recovery codes, and show them once."""
    await visit.confirm()
    if not visit.factors:
        raise NoSuchObject("There is no second factor.")
    codes = await _write(visit, recovery_codes.make)
    return visit.page("recovery_codes.html", codes=codes)


async def show_removal(visit: Visit) -> Response:
    """Show what the removal of a second factor means."""
    number = visit.form.text("passkey_id") or visit.query.get("passkey", "")
    if not number:
        name = ""
    else:
        found = await visit.context.database.read(lambda c: passkeys.find(c, _owner(c, visit)))
        name = next((one.name for one in found if str(one.id) == number), "")
        if not name:
            raise NoSuchObject("There is no such passkey.")
    return visit.page("factor_remove.html", number=number, name=name, passkey_script=True)


async def remove(visit: Visit) -> Response:
    """Remove a second factor, after the password and a second factor."""
    number = visit.form.number("passkey_id", 1, 2**63 - 1) if visit.form.text("passkey_id") else 0
    await visit.confirm(always=True)

    def work(write: Write, owner: LoginOwner) -> None:
        with write.attempt("second-factor.remove", owner.name):
            if number:
                passkeys.remove(write, owner, number)
            else:
                totp_secrets.remove(write, owner)
            second_factors.tidy(write.connection, owner)

    await _write(visit, work)
    return visit.go(_HERE, "factor-removed")


async def _added(visit: Visit, work: Callable[[Write, LoginOwner], None]) -> Response:
    """Add a second factor. With the first one, show recovery codes, and end other sessions."""
    kept = visit.own.id

    def add(write: Write, owner: LoginOwner) -> list[str] | None:
        is_first = not second_factors.kinds(write.connection, owner)
        work(write, owner)
        if not is_first:
            return None
        # they began with the password alone
        web_sessions.remove_others(write, kept, **visit.principal.login_owner)
        return recovery_codes.make(write, owner)

    codes = await _write(visit, add)
    if codes is None:
        return visit.go(_HERE, "factor-added")
    visit.factors = await visit.context.database.read(
        lambda c: second_factors.kinds(c, _owner(c, visit))
    )
    return visit.page("recovery_codes.html", codes=codes)


async def _write(visit: Visit, work: Callable[[Write, LoginOwner], Any]) -> Any:
    actor = actor_of(visit.principal, visit.client)
    return await visit.context.database.write(
        actor, lambda write: work(write, _owner(write.connection, visit))
    )


def _refused(text: str) -> ApiProblem:
    return ApiProblem(HTTPStatus.UNPROCESSABLE_ENTITY, text)


def _owner(connection: Connection, visit: Visit) -> LoginOwner:
    return find_login_owner(connection, **visit.principal.login_owner)
