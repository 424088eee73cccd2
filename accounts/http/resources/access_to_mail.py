"""Operations on the ways into a mailbox: sender rights, app passwords and remote accounts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection

from accounts.directory import app_passwords, remote_accounts, sender_rights
from accounts.directory.remote_accounts import RemoteAccount
from accounts.directory.sender_rights import SenderRight
from accounts.http.call import ApiReply, Call
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
from accounts.http.operation import Params, Reach, for_owner
from accounts.http.paths import location
from accounts.http.resources.kind import Kind
from accounts.passwords import new_app_password
from accounts.store.errors import NoSuchObject
from accounts.store.transaction import Write

_MAILBOX = "/mailboxes/{address}"


def _find_rights(connection: Connection, call: Call, limit: int) -> list[SenderRight]:
    after = call.query.after
    return sender_rights.find(connection, mailbox=call.address, after=after, limit=limit)


def _sender_too(params: Params, body: Any) -> Iterable[str]:
    """Return the mailbox and the sender: a right must be within the caller's domains."""
    yield params["address"]
    if body is not None:
        yield body.sender


RIGHT = Kind(
    noun="sender-right",
    nouns="the addresses that a mailbox may send as",
    article="a",
    area="sender-rights",
    where=f"{_MAILBOX}/sender-rights",
    one="{sender:path}",
    gives=SenderRightOut,
    place=lambda right: ("mailboxes", right.mailbox, "sender-rights", right.sender),
    search=_find_rights,
    create=sender_rights.add,
    delete=sender_rights.remove,
    named=("sender",),
    order=lambda right: right.id,
    takes=SenderRightAdd,
    query=NumberedPageQuery,
    is_versioned=False,
    touches=_sender_too,
)

APP_PASSWORD = Kind(
    noun="app-password",
    nouns="the app passwords of a mailbox",
    article="an",
    area="app-passwords",
    where=f"{_MAILBOX}/app-passwords",
    one="{name:path}",
    gives=AppPasswordOut,
    place=lambda password: ("mailboxes", password.mailbox, "app-passwords", password.name),
    search=lambda connection, call: app_passwords.find(connection, call.address),
    fetch=app_passwords.get,
    delete=app_passwords.remove,
    takes=AppPasswordAdd,
    reach=Reach.OWNER,
    is_versioned=False,
)


async def add_app_password(call: Call) -> ApiReply:
    """Add an app password, which only the answer contains."""
    text, hashed = new_app_password()
    values = call.changes
    made = await call.write(lambda w: app_passwords.add(w, call.address, password=hashed, **values))
    where = location(*APP_PASSWORD.place(made))
    return ApiReply(asdict(made) | {"password": text}, location=where)


def _find_remotes(connection: Connection, call: Call, limit: int) -> list[RemoteAccount]:
    after = call.query.after
    return remote_accounts.find(connection, mailbox=call.address, after=after, limit=limit)


def _remote(connection: Connection, mailbox: str, text: str) -> RemoteAccount:
    """Return the remote account with a number, which must belong to the mailbox."""
    most = remote_accounts.MAX_ACCOUNTS
    for account in remote_accounts.find(connection, mailbox=mailbox, limit=most):
        if str(account.id) == text:
            return account
    raise NoSuchObject("This mailbox has no such remote account.")


def _change_remote(
    write: Write, mailbox: str, text: str, version: int, /, **values: Any
) -> RemoteAccount:
    number = _remote(write.connection, mailbox, text).id
    return remote_accounts.change(write, number, version, **values)


def _remove_remote(write: Write, mailbox: str, text: str, version: int) -> None:
    remote_accounts.remove(write, _remote(write.connection, mailbox, text).id, version)


REMOTE = Kind(
    noun="remote-account",
    nouns="the remote accounts to fetch mail from",
    article="a",
    area="remote-accounts",
    where=f"{_MAILBOX}/remote-accounts",
    one="{id}",
    gives=RemoteAccountOut,
    place=lambda account: ("mailboxes", account.mailbox, "remote-accounts", account.id),
    search=_find_remotes,
    fetch=_remote,
    create=remote_accounts.add,
    alter=_change_remote,
    delete=_remove_remote,
    order=lambda account: account.id,
    takes=RemoteAccountAdd,
    changes=RemoteAccountChange,
    query=NumberedPageQuery,
    reach=Reach.OWNER,
    is_sealed=True,
)


async def set_secret(call: Call) -> ApiReply:
    """Set the password of a remote account."""
    seal = call.context.seal

    def work(write: Write) -> RemoteAccount:
        before = REMOTE.expected(call, write, "change")
        return remote_accounts.set_secret(write, seal, before.id, call.body.secret, before.version)

    return ApiReply.of(await call.write(work))


OPERATIONS = for_owner(
    [
        RIGHT.list(reach=Reach.OWNER),
        RIGHT.add(summary="Let a mailbox send as another address"),
        RIGHT.remove(summary="Remove a right to send"),
        APP_PASSWORD.list(),
        APP_PASSWORD.add(
            handle=add_app_password,
            gives=AppPasswordNew,
            summary="Add an app password, which is shown only in the answer",
        ),
        APP_PASSWORD.read(summary="Read an app password, without the password"),
        APP_PASSWORD.remove(),
        REMOTE.list(),
        REMOTE.add(summary="Add a remote account to fetch mail from"),
        REMOTE.read(),
        REMOTE.change(),
        REMOTE.act(
            "set-remote-secret",
            method="PUT",
            path=f"{_MAILBOX}/remote-accounts/{{id}}/secret",
            summary="Set the password of a remote account",
            handle=set_secret,
            takes=RemoteSecret,
        ),
        REMOTE.remove(summary="Remove a remote account; its mail stays there"),
    ]
)
