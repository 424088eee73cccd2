"""Operations on the greylist: search and forget, which policy servers do, and exceptions."""

from __future__ import annotations

from http import HTTPStatus

from sqlalchemy import Connection

from accounts.directory import domains, fields, greylist_exceptions
from accounts.directory.greylist_exceptions import GreylistException
from accounts.greylist_asking import GreylistFound, ask_policy_servers
from accounts.http.call import ApiReply, Call
from accounts.http.models.base import NumberedPageQuery
from accounts.http.models.greylist import (
    GreylistExceptionAdd,
    GreylistExceptionOut,
    GreylistForget,
    GreylistFoundOut,
    GreylistQuery,
)
from accounts.http.operation import Operation, Reach
from accounts.http.paths import location
from accounts.http.principals import Role
from accounts.store.errors import NoSuchObject
from accounts.store.noted import clean


async def search(call: Call) -> GreylistFound:
    """Ask the policy servers for records that a caller may see. For `prepare`.

    It is about other people: it is entered in the audit log.
    """
    text = fields.text("text", call.query.text)
    own = None if call.principal.role is Role.GLOBAL else call.principal.domains
    context = call.context
    await context.database.write(
        call.actor, lambda write: write.audit("greylist.search", clean(text))
    )
    return await ask_policy_servers(context.database, "find", text, own, context.clock)


async def forget(call: Call) -> GreylistFound:
    """Let the policy servers forget records, for one domain if the path names one. For `prepare`.

    The entry in the audit log comes first.
    """
    text = fields.text("text", call.body.text)
    context = call.context
    named = call.params.get("domain")
    own = None
    if named is not None:
        own = frozenset({(await context.database.read(lambda c: domains.get(c, named))).name})
    to = "all" if own is None else next(iter(own))
    await context.database.write(
        call.actor, lambda write: write.audit("greylist.forget", clean(text), to=to)
    )
    return await ask_policy_servers(context.database, "forget", text, own, context.clock)


async def show(call: Call) -> ApiReply:
    """Return what the policy servers answered."""
    return ApiReply(call.prepared)


async def find(call: Call) -> ApiReply:
    """List exceptions."""

    def work(connection: Connection, limit: int) -> list[GreylistException]:
        return greylist_exceptions.find(
            connection, after=call.query.after, limit=limit, administrator=call.administrator
        )

    return await call.page(work, lambda one: one.id)


async def add(call: Call) -> ApiReply:
    """Add an exception, for one domain if the path names one."""
    domain = call.params.get("domain")
    given = call.changes
    made = await call.write(
        lambda write: greylist_exceptions.add(
            write, given["kind"], given["pattern"], domain=domain, note=given.get("note", "")
        )
    )
    return ApiReply(made, None, location("greylist-exceptions", made.id))


async def remove(call: Call) -> ApiReply:
    """Remove an exception."""
    text, domain = call.params["id"], call.params.get("domain")
    if not text.isascii() or not text.isdecimal() or len(text) > 15:
        raise NoSuchObject("There is no such exception.")
    await call.write(lambda write: greylist_exceptions.remove(write, int(text), domain=domain))
    return ApiReply()


_ALL = "/greylist-exceptions"
_OF_DOMAIN = "/domains/{domain}/greylist-exceptions"

OPERATIONS = [
    Operation(
        "find-greylist",
        "GET",
        "/greylist",
        "greylist",
        Reach.LISTED,
        "Search for records of the greylist",
        show,
        query=GreylistQuery,
        gives=GreylistFoundOut,
        prepare=search,
    ),
    Operation(
        "forget-greylist",
        "POST",
        "/greylist/forget",
        "greylist",
        Reach.GLOBAL,
        "Forget records of the greylist",
        show,
        takes=GreylistForget,
        gives=GreylistFoundOut,
        prepare=forget,
        is_alone=True,
    ),
    Operation(
        "forget-domain-greylist",
        "POST",
        "/domains/{domain}/greylist/forget",
        "greylist",
        Reach.DOMAIN,
        "Forget records of the greylist about the recipients in a domain",
        show,
        takes=GreylistForget,
        gives=GreylistFoundOut,
        prepare=forget,
        is_alone=True,
    ),
    Operation(
        "list-greylist-exceptions",
        "GET",
        _ALL,
        "greylist",
        Reach.LISTED,
        "List exceptions from the greylist",
        find,
        query=NumberedPageQuery,
        gives=GreylistExceptionOut,
        is_list=True,
    ),
    Operation(
        "add-greylist-exception",
        "POST",
        _ALL,
        "greylist",
        Reach.GLOBAL,
        "Add an exception from the greylist for all recipients",
        add,
        takes=GreylistExceptionAdd,
        gives=GreylistExceptionOut,
        status=HTTPStatus.CREATED,
    ),
    Operation(
        "remove-greylist-exception",
        "DELETE",
        _ALL + "/{id}",
        "greylist",
        Reach.GLOBAL,
        "Remove an exception from the greylist",
        remove,
        status=HTTPStatus.NO_CONTENT,
    ),
    Operation(
        "add-domain-greylist-exception",
        "POST",
        _OF_DOMAIN,
        "greylist",
        Reach.DOMAIN,
        "Add an exception from the greylist for the recipients in a domain",
        add,
        takes=GreylistExceptionAdd,
        gives=GreylistExceptionOut,
        status=HTTPStatus.CREATED,
    ),
    Operation(
        "remove-domain-greylist-exception",
        "DELETE",
        _OF_DOMAIN + "/{id}",
        "greylist",
        Reach.DOMAIN,
        "Remove an exception from the greylist for the recipients in a domain",
        remove,
        status=HTTPStatus.NO_CONTENT,
    ),
]
