"""Operations on the aliases that owners of mailboxes make for themselves."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from accounts.directory import personal_aliases
from accounts.http.call import ApiReply, Call
from accounts.http.models.mailboxes import (
    AliasAllowanceOut,
    PersonalAliasAdd,
    PersonalAliasChange,
    PersonalAliasOut,
)
from accounts.http.operation import Reach, for_owner
from accounts.http.principals import Role
from accounts.http.resources.kind import Kind

_MAILBOX = "/mailboxes/{address}"

PERSONAL_ALIAS = Kind(
    noun="personal-alias",
    nouns="the aliases that the owner of a mailbox made",
    article="a",
    area="aliases",
    where=f"{_MAILBOX}/personal-aliases",
    one="{alias}",
    gives=PersonalAliasOut,
    place=lambda alias: ("mailboxes", alias.mailbox, "personal-aliases", alias.address),
    search=lambda connection, call: personal_aliases.find(connection, call.address),
    fetch=personal_aliases.get,
    create=personal_aliases.add,
    alter=personal_aliases.change,
    delete=personal_aliases.remove,
    takes=PersonalAliasAdd,
    changes=PersonalAliasChange,
    reach=Reach.OWNER,
)


_OF_OWNER = replace(
    PERSONAL_ALIAS,
    alter=partial(personal_aliases.change, by_owner=True),
    delete=partial(personal_aliases.remove, by_owner=True),
)


def _kind(call: Call) -> Kind:
    return _OF_OWNER if call.principal.role is Role.MAILBOX else PERSONAL_ALIAS


async def change(call: Call) -> ApiReply:
    """Change an alias, as its owner or as an administrator."""
    return await _kind(call).modify(call)


async def remove(call: Call) -> ApiReply:
    """Remove an alias, as its owner or as an administrator."""
    return await _kind(call).discard(call)


async def show_allowance(call: Call) -> ApiReply:
    """Return how many aliases the owner of a mailbox may make."""
    return ApiReply(await call.read(lambda c: personal_aliases.allowance(c, call.address)))


OPERATIONS = for_owner(
    [
        PERSONAL_ALIAS.list(),
        PERSONAL_ALIAS.add(
            summary="Add an alias of the owner of a mailbox: with a name, or a disposable one"
        ),
        PERSONAL_ALIAS.read(),
        PERSONAL_ALIAS.change(handle=change),
        PERSONAL_ALIAS.remove(
            summary="Remove a personal alias; its address is free for others", handle=remove
        ),
        PERSONAL_ALIAS.act(
            "get-alias-allowance",
            method="GET",
            path=f"{_MAILBOX}/alias-allowance",
            summary="Read how many aliases the owner of a mailbox may make, and has",
            handle=show_allowance,
            gives=AliasAllowanceOut,
            matches=False,
        ),
    ]
)
