"""Operations on aliases."""

from __future__ import annotations

from sqlalchemy import Connection

from accounts.directory import aliases
from accounts.directory.aliases import Alias
from accounts.http.call import ApiReply, Call
from accounts.http.models.mailboxes import (
    AliasAdd,
    AliasOut,
    AliasPatch,
    AliasQuery,
    AliasRename,
)
from accounts.http.operation import Reach
from accounts.http.paths import location
from accounts.http.resources.kind import Kind
from accounts.http.resources.mailboxes import of_body
from accounts.store.transaction import Write


def _find(connection: Connection, call: Call, limit: int) -> list[Alias]:
    return aliases.find(
        connection,
        domain=call.query.domain,
        text=call.query.text,
        target=call.query.target,
        after=call.query.after,
        limit=limit,
        administrator=call.administrator,
    )


ALIAS = Kind(
    noun="alias",
    nouns="aliases",
    article="an",
    area="aliases",
    where="/aliases",
    one="{address}",
    gives=AliasOut,
    place=lambda alias: ("aliases", alias.address),
    search=_find,
    fetch=aliases.get,
    create=aliases.add,
    alter=aliases.change_targets,
    delete=aliases.remove,
    named=("address",),
    order=lambda alias: alias.address,
    takes=AliasAdd,
    changes=AliasPatch,
    query=AliasQuery,
    touches=of_body,
)


async def rename(call: Call) -> ApiReply:
    """Give an alias another address."""

    def work(write: Write) -> Alias:
        before = ALIAS.expected(call, write, "rename")
        return aliases.rename(write, before.address, call.body.address, before.version)

    made = await call.write(work)
    return ApiReply.of(made, location=location(*ALIAS.place(made)))


OPERATIONS = [
    ALIAS.list(reach=Reach.LISTED),
    ALIAS.add(),
    ALIAS.read(),
    ALIAS.change(),
    ALIAS.act(
        "rename-alias",
        summary="Give an alias another address",
        handle=rename,
        takes=AliasRename,
        touches=of_body,
    ),
    ALIAS.remove(),
]
