"""Operations on tokens: all of them, and the caller's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from http import HTTPStatus
from typing import Any

from sqlalchemy import Connection

from accounts.directory import fields, tokens
from accounts.directory.tokens import ApiToken
from accounts.http import grants
from accounts.http.access import Forbidden
from accounts.http.call import ApiReply, Call
from accounts.http.models.administration import (
    OwnTokenAdd,
    TokenAdd,
    TokenNew,
    TokenOut,
    TokenQuery,
)
from accounts.http.models.base import NumberedPageQuery
from accounts.http.operation import Operation, Reach
from accounts.http.paths import location
from accounts.http.principals import ALL, AREAS, PROGRAM_SCOPES, SCOPES
from accounts.http.resources.kind import Kind
from accounts.store.errors import Invalid, NoSuchObject
from accounts.store.transaction import Write


def _find(connection: Connection, call: Call, limit: int) -> list[ApiToken]:
    query = call.query
    return tokens.find(
        connection,
        administrator=query.administrator,
        mailbox=query.mailbox,
        after=query.after,
        limit=limit,
    )


TOKEN = Kind(
    noun="token",
    nouns="tokens",
    article="a",
    area="tokens",
    where="/tokens",
    one="{id}",
    gives=TokenOut,
    place=lambda token: ("tokens", token.id),
    search=_find,
    fetch=lambda connection, text: tokens.get(connection, _number(text)),
    delete=lambda write, text: tokens.remove(write, _number(text)),
    order=lambda token: token.id,
    takes=TokenAdd,
    query=TokenQuery,
    reach=Reach.GLOBAL,
    is_versioned=False,
)


async def add(call: Call) -> ApiReply:
    """Add a token; only the answer contains its text."""
    return await _add(call, call.changes)


async def find_own(call: Call) -> ApiReply:
    """List the caller's tokens."""

    def work(connection: Connection, limit: int) -> list[ApiToken]:
        after = call.query.after
        return tokens.find(connection, after=after, limit=limit, **_owner(call))

    return await call.page(work, lambda token: token.id)


async def add_own(call: Call) -> ApiReply:
    """Add a token for the caller."""
    return await _add(call, call.changes | _owner(call))


async def remove_own(call: Call) -> ApiReply:
    """Remove one of the caller's tokens."""
    owner = _owner(call)

    def work(write: Write) -> None:
        with write.attempt("token.remove", call.params["id"]):
            found = tokens.get(write.connection, _number(call.params["id"]))
            if any(getattr(found, kind) != name for kind, name in owner.items()):
                raise NoSuchObject(f"There is no token {found.id}.")
        tokens.remove(write, found.id)

    await call.write(work)
    return ApiReply()


async def _add(call: Call, values: dict[str, Any]) -> ApiReply:
    name, scopes = values.pop("name"), values["scopes"]

    def work(write: Write) -> tuple[ApiToken, str]:
        with write.attempt("token.add", name):
            _check_scopes(call, scopes)
            grants.check_token(call.principal, values)
            return tokens.add(write, name, **values)

    made, text = await call.write(work)
    return ApiReply(asdict(made) | {"token": text}, location=location("tokens", made.id))


def _check_scopes(call: Call, scopes: Sequence[str]) -> None:
    """Raise unless the scopes are known, and the caller has them."""
    for scope in scopes:
        if scope not in SCOPES and scope not in PROGRAM_SCOPES:
            text = (
                f"A scope is AREA:read or AREA:write, where AREA is one of: {', '.join(AREAS)}, "
                f"{ALL}; or it is {' or '.join(PROGRAM_SCOPES)}."
            )
            raise Invalid("scopes", text)
        if not call.principal.covers(scope):
            raise Forbidden(f"The token has no scope {scope}, so it cannot grant it.")


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 16:
        raise NoSuchObject("There is no such token.")
    return fields.number("id", int(text))


def _owner(call: Call) -> dict[str, str]:
    """Return the argument of `tokens.find` and `tokens.add` for the caller."""
    principal = call.principal
    if principal.mailbox is not None:
        return {"mailbox": principal.mailbox}
    if principal.administrator is None:
        raise NoSuchObject("The token of a program has no tokens of its own.")
    return {"administrator": principal.name}


_own = partial(Operation, path="/me/tokens", area="tokens", reach=Reach.SELF, gives=TokenOut)

OPERATIONS = [
    TOKEN.list(),
    TOKEN.add(
        handle=add,
        gives=TokenNew,
        summary="Add a token, which is shown only in the answer",
    ),
    TOKEN.read(),
    TOKEN.remove(),
    _own(
        name="list-own-tokens",
        method="GET",
        summary="List the caller's tokens",
        handle=find_own,
        query=NumberedPageQuery,
        is_list=True,
    ),
    _own(
        name="add-own-token",
        method="POST",
        summary="Add a token for the caller, which is shown only in the answer",
        handle=add_own,
        takes=OwnTokenAdd,
        gives=TokenNew,
        status=HTTPStatus.CREATED,
    ),
    _own(
        name="remove-own-token",
        method="DELETE",
        path="/me/tokens/{id}",
        summary="Remove one of the caller's tokens",
        handle=remove_own,
        gives=None,
        status=HTTPStatus.NO_CONTENT,
    ),
]
