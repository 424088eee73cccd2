"""Operations on the ways into a mailbox: sender rights, app passwords and remote accounts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from functools import partial
from http import HTTPStatus
from typing import Any

from sqlalchemy import Connection

from accounts.directory import app_passwords, remote_accounts, sender_rights
from accounts.directory.remote_accounts import RemoteAccount
from accounts.directory.sender_rights import SenderRight
from accounts.http.call import Call, Reply
from accounts.http.models.base import NumberedPageQuery
from accounts.http.models.belongings import (
    AppPasswordAdd,
    AppPasswordNew,
    AppPasswordOut,
    RemoteAccountAdd,
    RemoteAccountChange,
    RemoteAccountOut,
    RemoteSecret,
    SenderRightAdd,
    SenderRightOut,
)
from accounts.http.operation import Operation, Params, Reach, for_owner
from accounts.http.paths import location
from accounts.passwords import new_app_password
from accounts.store.errors import NotFound
from accounts.store.transaction import Write

_MAILBOX = "/mailboxes/{address}"


async def find_rights(call: Call) -> Reply:
    """List the sender rights of a mailbox."""

    def work(connection: Connection, limit: int) -> list[SenderRight]:
        after = call.query.after
        return sender_rights.find(connection, mailbox=call.address, after=after, limit=limit)

    return await call.page(work, lambda right: right.id)


async def add_right(call: Call) -> Reply:
    """Give a sender right."""
    made = await call.write(lambda w: sender_rights.add(w, call.address, call.body.sender))
    return Reply(made, location=location("mailboxes", made.mailbox, "sender-rights", made.sender))


async def remove_right(call: Call) -> Reply:
    """Take a sender right away."""
    await call.write(lambda w: sender_rights.remove(w, call.address, call.params["sender"]))
    return Reply()


def _sender_too(params: Params, body: Any) -> Iterable[str]:
    """Return the mailbox and the sender: nobody gives a right to addresses of other domains."""
    yield params["address"]
    if body is not None:
        yield body.sender


async def find_app_passwords(call: Call) -> Reply:
    """List the app passwords of a mailbox."""
    return Reply(await call.read(lambda c: app_passwords.find(c, call.address)))


async def add_app_password(call: Call) -> Reply:
    """Add an app password; the answer alone has it."""
    text, hashed = new_app_password()
    values = call.changes
    made = await call.write(lambda w: app_passwords.add(w, call.address, password=hashed, **values))
    where = location("mailboxes", made.mailbox, "app-passwords", made.name)
    return Reply(asdict(made) | {"password": text}, location=where)


async def remove_app_password(call: Call) -> Reply:
    """Remove an app password."""
    await call.write(lambda w: app_passwords.remove(w, call.address, call.params["name"]))
    return Reply()


async def find_remotes(call: Call) -> Reply:
    """List the remote accounts of a mailbox."""

    def work(connection: Connection, limit: int) -> list[RemoteAccount]:
        after = call.query.after
        return remote_accounts.find(connection, mailbox=call.address, after=after, limit=limit)

    return await call.page(work, lambda account: account.id)


async def get_remote(call: Call) -> Reply:
    """Read a remote account."""
    return Reply.of(await call.read(lambda c: _remote(call, c)))


async def add_remote(call: Call) -> Reply:
    """Add a remote account."""
    values, seal = call.changes, call.context.seal
    made = await call.write(lambda w: remote_accounts.add(w, seal, call.address, **values))
    where = location("mailboxes", made.mailbox, "remote-accounts", made.id)
    return Reply.of(made, location=where)


async def change_remote(call: Call) -> Reply:
    """Change a remote account."""

    def work(write: Write) -> RemoteAccount:
        before = _expected(call, write, "remote-account.change")
        return remote_accounts.change(write, before.id, before.version, **call.changes)

    return Reply.of(await call.write(work))


async def set_secret(call: Call) -> Reply:
    """Set the password of a remote account."""
    seal = call.context.seal

    def work(write: Write) -> RemoteAccount:
        before = _expected(call, write, "remote-account.change")
        return remote_accounts.set_secret(write, seal, before.id, call.body.secret, before.version)

    return Reply.of(await call.write(work))


async def remove_remote(call: Call) -> Reply:
    """Remove a remote account."""

    def work(write: Write) -> None:
        before = _expected(call, write, "remote-account.remove")
        remote_accounts.remove(write, before.id, before.version)

    await call.write(work)
    return Reply()


def _remote(call: Call, connection: Connection) -> RemoteAccount:
    """Return the remote account of the path, which has to belong to the mailbox of the path."""
    text = call.params["id"]
    owned = remote_accounts.find(
        connection, mailbox=call.address, limit=remote_accounts.MAX_ACCOUNTS
    )
    for account in owned:
        if str(account.id) == text:
            return account
    raise NotFound("This mailbox has no such remote account.")


def _expected(call: Call, write: Write, action: str) -> RemoteAccount:
    with write.attempt(action, call.address):
        before = _remote(call, write.connection)
        call.matching.expect(before)
    return before


_right = partial(
    Operation,
    path=f"{_MAILBOX}/sender-rights",
    area="sender-rights",
    reach=Reach.DOMAIN,
    gives=SenderRightOut,
)
_app_password = partial(
    Operation,
    path=f"{_MAILBOX}/app-passwords",
    area="app-passwords",
    reach=Reach.OWNER,
    gives=AppPasswordOut,
)
_remotes = partial(
    Operation,
    path=f"{_MAILBOX}/remote-accounts",
    area="remote-accounts",
    reach=Reach.OWNER,
    gives=RemoteAccountOut,
)
_one = partial(_remotes, path=f"{_MAILBOX}/remote-accounts/{{id}}")

OPERATIONS = for_owner(
    [
        _right(
            name="list-sender-rights",
            method="GET",
            reach=Reach.OWNER,
            summary="List the addresses that a mailbox may send as",
            handle=find_rights,
            query=NumberedPageQuery,
            is_list=True,
        ),
        _right(
            name="add-sender-right",
            method="POST",
            summary="Let a mailbox send as another address",
            handle=add_right,
            takes=SenderRightAdd,
            status=HTTPStatus.CREATED,
            touches=_sender_too,
        ),
        _right(
            name="remove-sender-right",
            method="DELETE",
            path=f"{_MAILBOX}/sender-rights/{{sender:path}}",
            summary="Take such a right away",
            handle=remove_right,
            gives=None,
            status=HTTPStatus.NO_CONTENT,
        ),
        _app_password(
            name="list-app-passwords",
            method="GET",
            summary="List the app passwords of a mailbox",
            handle=find_app_passwords,
            is_list=True,
        ),
        _app_password(
            name="add-app-password",
            method="POST",
            summary="Add an app password, which the answer has and nobody sees again",
            handle=add_app_password,
            takes=AppPasswordAdd,
            gives=AppPasswordNew,
            status=HTTPStatus.CREATED,
        ),
        _app_password(
            name="remove-app-password",
            method="DELETE",
            path=f"{_MAILBOX}/app-passwords/{{name:path}}",
            summary="Remove an app password",
            handle=remove_app_password,
            gives=None,
            status=HTTPStatus.NO_CONTENT,
        ),
        _remotes(
            name="list-remote-accounts",
            method="GET",
            summary="List the accounts that mail is fetched from",
            handle=find_remotes,
            query=NumberedPageQuery,
            is_list=True,
        ),
        _remotes(
            name="add-remote-account",
            method="POST",
            summary="Add an account that mail is fetched from",
            handle=add_remote,
            takes=RemoteAccountAdd,
            status=HTTPStatus.CREATED,
        ),
        _one(
            name="get-remote-account",
            method="GET",
            summary="Read a remote account",
            handle=get_remote,
        ),
        _one(
            name="change-remote-account",
            method="PATCH",
            summary="Change a remote account",
            handle=change_remote,
            takes=RemoteAccountChange,
            matches=True,
        ),
        _one(
            name="set-remote-secret",
            method="PUT",
            path=f"{_MAILBOX}/remote-accounts/{{id}}/secret",
            summary="Set the password of a remote account",
            handle=set_secret,
            takes=RemoteSecret,
            matches=True,
        ),
        _one(
            name="remove-remote-account",
            method="DELETE",
            summary="Remove a remote account; the mail there stays",
            handle=remove_remote,
            gives=None,
            status=HTTPStatus.NO_CONTENT,
            matches=True,
        ),
    ]
)
