"""Operations on moves of mailboxes between mail stores."""

from __future__ import annotations

from http import HTTPStatus

from sqlalchemy import Connection

from accounts.directory import moves
from accounts.directory.moves import Move
from accounts.http.call import ApiReply, Call
from accounts.http.models.moves import MoveAsk, MoveOut, MoveQuery
from accounts.http.operation import Operation, Reach
from accounts.store.errors import Invalid
from accounts.store.transaction import Write


async def find(call: Call) -> ApiReply:
    """List moves in progress."""

    def work(connection: Connection, limit: int) -> list[Move]:
        return moves.find(connection, after=call.query.after, limit=limit)

    return await call.page(work, lambda one: one.address)


async def ask(call: Call) -> ApiReply:
    """Begin a move; the service makes it."""
    stores, target = call.context.stores, call.body.store

    def work(write: Write) -> Move:
        if target not in stores.named:
            known = ", ".join(sorted(stores.named)) or "none"
            raise Invalid("store", f"There is no mail store {target}; known are: {known}.")
        return moves.ask(write, call.address, target, stores.default)

    return ApiReply(await call.write(work))


async def get(call: Call) -> ApiReply:
    """Read a move."""
    return ApiReply(await call.read(lambda connection: moves.get(connection, call.address)))


async def cancel(call: Call) -> ApiReply:
    """End a move."""
    await call.write(lambda write: moves.cancel(write, call.address))
    return ApiReply()


OPERATIONS = [
    Operation(
        name="list-moves",
        method="GET",
        path="/moves",
        area="mailboxes",
        reach=Reach.GLOBAL,
        summary="List the mailboxes that are being moved to another mail store",
        handle=find,
        query=MoveQuery,
        gives=MoveOut,
        is_list=True,
    ),
    Operation(
        name="move-mailbox",
        method="POST",
        path="/mailboxes/{address}/move",
        area="mailboxes",
        reach=Reach.GLOBAL,
        summary="Move a mailbox to another mail store",
        handle=ask,
        takes=MoveAsk,
        gives=MoveOut,
        status=HTTPStatus.ACCEPTED,
    ),
    Operation(
        name="get-move",
        method="GET",
        path="/mailboxes/{address}/move",
        area="mailboxes",
        reach=Reach.GLOBAL,
        summary="Read how far the move of a mailbox is",
        handle=get,
        gives=MoveOut,
    ),
    Operation(
        name="cancel-move",
        method="DELETE",
        path="/mailboxes/{address}/move",
        area="mailboxes",
        reach=Reach.GLOBAL,
        summary="End the move of a mailbox that is still in its old mail store",
        handle=cancel,
        status=HTTPStatus.NO_CONTENT,
    ),
]
