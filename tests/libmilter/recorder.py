"""A milter that is ours and remembers what an MTA says; and such memories as files.

A file has one packet a line, as Python would write its octets; so it can be read, and edited.
"""

from __future__ import annotations

import ast
import socketserver
import threading
from pathlib import Path
from typing import Literal

from tests.libmilter.conversation import Conversation, packets
from tests.libmilter.ours import Ours
from tests.testbed.closing import StreamServer
from tests.unit.milters.test_protocol import packet

RECORDED = Path(__file__).parents[1] / "vectors" / "milter"
"""Octets from a real Postfix, by name of the test that caused them."""


class Recorder(StreamServer):
    """Follows each MTA as ours does over TCP; `conversations` are those that have ended."""

    def __init__(self, rules: str = "default") -> None:
        self.conversations: list[Conversation] = []
        self._open = 0
        self._changed = threading.Condition()
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                outer._count(1)
                heard = b""
                ours = Ours(Conversation(b"", "tcp", rules))
                try:
                    while not ours.has_ended and (octets := self.request.recv(65536)):
                        heard += octets
                        self.request.sendall(ours.say(octets))
                except ConnectionResetError:
                    pass  # Postfix hangs up in the middle of an answer that it does not need
                finally:
                    outer.conversations.append(Conversation(heard, "tcp", rules))
                    outer._count(-1)

        super().__init__(Handler)

    def _count(self, change: int) -> None:
        with self._changed:
            self._open += change
            self._changed.notify_all()

    def wait(self, seconds: float) -> list[Conversation]:
        """Wait for a conversation about mail, and until every MTA has hung up.

        Returns all conversations there were.
        """

        def is_over() -> bool:
            return self._open == 0 and any(map(has_mail, self.conversations))

        with self._changed:
            if not self._changed.wait_for(is_over, seconds):
                raise TimeoutError("no MTA has told of mail, or one is still connected")
        return self.conversations


def has_mail(conversation: Conversation) -> bool:
    """Return whether any message begins in it."""
    return any(one[:1] == b"M" for one in packets(conversation.octets))


def write(path: Path, conversation: Conversation) -> None:
    """Keep a conversation as a file."""
    lines = [f"# {conversation.wishes} {conversation.rules}"]
    lines += map(repr, packets(conversation.octets))
    path.write_text("\n".join(lines) + "\n")


def read(path: Path) -> Conversation:
    """Read such a file."""
    head, *lines = path.read_text().splitlines()
    octets = b"".join(packet(one[:1], one[1:]) for one in map(ast.literal_eval, lines))
    wishes: Literal["tcp", "unix"]
    _, wishes, rules = head.split()  # type: ignore[assignment]
    return Conversation(octets, wishes, rules)
