"""Operations on mailboxes."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from http import HTTPStatus
from typing import Any

from sqlalchemy import Connection

from accounts.directory import fields, mailboxes
from accounts.directory.mailboxes import Mailbox
from accounts.http.call import ApiReply, Call
from accounts.http.models.mailboxes import (
    MailboxAdd,
    MailboxChange,
    MailboxOut,
    MailboxQuery,
    MailboxRename,
    NewPassword,
    UsageOut,
)
from accounts.http.operation import Params, Reach, for_owner
from accounts.http.paths import location
from accounts.http.resources.kind import Kind
from accounts.store.transaction import Write
from accounts.stored_mail import StoredMail

STORE = frozenset({"store"})
"""Fields that only global administrators may set, because they know the hosts."""


def of_body(params: Params, body: Any) -> Iterable[str]:
    """Return the address in the path, if there is one, and that in the body."""
    if "address" in params:
        yield params["address"]
    if body is not None:
        yield body.address


def _find(connection: Connection, call: Call, limit: int) -> list[Mailbox]:
    return mailboxes.find(
        connection,
        domain=call.query.domain,
        text=call.query.text,
        after=call.query.after,
        limit=limit,
        administrator=call.administrator,
    )


MAILBOX = Kind(
    noun="mailbox",
    nouns="mailboxes",
    article="a",
    area="mailboxes",
    where="/mailboxes",
    one="{address}",
    gives=MailboxOut,
    place=lambda mailbox: ("mailboxes", mailbox.address),
    search=_find,
    fetch=mailboxes.get,
    create=mailboxes.add,
    alter=mailboxes.change,
    delete=mailboxes.remove,
    named=("address",),
    order=lambda mailbox: mailbox.address,
    takes=MailboxAdd,
    changes=MailboxChange,
    query=MailboxQuery,
    touches=of_body,
)


async def rename(call: Call) -> ApiReply:
    """Give a mailbox another address."""

    def work(write: Write) -> Mailbox:
        before = MAILBOX.expected(call, write, "rename")
        keep_alias = bool(call.body.keep_alias)
        return mailboxes.rename(
            write, before.address, call.body.address, before.version, keep_alias=keep_alias
        )

    made = await call.write(work)
    return ApiReply.of(made, location=location(*MAILBOX.place(made)))


async def set_password(call: Call) -> ApiReply:
    """Set the password of a mailbox."""
    made = await call.write(
        lambda write: mailboxes.change(write, call.address, None, password=call.prepared)
    )
    call.after(partial(call.context.attempts.forget_account, made.address))
    return ApiReply()


async def ask_server(call: Call) -> StoredMail | None:
    """Return what a mailbox holds, before a transaction begins. For `prepare`."""
    address = str(fields.mailbox_address("address", call.address))
    return await call.context.usage(address)


async def show_usage(call: Call) -> ApiReply:
    """Return the use of a mailbox."""
    found = await call.read(lambda connection: mailboxes.get(connection, call.address))
    stored = call.prepared or StoredMail(None, None)
    return ApiReply(
        {
            "address": found.address,
            "octets": stored.octets,
            "messages": stored.messages,
            "quota": found.quota,
            "last_login": found.last_login,
        }
    )


OPERATIONS = [
    MAILBOX.list(reach=Reach.LISTED),
    MAILBOX.add(reserved=STORE, prepare=Call.password_hash),
    *for_owner([MAILBOX.read(reach=Reach.OWNER)], below="/me/mailbox"),
    *for_owner(
        [
            MAILBOX.act(
                "get-usage",
                method="GET",
                path="/mailboxes/{address}/usage",
                summary="Read what a mailbox holds, its limit and its last login",
                handle=show_usage,
                prepare=ask_server,
                gives=UsageOut,
                reach=Reach.OWNER,
                matches=False,
            )
        ],
        below="/me/mailbox",
    ),
    MAILBOX.change(reserved=STORE),
    MAILBOX.act(
        "rename-mailbox",
        summary="Give a mailbox another address",
        handle=rename,
        takes=MailboxRename,
        touches=of_body,
    ),
    MAILBOX.remove(summary="Remove a mailbox with its belongings; its mail is kept for a time"),
    MAILBOX.act(
        "set-password",
        method="PUT",
        path="/mailboxes/{address}/password",
        summary="Set the password of a mailbox",
        handle=set_password,
        prepare=Call.password_hash,
        takes=NewPassword,
        gives=None,
        status=HTTPStatus.NO_CONTENT,
        matches=False,
    ),
]
