"""Answers to the recipients of one message, in their order."""

from __future__ import annotations

import asyncio

from delivery.answers import RecipientAnswers, RecipientOutcome
from delivery.protocols.store_reply import StoreReply
from gatepost.logs import get_logger

OUTCOME = RecipientOutcome("ham")


def reply(number: int) -> StoreReply:
    return StoreReply(250, "2.0.0", f"number {number}")


def test_replies_wait_for_those_before_them_and_then_come_together() -> None:
    async def run() -> list[bytes]:
        answers = RecipientAnswers(("a", "b", "c", "d"), get_logger("test"), lambda: 0.0)
        seen: list[bytes] = []
        write_to_client = seen.append

        async def write() -> None:
            async for replies in answers.in_order():
                write_to_client(replies)

        writing = asyncio.create_task(write())
        await asyncio.sleep(0)
        answers.give(1, reply(1), OUTCOME)
        await asyncio.sleep(0)
        assert seen == []
        answers.give(2, reply(2), OUTCOME)
        answers.give(0, reply(0), OUTCOME)
        await asyncio.sleep(0)
        assert seen == [b"".join(bytes(reply(number)) for number in range(3))]
        answers.give(3, reply(3), OUTCOME)
        await asyncio.wait_for(writing, 5)
        return seen

    assert asyncio.run(run())[1:] == [bytes(reply(3))]
