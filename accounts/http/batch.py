"""Batch of several operations in one transaction: all are done, or none.

`gatepost domain` and the other commands work this way, with the datastore in this process or in the
service.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from http import HTTPStatus
from typing import Any, TypeVar

from sqlalchemy import Connection

from accounts.eager import begin
from accounts.http import access, body
from accounts.http.call import ApiReply, Call, IfMatch
from accounts.http.models.base import NoQuery
from accounts.http.models.batch import BatchIn, BatchPart, BatchReply
from accounts.http.operation import Operation, Reach
from accounts.http.problems import ApiProblem, WrongField
from accounts.store.errors import RefusalError
from accounts.store.transaction import Write

T = TypeVar("T")

MAX_PREPARED = 20
"""Operations of a batch that set a password, generate a key or ask Dovecot: each takes long."""
MAX_LISTS = 20
"""Operations of a batch that list objects: each answer has up to 500, and all are in memory."""


@dataclass(frozen=True, slots=True)
class PartCall(Call):
    """A call within an open transaction. `later` runs after its end."""

    connection: Connection | None = None
    transaction: Write | None = None
    later: list[Callable[[], None]] = field(default_factory=list)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Read within the transaction."""
        assert self.connection is not None  # noqa: S101
        return work(self.connection)

    async def write(self, work: Callable[[Write], T]) -> T:
        """Write within the transaction."""
        assert self.transaction is not None  # noqa: S101
        return work(self.transaction)

    def after(self, work: Callable[[], None]) -> None:
        """Do something after the commit."""
        self.later.append(work)


def batch(operations: Iterable[Operation]) -> Operation:
    """Return the operation that runs several of `operations`."""
    by_name = {one.name: one for one in operations}

    def writes(call: Call) -> bool:
        named = {part.operation for part in call.body.operations}
        return any(by_name[name].is_write for name in named if name in by_name)

    async def handle(call: Call) -> ApiReply:
        """Do several operations."""
        return ApiReply(await perform(call, by_name, call.body.operations, call.body.dry_run))

    return Operation(
        name="batch",
        method="POST",
        path="/batch",
        area="",
        reach=Reach.SELF,
        summary="Do several operations in one transaction",
        handle=handle,
        takes=BatchIn,
        gives=BatchReply,
        is_list=True,
        is_alone=True,
        writes=writes,
        counts_as=lambda call: len(call.body.operations),
    )


async def perform(
    call: Call, by_name: Mapping[str, Operation], parts: Sequence[BatchPart], dry_run: bool
) -> list[dict[str, Any]]:
    """Run operations for `call.principal`; return the fields of `BatchReply` for each.

    Raises `ApiProblem`, `Forbidden` and `DatastoreError`. Then nothing was done, and a refusal
    within the transaction is in the audit log.
    """
    chosen = [(_operation(by_name, part.operation), part) for part in parts]
    calls = [(one, _call(call, one, part)) for one, part in chosen]
    if sum(one.prepare is not None for one, _ in calls) > MAX_PREPARED:
        text = (
            f"At most {MAX_PREPARED} operations of a batch set a password, add a key or read usage."
        )
        raise _wrong("operations", text)
    if sum(one.is_list for one, _ in calls) > MAX_LISTS:
        raise _wrong("operations", f"At most {MAX_LISTS} operations of a batch list objects.")
    if any(one.acts_outside for one, _ in calls) and (dry_run or len(calls) > 1):
        raise _wrong("operations", "An operation on mail is alone in a batch, and cannot be tried.")
    for place, (one, made) in enumerate(calls):
        if one.prepare is not None:
            calls[place] = one, replace(made, prepared=await one.prepare(made))
    writes = [one for one, _ in chosen if one.is_write]

    later: list[Callable[[], None]] = []

    def answers(connection: Connection, write: Write | None) -> list[dict[str, Any]]:
        later.clear()  # it may be called again
        return [_answer(one, _bound(made, connection, write, later)) for one, made in calls]

    if not writes:
        return await call.read(lambda connection: answers(connection, None))
    verb, _, noun = writes[0].name.removeprefix("own-").partition("-")
    named = next(part for one, part in chosen if one.is_write).params
    # below /me the path has no address
    owner = call.principal.mailbox
    subject = next(iter(named.values()), "") if owner is None else owner

    def work(write: Write) -> list[dict[str, Any]]:
        with write.attempt(f"{noun}.{verb}", subject):
            return answers(write.connection, write)

    if dry_run:
        return await _rehearse(call, work)
    replies = await call.write(work)
    for rest in later:
        rest()
    return replies


async def _rehearse(call: Call, work: Callable[[Write], T]) -> T:
    """Return what `work` returns, and undo it; a refusal is entered in the audit log."""
    try:
        return await call.context.database.rehearse(call.actor, work)
    except RefusalError as error:
        refused = error  # Python deletes the name at the end of this block

        def refuse(_: Write) -> T:
            raise refused

        return await call.write(refuse)


def _operation(by_name: Mapping[str, Operation], name: str) -> Operation:
    found = by_name.get(name)
    if found is None or found.is_alone:
        raise _wrong("operation", "There is no such operation, or it cannot be part of a batch.")
    return found


def _call(call: Call, operation: Operation, part: BatchPart) -> Call:
    """Return the checked call of one operation."""
    access.check_role(call.principal, operation)
    if sorted(part.params) != sorted(operation.parameters):
        wanted = ", ".join(operation.parameters) or "none"
        raise _wrong("params", f"The parameters of {operation.name} are: {wanted}.")
    access.check_targets(call.principal, operation, part.params, None, complete=False)
    query = body.validate(operation.query or NoQuery, part.query, strict=False)
    matching = IfMatch.parse(part.if_match) if operation.matches else IfMatch(None)
    given = None
    if operation.takes is not None:
        given = body.validate(operation.takes, {} if part.body is None else part.body)
    elif part.body is not None:
        raise _wrong("body", "This operation takes no body.")
    touched = given if operation.takes is not None else query
    access.check_targets(call.principal, operation, part.params, touched, complete=True)
    return Call(
        call.context,
        call.authentication,
        call.principal,
        call.client,
        part.params,
        query,
        given,
        matching,
    )


def _bound(
    call: Call, connection: Connection, write: Write | None, later: list[Callable[[], None]]
) -> PartCall:
    values = {one.name: getattr(call, one.name) for one in fields(call)}
    return PartCall(**values, connection=connection, transaction=write, later=later)


def _answer(operation: Operation, call: PartCall) -> dict[str, Any]:
    reply = begin(operation.handle(call))
    if not isinstance(reply, ApiReply):
        raise TypeError(f"{operation.name} waits for something within a transaction")
    return {
        "status": operation.status.value,
        "tag": reply.tag,
        "next": reply.next,
        "body": operation.shown(reply),
    }


def _wrong(field: str, text: str) -> ApiProblem:
    return ApiProblem(
        HTTPStatus.UNPROCESSABLE_ENTITY, f"{field}: {text}", errors=[WrongField(field, text)]
    )
