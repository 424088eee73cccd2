"""One connection on an event loop, with a conversation that goes wrong."""

from __future__ import annotations

import asyncio
import socket

import pytest
from structlog.testing import capture_logs

from gatepost.logs import get_logger
from milters.connection import MilterConnection
from milters.conversation import UNIX, MilterConversation
from milters.decision import Decisions, Runtime
from milters.memory import Memory
from milters.protocol.errors import MilterProtocolError
from milters.session import Session


class Owner:
    draining = False

    def __init__(self) -> None:
        self.gone = asyncio.Event()

    def ended(self, connection: MilterConnection) -> None:
        self.gone.set()


class Wrong(MilterConversation):
    """Fails when it is to follow what came."""

    error: Exception

    def advance(self) -> None:
        raise self.error


def runtime() -> Runtime:
    raise AssertionError("nothing is decided here")


@pytest.mark.parametrize(
    ("error", "event"),
    [
        (MilterProtocolError("nonsense"), "not the milter protocol, connection closed"),
        (RuntimeError("a mistake of ours"), "bug in Gatepost, message deferred"),
    ],
)
def test_what_goes_wrong_closes_the_connection_with_one_line(error: Exception, event: str) -> None:
    async def play() -> None:
        ours, theirs = socket.socketpair()
        log = get_logger("milters")
        decisions = Decisions(runtime, log)
        session = Session(lambda: decisions.rules)
        wrong = Wrong(session, decisions, UNIX, 1000)
        wrong.error = error
        owner = Owner()
        with ours, theirs:
            connection = MilterConnection(
                ours, wrong, decisions, owner, Memory(), log, asyncio.get_running_loop()
            )
            connection.begin()
            theirs.send(b"x")
            await asyncio.wait_for(owner.gone.wait(), 30)
            assert not connection.is_open
            assert theirs.recv(1) == b""

    with capture_logs() as logs:
        asyncio.run(play())
    assert [line["event"] for line in logs] == [event]
