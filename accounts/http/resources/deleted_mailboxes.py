"""Operations on deleted mailboxes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection

from accounts.directory import deleted_mailboxes
from accounts.directory.deleted_mailboxes import DeletedMailbox
from accounts.http.call import ApiReply, Call
from accounts.http.models.mailboxes import (
    DeletedMailboxOut,
    DeletedMailboxPick,
    DeletedMailboxQuery,
    MailboxOut,
)
from accounts.http.operation import Operation, Reach
from accounts.http.paths import location
from accounts.store.transaction import Write


async def find(call: Call) -> ApiReply:
    """List deleted mailboxes."""

    def work(connection: Connection, limit: int) -> list[DeletedMailbox]:
        return deleted_mailboxes.find(
            connection,
            address=call.query.address,
            text=call.query.text,
            after=call.query.after,
            limit=limit,
            administrator=call.administrator,
        )

    found = await call.page(work, lambda one: one.id)
    return ApiReply([_shown(call, one) for one in found.body], next=found.next)


async def restore(call: Call) -> ApiReply:
    """Bring a mailbox back."""
    made = await call.write(lambda write: deleted_mailboxes.restore(write, *_picked(call)))
    return ApiReply.of(made, location=location("mailboxes", made.address))


async def purge(call: Call) -> ApiReply:
    """Let the mail of a deleted mailbox go."""

    def work(write: Write) -> DeletedMailbox:
        return deleted_mailboxes.expire(write, *_picked(call))

    return ApiReply(_shown(call, await call.write(work)))


def _picked(call: Call) -> tuple[str, int | None, int | None]:
    return call.params["address"], call.body.number, call.administrator


def _shown(call: Call, one: DeletedMailbox) -> dict[str, Any]:
    return asdict(one) | {
        "number": one.id,
        "kept_until": one.kept_until(call.context.keep_deleted),
        "is_claimed": one.claimed is not None,
    }


OPERATIONS = [
    Operation(
        "list-deleted-mailboxes",
        "GET",
        "/deleted-mailboxes",
        "mailboxes",
        Reach.LISTED,
        "List mailboxes that were removed, and whose mail is still there",
        find,
        query=DeletedMailboxQuery,
        gives=DeletedMailboxOut,
        is_list=True,
    ),
    Operation(
        "restore-mailbox",
        "POST",
        "/deleted-mailboxes/{address}/restore",
        "mailboxes",
        Reach.DOMAIN,
        "Bring a deleted mailbox back with its mail, password and belongings",
        restore,
        takes=DeletedMailboxPick,
        gives=MailboxOut,
    ),
    Operation(
        "purge-deleted-mailbox",
        "POST",
        "/deleted-mailboxes/{address}/purge",
        "mailboxes",
        Reach.DOMAIN,
        "Have the mail of a deleted mailbox removed as soon as possible",
        purge,
        takes=DeletedMailboxPick,
        gives=DeletedMailboxOut,
    ),
]
