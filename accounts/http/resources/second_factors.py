"""Operations on second factors of others: to see them, and to remove them all.

People add and remove their own in the web pages alone, with a password and a code.
"""

from __future__ import annotations

from functools import partial
from http import HTTPStatus

from sqlalchemy import Connection

from accounts.directory import administrators, mailboxes, second_factors
from accounts.directory.owner import find_login_owner
from accounts.directory.second_factors import SecondFactor
from accounts.http import grants
from accounts.http.authentication import attempts_name, factor_attempts_name
from accounts.http.call import ApiReply, Call
from accounts.http.models.second_factors import SecondFactorOut
from accounts.http.operation import Operation, Reach, for_owner
from accounts.store.errors import Invalid
from accounts.store.transaction import Write


async def find_of_mailbox(call: Call) -> ApiReply:
    """List the second factors of a mailbox."""

    def work(connection: Connection) -> list[SecondFactor]:
        box = mailboxes.get(connection, call.address)
        return second_factors.find(connection, find_login_owner(connection, mailbox=box.address))

    return ApiReply(await call.read(work))


async def reset_of_mailbox(call: Call) -> ApiReply:
    """Remove the second factors of a mailbox, and end its sessions."""

    def work(write: Write) -> str:
        with write.attempt("second-factor.reset", call.address):
            box = mailboxes.get(write.connection, call.address)
        owner = find_login_owner(write.connection, mailbox=box.address)
        second_factors.reset(write, owner)
        return owner.name

    name = await call.write(work)
    account = factor_attempts_name(name)
    call.after(partial(call.context.attempts.forget_account, account))
    return ApiReply()


async def find_of_administrator(call: Call) -> ApiReply:
    """List the second factors of an administrator."""

    def work(connection: Connection) -> list[SecondFactor]:
        found = administrators.get(connection, call.params["login"])
        owner = find_login_owner(connection, administrator=found.login)
        return second_factors.find(connection, owner)

    return ApiReply(await call.read(work))


async def reset_of_administrator(call: Call) -> ApiReply:
    """Remove the second factors of another administrator, and end their sessions."""

    def work(write: Write) -> str:
        with write.attempt("second-factor.reset", call.params["login"]):
            found = administrators.get(write.connection, call.params["login"])
            # whoever can do this needs only the password of the other, so it counts as one
            grants.check_change(call.principal, found, {"password": None})
            if found.id == call.principal.administrator:
                raise Invalid("login", "Remove your own in the web pages, with a code.")
        owner = find_login_owner(write.connection, administrator=found.login)
        second_factors.reset(write, owner)
        return owner.name

    name = await call.write(work)
    account = factor_attempts_name(attempts_name(name))
    call.after(partial(call.context.attempts.forget_account, account))
    return ApiReply()


_MAILBOX = "/mailboxes/{address}/second-factors"
_ADMINISTRATOR = "/administrators/{login}/second-factors"

OPERATIONS = [
    *for_owner(
        [
            Operation(
                "list-second-factors",
                "GET",
                _MAILBOX,
                "second-factors",
                Reach.OWNER,
                "List the second factors of a mailbox",
                find_of_mailbox,
                gives=SecondFactorOut,
                is_list=True,
            )
        ]
    ),
    Operation(
        "reset-second-factors",
        "DELETE",
        _MAILBOX,
        "second-factors",
        Reach.DOMAIN,
        "Remove all second factors of a mailbox, and end its sessions",
        reset_of_mailbox,
        status=HTTPStatus.NO_CONTENT,
    ),
    Operation(
        "list-administrator-second-factors",
        "GET",
        _ADMINISTRATOR,
        "administrators",
        Reach.GLOBAL,
        "List the second factors of an administrator",
        find_of_administrator,
        gives=SecondFactorOut,
        is_list=True,
    ),
    Operation(
        "reset-administrator-second-factors",
        "DELETE",
        _ADMINISTRATOR,
        "administrators",
        Reach.GLOBAL,
        "Remove all second factors of another administrator, and end their sessions",
        reset_of_administrator,
        status=HTTPStatus.NO_CONTENT,
    ),
]
