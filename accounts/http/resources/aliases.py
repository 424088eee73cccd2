"""Operations on aliases."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus

from sqlalchemy import Connection

from accounts.directory import aliases
from accounts.directory.aliases import Alias
from accounts.http.call import Call, Reply
from accounts.http.models.mailboxes import (
    AliasAdd,
    AliasChange,
    AliasOut,
    AliasQuery,
    AliasRename,
)
from accounts.http.operation import Operation, Reach
from accounts.http.paths import location
from accounts.http.resources.mailboxes import of_body
from accounts.store.transaction import Write


async def find(call: Call) -> Reply:
    """List aliases."""

    def work(connection: Connection, limit: int) -> list[Alias]:
        return aliases.find(
            connection,
            domain=call.query.domain,
            text=call.query.text,
            target=call.query.target,
            after=call.query.after,
            limit=limit,
            administrator=call.administrator,
        )

    return await call.page(work, lambda alias: alias.address)


async def get(call: Call) -> Reply:
    """Read an alias."""
    return Reply.of(await call.read(lambda c: aliases.get(c, call.address)))


async def add(call: Call) -> Reply:
    """Add an alias."""
    values = call.changes
    address = values.pop("address")
    made = await call.write(lambda write: aliases.add(write, address, **values))
    return Reply.of(made, location=location("aliases", made.address))


async def change(call: Call) -> Reply:
    """Change an alias."""

    def work(write: Write) -> Alias:
        before = _expected(call, write, "alias.change")
        return aliases.change(write, before.address, before.version, **call.changes)

    return Reply.of(await call.write(work))


async def rename(call: Call) -> Reply:
    """Give an alias another address."""

    def work(write: Write) -> Alias:
        before = _expected(call, write, "alias.rename")
        return aliases.rename(write, before.address, call.body.address, before.version)

    made = await call.write(work)
    return Reply.of(made, location=location("aliases", made.address))


async def remove(call: Call) -> Reply:
    """Remove an alias."""

    def work(write: Write) -> None:
        before = _expected(call, write, "alias.remove")
        aliases.remove(write, before.address, before.version)

    await call.write(work)
    return Reply()


def _expected(call: Call, write: Write, action: str) -> Alias:
    with write.attempt(action, call.address):
        before = aliases.get(write.connection, call.address)
        call.matching.expect(before)
    return before


_alias = partial(
    Operation, path="/aliases/{address}", area="aliases", reach=Reach.DOMAIN, gives=AliasOut
)

OPERATIONS = [
    _alias(
        name="list-aliases",
        method="GET",
        path="/aliases",
        reach=Reach.LISTED,
        summary="List aliases",
        handle=find,
        query=AliasQuery,
        is_list=True,
    ),
    _alias(
        name="add-alias",
        method="POST",
        path="/aliases",
        summary="Add an alias",
        handle=add,
        takes=AliasAdd,
        status=HTTPStatus.CREATED,
        touches=of_body,
    ),
    _alias(name="get-alias", method="GET", summary="Read an alias", handle=get),
    _alias(
        name="change-alias",
        method="PATCH",
        summary="Change an alias",
        handle=change,
        takes=AliasChange,
        matches=True,
    ),
    _alias(
        name="rename-alias",
        method="POST",
        path="/aliases/{address}/rename",
        summary="Give an alias another address",
        handle=rename,
        takes=AliasRename,
        matches=True,
        touches=of_body,
    ),
    _alias(
        name="remove-alias",
        method="DELETE",
        summary="Remove an alias",
        handle=remove,
        gives=None,
        status=HTTPStatus.NO_CONTENT,
        matches=True,
    ),
]
