"""Operations on domains and their DKIM keys."""

from __future__ import annotations

import asyncio

from sqlalchemy import Connection

from accounts.directory import dkim_keys, domains
from accounts.directory.dkim_keys import DkimKey
from accounts.directory.domains import Domain
from accounts.http.call import ApiReply, Call
from accounts.http.models.domains import (
    DkimKeyAdd,
    DkimKeyOut,
    DkimKeyQuery,
    DomainAdd,
    DomainChange,
    DomainDetail,
    DomainOut,
    DomainQuery,
)
from accounts.http.operation import Reach
from accounts.http.paths import location
from accounts.http.resources.kind import Kind
from accounts.store import schema
from accounts.store.errors import Invalid
from accounts.store.transaction import Write
from gatepost.key_pair import new_key

RESERVED = frozenset(
    ("alias_of", "enabled", "max_mailboxes", "max_aliases", "max_quota", "transport", "is_relay")
)
"""Fields of a domain that limit its own administrators: only global ones may set them."""


def _find(connection: Connection, call: Call, limit: int) -> list[Domain]:
    return domains.find(
        connection,
        text=call.query.text,
        after=call.query.after,
        limit=limit,
        administrator=call.administrator,
    )


DOMAIN = Kind(
    noun="domain",
    nouns="domains",
    article="a",
    area="domains",
    where="/domains",
    one="{domain}",
    gives=DomainOut,
    place=lambda domain: ("domains", domain.name),
    search=_find,
    fetch=domains.get,
    create=domains.add,
    alter=domains.change,
    delete=domains.remove,
    named=("name",),
    order=lambda domain: domain.name,
    takes=DomainAdd,
    changes=DomainChange,
    query=DomainQuery,
)


async def get_domain(call: Call) -> ApiReply:
    """Read a domain, and how many objects it has."""

    def work(connection: Connection) -> tuple[Domain, dict[str, int]]:
        found = domains.get(connection, call.params["domain"])
        return found, {
            "mailboxes": domains.count(connection, schema.mailbox, found.id),
            "aliases": domains.count(connection, schema.alias, found.id),
            "dkim_keys": domains.count(connection, schema.dkim_key, found.id),
        }

    found, counts = await call.read(work)
    shown = DomainOut.model_validate(found).model_dump() | counts
    return ApiReply(shown, ApiReply.of(found).tag)


KEY = Kind(
    noun="dkim-key",
    nouns="the DKIM keys of a domain",
    article="a",
    area="dkim-keys",
    where="/domains/{domain}/dkim-keys",
    one="{selector}",
    gives=DkimKeyOut,
    place=lambda key: ("domains", key.domain, "dkim-keys", key.selector),
    search=lambda connection, call: dkim_keys.find(
        connection, domain=call.params["domain"], state=call.query.state
    ),
    fetch=dkim_keys.get,
    delete=dkim_keys.remove,
    takes=DkimKeyAdd,
    query=DkimKeyQuery,
)


async def private_key(call: Call) -> bytes:
    """Return the given private key, or generate one; raises `Invalid`."""
    given, algorithm = call.body.private, call.body.algorithm
    if given is not None and algorithm is not None:
        raise Invalid("algorithm", "A given key has its own algorithm.")
    if given is not None:
        return str(given).encode("utf-8", "replace")
    match algorithm:
        case None | "rsa":
            return await asyncio.to_thread(new_key, "rsa")
        case "ed25519":
            return new_key("ed25519")
    raise Invalid("algorithm", "It must be one of: rsa, ed25519.")


async def add_key(call: Call) -> ApiReply:
    """Add a given key, or a new one."""
    domain, selector, seal = call.params["domain"], call.body.selector, call.context.seal
    made = await call.write(
        lambda write: dkim_keys.add(write, seal, domain, selector, private=call.prepared)
    )
    return ApiReply.of(made, location=location(*KEY.place(made)))


async def activate_key(call: Call) -> ApiReply:
    """Sign with a key."""

    def work(write: Write) -> DkimKey:
        before = KEY.expected(call, write, "activate")
        return dkim_keys.activate(write, before.domain, before.selector, before.version)

    return ApiReply.of(await call.write(work))


async def retire_key(call: Call) -> ApiReply:
    """Stop signing with a key."""

    def work(write: Write) -> DkimKey:
        before = KEY.expected(call, write, "retire")
        return dkim_keys.retire(write, before.domain, before.selector, before.version)

    return ApiReply.of(await call.write(work))


OPERATIONS = [
    DOMAIN.list(reach=Reach.LISTED),
    DOMAIN.add(reach=Reach.GLOBAL),
    DOMAIN.read(handle=get_domain, gives=DomainDetail),
    DOMAIN.change(reserved=RESERVED),
    DOMAIN.remove(reach=Reach.GLOBAL, summary="Remove a domain with everything in it"),
    KEY.list(),
    KEY.add(
        handle=add_key,
        prepare=private_key,
        summary="Add a DKIM key: an existing one, or a new one",
    ),
    KEY.read(summary="Read a DKIM key"),
    KEY.act(
        "activate-dkim-key",
        summary="Activate a DKIM key: sign with it from now on",
        handle=activate_key,
    ),
    KEY.act(
        "retire-dkim-key", summary="Retire a DKIM key: stop signing with it", handle=retire_key
    ),
    KEY.remove(summary="Remove a DKIM key that is not active"),
]
