"""Operations on administrators."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus

from sqlalchemy import Connection

from accounts.directory import administrators
from accounts.directory.administrators import Administrator
from accounts.http.authentication import attempts_name
from accounts.http.call import Call, Reply
from accounts.http.models.administration import (
    AdministratorAdd,
    AdministratorChange,
    AdministratorOut,
    AdministratorQuery,
)
from accounts.http.models.mailboxes import NewPassword
from accounts.http.operation import Operation, Reach
from accounts.http.paths import location
from accounts.store.errors import Invalid
from accounts.store.transaction import Write


async def find(call: Call) -> Reply:
    """List administrators."""

    def work(connection: Connection, limit: int) -> list[Administrator]:
        query = call.query
        return administrators.find(connection, text=query.text, after=query.after, limit=limit)

    return await call.page(work, lambda administrator: administrator.login)


async def get(call: Call) -> Reply:
    """Read an administrator."""
    return Reply.of(await call.read(lambda c: administrators.get(c, call.params["login"])))


async def add(call: Call) -> Reply:
    """Add an administrator."""
    values = call.changes
    login = values.pop("login")
    if "password" in values:
        values["password"] = await call.hashed(values["password"], login)
    made = await call.write(lambda write: administrators.add(write, login, **values))
    return Reply.of(made, location=location("administrators", made.login))


async def change(call: Call) -> Reply:
    """Change an administrator."""

    def work(write: Write) -> Administrator:
        before = _expected(call, write, "administrator.change")
        values = call.changes
        if values.get("enabled", True) is False or values.get("role", "global") != "global":
            _refuse_self(call, write, before, "administrator.change")
        return administrators.change(write, before.login, before.version, **values)

    return Reply.of(await call.write(work))


async def remove(call: Call) -> Reply:
    """Remove an administrator."""

    def work(write: Write) -> None:
        before = _expected(call, write, "administrator.remove")
        _refuse_self(call, write, before, "administrator.remove")
        administrators.remove(write, before.login, before.version)

    await call.write(work)
    return Reply()


async def set_password(call: Call) -> Reply:
    """Set the password of an administrator."""
    given, login = call.body.password, call.params["login"]
    password = None if given is None else await call.hashed(given, login)
    made = await call.write(lambda w: administrators.change(w, login, None, password=password))
    call.context.attempts.forget_account(attempts_name(made.login))
    return Reply()


def _expected(call: Call, write: Write, action: str) -> Administrator:
    with write.attempt(action, call.params["login"]):
        before = administrators.get(write.connection, call.params["login"])
        call.matching.expect(before)
    return before


def _refuse_self(call: Call, write: Write, found: Administrator, action: str) -> None:
    """Raise `Invalid` when administrators shut themselves out, perhaps as the last ones."""
    if found.id == call.principal.administrator:
        with write.attempt(action, found.login):
            raise Invalid("login", "Another administrator has to do this to you.")


_administrators = partial(
    Operation,
    path="/administrators",
    area="administrators",
    reach=Reach.GLOBAL,
    gives=AdministratorOut,
)
_administrator = partial(_administrators, path="/administrators/{login}")

OPERATIONS = [
    _administrators(
        name="list-administrators",
        method="GET",
        summary="List administrators",
        handle=find,
        query=AdministratorQuery,
        is_list=True,
    ),
    _administrators(
        name="add-administrator",
        method="POST",
        summary="Add an administrator",
        handle=add,
        takes=AdministratorAdd,
        status=HTTPStatus.CREATED,
    ),
    _administrator(
        name="get-administrator", method="GET", summary="Read an administrator", handle=get
    ),
    _administrator(
        name="change-administrator",
        method="PATCH",
        summary="Change an administrator",
        handle=change,
        takes=AdministratorChange,
        matches=True,
    ),
    _administrator(
        name="remove-administrator",
        method="DELETE",
        summary="Remove an administrator with their tokens",
        handle=remove,
        gives=None,
        status=HTTPStatus.NO_CONTENT,
        matches=True,
    ),
    _administrator(
        name="set-administrator-password",
        method="PUT",
        path="/administrators/{login}/password",
        summary="Set the password of an administrator",
        handle=set_password,
        takes=NewPassword,
        gives=None,
        status=HTTPStatus.NO_CONTENT,
    ),
]
