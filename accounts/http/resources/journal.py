"""Operations on the journal: what became of a mail, and the removal of an address from it."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus

from sqlalchemy import Connection

from accounts.directory import aliases, domains, fields, mailboxes
from accounts.directory.paging import MAX_PAGE
from accounts.http.call import ApiReply, Call
from accounts.http.models.journal import TraceOut, TraceQuery
from accounts.http.operation import Operation, Reach
from accounts.http.principals import Role
from accounts.http.problems import ApiProblem, WrongField
from accounts.journal.found import FoundStories
from accounts.journal.journal import MailJournal
from accounts.journal.place import JournalPlace
from accounts.journal.question import JournalQuestion, SearchWordError, read_words
from accounts.journal.row import base_of
from accounts.journal.table import JournalView
from accounts.journal.upkeep import DAY
from accounts.store.noted import clean
from gatepost.journal.record import MAX_TIME


async def search(call: Call) -> FoundStories:
    """Return the stories that a caller may see, before a transaction begins. For `prepare`.

    A search by an administrator is about other people: it is entered in the audit log.
    """
    journal = _journal(call)
    query = call.query
    try:
        words = read_words(query.words.split())
    except SearchWordError as error:
        raise ApiProblem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"words: {error}",
            errors=[WrongField("words", str(error))],
        ) from None
    try:
        after = None if query.after is None else JournalPlace.parse(query.after)
    except ValueError as error:
        raise ApiProblem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"after: {error}",
            errors=[WrongField("after", str(error))],
        ) from None
    view = await _view(call)
    if view.addresses is None:
        await call.context.database.write(
            call.actor, lambda write: write.audit("trace.search", clean(" ".join(words)))
        )
    since, until = _bounded(query.since), _bounded(query.until)
    wanted = JournalQuestion(words, since, until, view, query.limit, after)
    return await journal.search(wanted)


async def show(call: Call) -> ApiReply:
    """Return the stories that were found."""
    found: FoundStories = call.prepared
    following = found.following
    return ApiReply(found.stories, next=None if following is None else following.key)


def _bounded(seconds: int | None) -> int | None:
    """Return a time that a database can compare with."""
    return None if seconds is None else min(seconds, MAX_TIME)


async def erase(call: Call) -> ApiReply:
    """Remove an address from the journal, once the entry in the audit log is written."""
    journal = _journal(call)
    address = call.params["address"]
    # mail to strangers is in the journal, too
    fields.target("address", address)
    await call.write(lambda write: write.audit("trace.erase", address))
    call.after(partial(journal.erase_soon, address))
    return ApiReply()


def _journal(call: Call) -> MailJournal:
    journal = call.context.journal
    if journal is None or not journal.days:
        raise ApiProblem(
            HTTPStatus.NOT_FOUND, "There is no journal: `days` in [accounts.journal] is 0."
        )
    return journal


async def _view(call: Call) -> JournalView:
    """Return the rows that the caller may see."""
    principal = call.principal
    if principal.role is Role.GLOBAL:
        return JournalView()
    if principal.role is Role.DOMAINS:
        return JournalView(domains=principal.domains)
    mailbox = call.address
    oldest = call.context.clock() - _journal(call).days * DAY
    return await call.context.database.read(lambda connection: _own(connection, mailbox, oldest))


def _own(connection: Connection, mailbox: str, oldest: float) -> JournalView:
    """Return the rows about a mailbox, and about the addresses that lead to it alone, also by an
    alias of its domain; `oldest` is the time of the oldest record.

    The mail to an address before it was made belongs to who had it then.
    """
    since = mailboxes.get(connection, mailbox).created
    found = aliases.find(connection, target=mailbox, limit=MAX_PAGE)
    # the mail of an alias with other members is theirs, too
    made = {mailbox: since}
    made |= {
        one.address: one.created for one in found if len(one.targets) == 1 and not one.is_wildcard
    }
    own: dict[str, int] = {}
    for name, created in made.items():
        local, _, domain = name.rpartition("@")
        own[base_of(name, "")] = created
        for other in domains.aliases_of(connection, domain):
            begun = max(created, domains.get(connection, other).created)
            own[base_of(f"{local}@{other}", "")] = begun
    young = {name: begun for name, begun in own.items() if begun > max(since, oldest)}
    return JournalView(
        addresses=frozenset(own.keys() - young.keys()),
        login=mailbox,
        since=since,
        younger=tuple(young.items()),
    )


OPERATIONS = [
    Operation(
        "trace-mail",
        "GET",
        "/trace",
        "trace",
        Reach.LISTED,
        "Search for mail, and tell what became of it, the latest first",
        show,
        query=TraceQuery,
        gives=TraceOut,
        is_list=True,
        prepare=search,
    ),
    Operation(
        "trace-own-mail",
        "GET",
        "/me/trace",
        "trace",
        Reach.SELF,
        "Search for mail to the caller's addresses or sent by the caller's login",
        show,
        query=TraceQuery,
        gives=TraceOut,
        is_list=True,
        prepare=search,
    ),
    Operation(
        "erase-trace",
        "DELETE",
        "/trace/{address}",
        "trace",
        Reach.DOMAIN,
        "Remove everything about mail to and from an address from the journal",
        erase,
        status=HTTPStatus.NO_CONTENT,
    ),
]
