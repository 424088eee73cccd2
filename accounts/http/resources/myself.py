"""Operations on the caller's own account, and the audit log."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from sqlalchemy import Connection

from accounts.directory import administrators, audit, mailboxes
from accounts.directory.audit import AuditEntry
from accounts.http.authentication import attempts_name
from accounts.http.call import ApiReply, Call
from accounts.http.models.administration import (
    AuditOut,
    AuditQuery,
    MeOut,
    OwnAuditQuery,
    OwnPassword,
)
from accounts.http.operation import Operation, Params, Reach
from accounts.http.principals import Role
from accounts.store.errors import NoSuchObject
from accounts.store.transaction import Write


async def me(call: Call) -> ApiReply:
    """Return the caller."""
    principal = call.principal
    return ApiReply(
        {
            "name": principal.name,
            "role": principal.role.value,
            "domains": sorted(principal.domains),
            "mailbox": principal.mailbox,
            "scopes": None if principal.scopes is None else sorted(principal.scopes),
        }
    )


async def set_own_password(call: Call) -> ApiReply:
    """Set the caller's password; the current password is required."""
    principal, name = call.principal, call.principal.name
    if principal.mailbox is None and principal.administrator is None:
        raise NoSuchObject("The token of a program has no password.")
    await call.authentication.confirm(principal, call.body.current_password, call.client)
    password = await call.password_hash()

    def work(write: Write) -> None:
        if principal.role is Role.MAILBOX:
            mailboxes.change(write, name, None, password=password)
        else:
            administrators.change(write, name, None, password=password)

    await call.write(work)
    is_mailbox = principal.role is Role.MAILBOX
    call.context.attempts.forget_account(name if is_mailbox else attempts_name(name))
    return ApiReply()


async def find_entries(call: Call) -> ApiReply:
    """Read the audit log."""
    return await _entries(call, object=call.query.object, actor=call.query.actor)


async def find_own_entries(call: Call) -> ApiReply:
    """Read the entries about the caller's account."""
    return await _entries(call, object=call.principal.name)


async def _entries(call: Call, **conditions: str | None) -> ApiReply:
    def work(connection: Connection, limit: int) -> list[AuditEntry]:
        query = call.query
        return audit.find(
            connection, since=query.since, before=query.before, limit=limit, **conditions
        )

    return await call.page(work, lambda entry: entry.id)


def _of_query(params: Params, query: Any) -> Iterable[str]:
    """Return the object of the query: an administrator of some domains must name one."""
    del params
    return [query.object] if query is not None and query.object is not None else []


OPERATIONS = [
    Operation(
        "get-me", "GET", "/me", "me", Reach.SELF, "Read the caller's account", me, gives=MeOut
    ),
    Operation(
        "set-own-password",
        "PUT",
        "/me/password",
        "me",
        Reach.SELF,
        "Change the caller's password",
        set_own_password,
        takes=OwnPassword,
        status=HTTPStatus.NO_CONTENT,
        is_alone=True,
    ),
    Operation(
        "list-own-audit",
        "GET",
        "/me/audit",
        "audit",
        Reach.SELF,
        "Read the audit log about the caller, the latest entries first",
        find_own_entries,
        query=OwnAuditQuery,
        gives=AuditOut,
        is_list=True,
    ),
    Operation(
        "list-audit",
        "GET",
        "/audit",
        "audit",
        Reach.DOMAIN,
        "Read the audit log, the latest entries first; administrators of domains must name the "
        "object",
        find_entries,
        query=AuditQuery,
        gives=AuditOut,
        is_list=True,
        touches=_of_query,
    ),
]
