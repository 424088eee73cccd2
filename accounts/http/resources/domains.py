"""Operations on domains and their DKIM keys."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus

from sqlalchemy import Connection

from accounts.directory import dkim_keys, domains
from accounts.directory.dkim_keys import DkimKey
from accounts.directory.domains import Domain
from accounts.http.call import Call, Reply
from accounts.http.models.domains import (
    DkimKeyOut,
    DkimKeyQuery,
    DomainAdd,
    DomainChange,
    DomainOut,
    DomainQuery,
)
from accounts.http.operation import Operation, Reach
from accounts.http.paths import location
from accounts.store.transaction import Write

RESERVED = frozenset(
    ("alias_of", "enabled", "max_mailboxes", "max_aliases", "max_quota", "transport", "is_relay")
)
"""Fields of a domain that bind its own administrators: only global ones set them."""


async def find(call: Call) -> Reply:
    """List domains."""

    def work(connection: Connection, limit: int) -> list[Domain]:
        return domains.find(
            connection,
            text=call.query.text,
            after=call.query.after,
            limit=limit,
            administrator=call.administrator,
        )

    return await call.page(work, lambda domain: domain.name)


async def get(call: Call) -> Reply:
    """Read a domain."""
    return Reply.of(await call.read(lambda c: domains.get(c, call.params["domain"])))


async def add(call: Call) -> Reply:
    """Add a domain."""
    values = call.changes
    name = values.pop("name")
    made = await call.write(lambda write: domains.add(write, name, **values))
    return Reply.of(made, location=location("domains", made.name))


async def change(call: Call) -> Reply:
    """Change a domain."""

    def work(write: Write) -> Domain:
        before = _expected(call, write, "domain.change")
        return domains.change(write, before.name, before.version, **call.changes)

    return Reply.of(await call.write(work))


async def remove(call: Call) -> Reply:
    """Remove a domain."""

    def work(write: Write) -> None:
        before = _expected(call, write, "domain.remove")
        domains.remove(write, before.name, before.version)

    await call.write(work)
    return Reply()


def _expected(call: Call, write: Write, action: str) -> Domain:
    with write.attempt(action, call.params["domain"]):
        before = domains.get(write.connection, call.params["domain"])
        call.matching.expect(before)
    return before


async def find_keys(call: Call) -> Reply:
    """List the keys of a domain."""
    domain, state = call.params["domain"], call.query.state
    return Reply(await call.read(lambda c: dkim_keys.find(c, domain=domain, state=state)))


async def get_key(call: Call) -> Reply:
    """Read a key."""
    return Reply.of(
        await call.read(lambda c: dkim_keys.get(c, call.params["domain"], call.params["selector"]))
    )


async def activate_key(call: Call) -> Reply:
    """Sign with a key."""

    def work(write: Write) -> DkimKey:
        before = _expected_key(call, write, "dkim-key.activate")
        return dkim_keys.activate(write, before.domain, before.selector, before.version)

    return Reply.of(await call.write(work))


async def retire_key(call: Call) -> Reply:
    """Sign with a key no more."""

    def work(write: Write) -> DkimKey:
        before = _expected_key(call, write, "dkim-key.retire")
        return dkim_keys.retire(write, before.domain, before.selector, before.version)

    return Reply.of(await call.write(work))


async def remove_key(call: Call) -> Reply:
    """Remove a key."""

    def work(write: Write) -> None:
        before = _expected_key(call, write, "dkim-key.remove")
        dkim_keys.remove(write, before.domain, before.selector, before.version)

    await call.write(work)
    return Reply()


def _expected_key(call: Call, write: Write, action: str) -> DkimKey:
    with write.attempt(action, call.params["domain"]):
        before = dkim_keys.get(write.connection, call.params["domain"], call.params["selector"])
        call.matching.expect(before)
    return before


_domain = partial(
    Operation, path="/domains/{domain}", area="domains", reach=Reach.DOMAIN, gives=DomainOut
)
_KEYS = "/domains/{domain}/dkim-keys"
_KEY = f"{_KEYS}/{{selector}}"
_key = partial(Operation, path=_KEY, area="dkim-keys", reach=Reach.DOMAIN, gives=DkimKeyOut)

OPERATIONS = [
    _domain(
        name="list-domains",
        method="GET",
        path="/domains",
        reach=Reach.LISTED,
        summary="List domains",
        handle=find,
        query=DomainQuery,
        is_list=True,
    ),
    _domain(
        name="add-domain",
        method="POST",
        path="/domains",
        reach=Reach.GLOBAL,
        summary="Add a domain",
        handle=add,
        takes=DomainAdd,
        status=HTTPStatus.CREATED,
    ),
    _domain(name="get-domain", method="GET", summary="Read a domain", handle=get),
    _domain(
        name="change-domain",
        method="PATCH",
        summary="Change a domain",
        handle=change,
        takes=DomainChange,
        matches=True,
        reserved=RESERVED,
    ),
    _domain(
        name="remove-domain",
        method="DELETE",
        reach=Reach.GLOBAL,
        summary="Remove a domain with all that is in it",
        handle=remove,
        gives=None,
        status=HTTPStatus.NO_CONTENT,
        matches=True,
    ),
    _key(
        name="list-dkim-keys",
        method="GET",
        path=_KEYS,
        summary="List the DKIM keys of a domain",
        handle=find_keys,
        query=DkimKeyQuery,
        is_list=True,
    ),
    _key(name="get-dkim-key", method="GET", summary="Read a DKIM key", handle=get_key),
    _key(
        name="activate-dkim-key",
        method="POST",
        path=f"{_KEY}/activate",
        summary="Sign with a DKIM key from now on",
        handle=activate_key,
        matches=True,
    ),
    _key(
        name="retire-dkim-key",
        method="POST",
        path=f"{_KEY}/retire",
        summary="Sign with a DKIM key no more",
        handle=retire_key,
        matches=True,
    ),
    _key(
        name="remove-dkim-key",
        method="DELETE",
        summary="Remove a DKIM key that is not active",
        handle=remove_key,
        gives=None,
        status=HTTPStatus.NO_CONTENT,
        matches=True,
    ),
]
