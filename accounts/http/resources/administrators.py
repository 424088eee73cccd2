"""Operations on administrators."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus

from sqlalchemy import Connection

from accounts.directory import administrators
from accounts.directory.administrators import Administrator
from accounts.http import grants
from accounts.http.authentication import attempts_name
from accounts.http.call import ApiReply, Call
from accounts.http.models.administration import (
    AdministratorAdd,
    AdministratorChange,
    AdministratorOut,
    AdministratorQuery,
    LastQuery,
)
from accounts.http.models.mailboxes import NewPassword
from accounts.http.operation import Reach
from accounts.http.paths import location
from accounts.http.resources.kind import Kind
from accounts.store.errors import Invalid
from accounts.store.transaction import Write


def _find(connection: Connection, call: Call, limit: int) -> list[Administrator]:
    query = call.query
    return administrators.find(connection, text=query.text, after=query.after, limit=limit)


ADMINISTRATOR = Kind(
    noun="administrator",
    nouns="administrators",
    article="an",
    area="administrators",
    where="/administrators",
    one="{login}",
    gives=AdministratorOut,
    place=lambda administrator: ("administrators", administrator.login),
    search=_find,
    fetch=administrators.get,
    order=lambda administrator: administrator.login,
    takes=AdministratorAdd,
    query=AdministratorQuery,
    reach=Reach.GLOBAL,
)


async def add(call: Call) -> ApiReply:
    """Add an administrator."""
    values = call.changes
    login = values.pop("login")
    if "password" in values:
        values["password"] = call.prepared

    def work(write: Write) -> Administrator:
        with write.attempt("administrator.add", login):
            grants.check_new_administrator(call.principal, values)
            return administrators.add(write, login, **values)

    made = await call.write(work)
    return ADMINISTRATOR.reply(made, location=location(*ADMINISTRATOR.place(made)))


async def change(call: Call) -> ApiReply:
    """Change an administrator."""

    def work(write: Write) -> Administrator:
        before = ADMINISTRATOR.expected(call, write, "change")
        values, last = call.changes, call.query.last
        if values.get("enabled", True) is False or values.get("role", "global") != "global":
            _refuse_self(call, write, before, "administrator.change")
        with write.attempt("administrator.change", before.login):
            grants.check_change(call.principal, before, values)
        return administrators.change(write, before.login, before.version, last=last, **values)

    return ApiReply.of(await call.write(work))


async def remove(call: Call) -> ApiReply:
    """Remove an administrator."""

    def work(write: Write) -> None:
        before = ADMINISTRATOR.expected(call, write, "remove")
        _refuse_self(call, write, before, "administrator.remove")
        with write.attempt("administrator.remove", before.login):
            grants.check_removal(call.principal, before)
        administrators.remove(write, before.login, before.version, last=call.query.last)

    await call.write(work)
    return ApiReply()


async def set_password(call: Call) -> ApiReply:
    """Set the password of an administrator."""
    values = {"password": call.prepared}

    def work(write: Write) -> Administrator:
        before = ADMINISTRATOR.expected(call, write, "change")
        with write.attempt("administrator.change", before.login):
            grants.check_change(call.principal, before, values)
        return administrators.change(write, before.login, None, **values)

    made = await call.write(work)
    call.after(partial(call.context.attempts.forget_account, attempts_name(made.login)))
    return ApiReply()


def _refuse_self(call: Call, write: Write, found: Administrator, action: str) -> None:
    """Raise `Invalid` if administrators would lock themselves out."""
    if found.id == call.principal.administrator:
        with write.attempt(action, found.login):
            raise Invalid("login", "Another administrator must do this to your account.")


OPERATIONS = [
    ADMINISTRATOR.list(),
    ADMINISTRATOR.add(handle=add, prepare=Call.password_hash),
    ADMINISTRATOR.read(),
    ADMINISTRATOR.change(handle=change, takes=AdministratorChange, query=LastQuery),
    ADMINISTRATOR.remove(
        handle=remove, query=LastQuery, summary="Remove an administrator with their tokens"
    ),
    ADMINISTRATOR.act(
        "set-administrator-password",
        method="PUT",
        path="/administrators/{login}/password",
        summary="Set the password of an administrator",
        handle=set_password,
        prepare=Call.password_hash,
        takes=NewPassword,
        gives=None,
        status=HTTPStatus.NO_CONTENT,
        matches=False,
    ),
]
