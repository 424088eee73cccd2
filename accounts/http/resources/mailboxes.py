"""Operations on mailboxes."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from http import HTTPStatus
from typing import Any

from sqlalchemy import Connection

from accounts.directory import mailboxes
from accounts.directory.mailboxes import Mailbox
from accounts.http.call import Call, Reply
from accounts.http.models.mailboxes import (
    MailboxAdd,
    MailboxChange,
    MailboxOut,
    MailboxQuery,
    MailboxRename,
    NewPassword,
)
from accounts.http.operation import Operation, Params, Reach, for_owner
from accounts.http.paths import location
from accounts.store.transaction import Write

PATH = "/mailboxes/{address}"


async def find(call: Call) -> Reply:
    """List mailboxes."""

    def work(connection: Connection, limit: int) -> list[Mailbox]:
        return mailboxes.find(
            connection,
            domain=call.query.domain,
            text=call.query.text,
            after=call.query.after,
            limit=limit,
            administrator=call.administrator,
        )

    return await call.page(work, lambda mailbox: mailbox.address)


async def get(call: Call) -> Reply:
    """Read a mailbox."""
    return Reply.of(await call.read(lambda c: mailboxes.get(c, call.address)))


async def add(call: Call) -> Reply:
    """Add a mailbox."""
    values = call.changes
    address = values.pop("address")
    if "password" in values:
        values["password"] = await call.hashed(values["password"], address)
    made = await call.write(lambda write: mailboxes.add(write, address, **values))
    return Reply.of(made, location=location("mailboxes", made.address))


async def change(call: Call) -> Reply:
    """Change a mailbox."""

    def work(write: Write) -> Mailbox:
        before = _expected(call, write, "mailbox.change")
        return mailboxes.change(write, before.address, before.version, **call.changes)

    return Reply.of(await call.write(work))


async def rename(call: Call) -> Reply:
    """Give a mailbox another address."""

    def work(write: Write) -> Mailbox:
        before = _expected(call, write, "mailbox.rename")
        return mailboxes.rename(
            write,
            before.address,
            call.body.address,
            before.version,
            keep_alias=bool(call.body.keep_alias),
        )

    made = await call.write(work)
    return Reply.of(made, location=location("mailboxes", made.address))


async def remove(call: Call) -> Reply:
    """Remove a mailbox."""

    def work(write: Write) -> None:
        before = _expected(call, write, "mailbox.remove")
        mailboxes.remove(write, before.address, before.version)

    await call.write(work)
    return Reply()


async def set_password(call: Call) -> Reply:
    """Set the password of a mailbox."""
    given = call.body.password
    password = None if given is None else await call.hashed(given, call.address)
    made = await call.write(lambda w: mailboxes.change(w, call.address, None, password=password))
    call.context.attempts.forget_account(made.address)
    return Reply()


def _expected(call: Call, write: Write, action: str) -> Mailbox:
    with write.attempt(action, call.address):
        before = mailboxes.get(write.connection, call.address)
        call.matching.expect(before)
    return before


def of_body(params: Params, body: Any) -> Iterable[str]:
    """Return the address of the path, if there is one, and that of the body."""
    if "address" in params:
        yield params["address"]
    if body is not None:
        yield body.address


_mailboxes = partial(Operation, path="/mailboxes", area="mailboxes", gives=MailboxOut)
_mailbox = partial(Operation, path=PATH, area="mailboxes", reach=Reach.DOMAIN, gives=MailboxOut)
STORE = frozenset({"store"})
"""Only global administrators know the hosts."""

OPERATIONS = [
    _mailboxes(
        name="list-mailboxes",
        method="GET",
        reach=Reach.LISTED,
        summary="List mailboxes",
        handle=find,
        query=MailboxQuery,
        is_list=True,
    ),
    _mailboxes(
        name="add-mailbox",
        method="POST",
        reach=Reach.DOMAIN,
        summary="Add a mailbox",
        handle=add,
        takes=MailboxAdd,
        status=HTTPStatus.CREATED,
        touches=of_body,
        reserved=STORE,
    ),
    *for_owner(
        [
            Operation(
                name="get-mailbox",
                method="GET",
                path=PATH,
                area="mailboxes",
                reach=Reach.OWNER,
                summary="Read a mailbox",
                handle=get,
                gives=MailboxOut,
            )
        ],
        below="/me/mailbox",
    ),
    _mailbox(
        name="change-mailbox",
        method="PATCH",
        summary="Change a mailbox",
        handle=change,
        takes=MailboxChange,
        matches=True,
        reserved=STORE,
    ),
    _mailbox(
        name="rename-mailbox",
        method="POST",
        path=f"{PATH}/rename",
        summary="Give a mailbox another address",
        handle=rename,
        takes=MailboxRename,
        matches=True,
        touches=of_body,
    ),
    _mailbox(
        name="remove-mailbox",
        method="DELETE",
        summary="Remove a mailbox with all that belongs to it; its mail stays",
        handle=remove,
        gives=None,
        status=HTTPStatus.NO_CONTENT,
        matches=True,
    ),
    _mailbox(
        name="set-password",
        method="PUT",
        path=f"{PATH}/password",
        summary="Set the password of a mailbox",
        handle=set_password,
        takes=NewPassword,
        gives=None,
        status=HTTPStatus.NO_CONTENT,
    ),
]
