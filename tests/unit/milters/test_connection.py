"""A connection whose socket and event loop are played: what mistakes of ours come to."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from gatepost.logs import get_logger
from milters.connection import MilterConnection
from milters.conversation import UNIX, MilterConversation
from milters.decision import Decisions, MessageAnswer
from milters.memory import Memory
from milters.session import Session
from tests.unit.milters.mail import rules
from tests.unit.milters.test_protocol import END, MAIL, OFFER

LOG = get_logger("milters")


class Wire:
    """A socket that brings what it was given, and takes what it is told to."""

    def __init__(self) -> None:
        self.incoming: list[bytes] = []
        self.room = 1 << 20
        self.is_open = True

    def setblocking(self, flag: bool) -> None:
        assert not flag

    def fileno(self) -> int:
        return 5 if self.is_open else -1

    def recv(self, size: int) -> bytes:
        if not self.incoming:
            raise BlockingIOError
        return self.incoming.pop(0)

    def send(self, octets: bytes) -> int:
        if not self.room:
            raise BlockingIOError
        return min(self.room, len(octets))

    def close(self) -> None:
        self.is_open = False


class Loop:
    """The part of an event loop that a connection uses."""

    def __init__(self) -> None:
        self.reader: Callable[[], None] | None = None
        self.writer: Callable[[], None] | None = None
        self.soon: list[Callable[[], None]] = []

    def time(self) -> float:
        return 0.0

    def add_reader(self, _: object, callback: Callable[[], None]) -> None:
        self.reader = callback

    def remove_reader(self, _: object) -> None:
        self.reader = None

    def add_writer(self, _: object, callback: Callable[[], None]) -> None:
        self.writer = callback

    def remove_writer(self, _: object) -> None:
        self.writer = None

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.soon.append(callback)


class Late(Decisions):
    """Decides when the test says so."""

    done: Callable[[MessageAnswer], None]

    def decide(
        self, session: Session, queue_id: str, done: Callable[[MessageAnswer], None]
    ) -> MessageAnswer | None:
        self.done = done
        return None


class Scene:
    """One connection, and what became of it."""

    draining = False

    def __init__(self) -> None:
        self.ends = 0
        self.wire, self.loop = Wire(), Loop()
        current = rules()
        self.decisions = Late(lambda: pytest.fail("nothing is decided here"), LOG)
        session = Session(lambda: current)
        self.conversation = MilterConversation(session, self.decisions, UNIX, 70_000)
        self.connection = MilterConnection(
            cast(socket.socket, self.wire),
            self.conversation,
            self.decisions,
            self,
            Memory(),
            LOG,
            cast(asyncio.AbstractEventLoop, self.loop),
        )
        self.connection.begin()

    def ended(self, connection: MilterConnection) -> None:
        assert connection is self.connection
        self.ends += 1

    def hear(self, octets: bytes) -> None:
        self.wire.incoming.append(octets)
        assert self.loop.reader is not None
        self.loop.reader()


class Mistaken:
    """In place of a conversation, from when the mistake is to happen."""

    def __init__(self, conversation: MilterConversation) -> None:
        self.session = conversation.session

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("a mistake of ours")


def test_what_is_here_with_the_connection_is_followed_at_once() -> None:
    scene = Scene()
    scene.loop.reader = None
    scene.wire.incoming.append(OFFER + MAIL + END)
    scene.connection.begin()
    assert scene.decisions.done is not None
    assert scene.loop.reader is None, "nothing is read while DNS is asked"
    scene.decisions.done(())
    assert scene.loop.reader is not None


def in_reading(scene: Scene) -> None:
    scene.connection._conversation = cast(MilterConversation, Mistaken(scene.conversation))
    scene.hear(OFFER)


def in_a_turn(scene: Scene) -> None:
    scene.hear(OFFER + MAIL + END + MAIL)
    scene.decisions.done(())
    (turn,) = scene.loop.soon
    scene.connection._conversation = cast(MilterConversation, Mistaken(scene.conversation))
    turn()


def in_a_late_answer(scene: Scene) -> None:
    scene.hear(OFFER + MAIL + END)
    assert scene.loop.reader is None
    scene.connection._conversation = cast(MilterConversation, Mistaken(scene.conversation))
    scene.decisions.done(())


def behind_output_that_waited(scene: Scene) -> None:
    scene.wire.room = 0
    scene.hear(OFFER)
    scene.wire.room = 1 << 20
    scene.connection._conversation = cast(MilterConversation, Mistaken(scene.conversation))
    assert scene.loop.writer is not None
    scene.loop.writer()


@pytest.mark.parametrize(
    "mistake", [in_reading, in_a_turn, in_a_late_answer, behind_output_that_waited]
)
def test_a_mistake_of_ours_closes_the_connection(mistake: Callable[[Scene], None]) -> None:
    scene = Scene()
    with capture_logs() as lines:
        mistake(scene)
    assert not scene.wire.is_open, "the MTA would wait for ever"
    assert scene.ends == 1
    assert scene.loop.reader is None
    assert scene.loop.writer is None
    (line,) = lines
    assert line["event"] == "bug in Gatepost, message deferred"
    assert line["trace"]
    assert "a mistake of ours" in line["exception"]


def test_an_answer_to_who_has_gone_is_dropped() -> None:
    scene = Scene()
    scene.hear(OFFER + MAIL + END)
    scene.connection.close()
    with capture_logs() as lines:
        scene.decisions.done(())
    assert scene.ends == 1
    assert not lines
