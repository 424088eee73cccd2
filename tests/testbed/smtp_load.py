"""A sending server under load: numbered messages over several sessions, each tried until accepted.

What smtp-source does not tell is told here: which message got its 250, which was cut off before the
reply to its last dot (the server may have taken it, and a second try makes a duplicate of it: RFC
5321 section 4.5.3.2.6), and what the refusals said.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.testbed.closing import Closing
from tests.testbed.smtp import RawClient, Reply
from tests.testbed.waiting import wait_until

PAUSE = 0.2
"""Seconds after a refusal or a lost connection until the session goes on."""

PER_CONNECTION = 20
"""Messages over one connection, as servers with much mail for us have it."""


@dataclass(frozen=True)
class Journey:
    """From whom the messages come, where to, and what they are."""

    host: str
    client: str
    sender: str
    recipient: str
    name: str
    """What the subjects begin with: ``NAME NUMBER``."""
    body: bytes = b"x" * 70 + b"\r\n"
    port: int = 25
    helo: str = "mail.example.net"

    def message(self, number: int) -> bytes:
        """Return the message with that number, dot-stuffed already."""
        fields = (
            f"From: <{self.sender}>\r\nTo: <{self.recipient}>\r\nSubject: {self.name} {number}\r\n"
            f"Date: Sat, 21 Nov 2026 12:00:00 +0000\r\n"
            f"Message-ID: <{self.name}.{number}@{self.helo}>\r\n\r\n"
        )
        return fields.encode() + self.body


@dataclass
class Told:
    """What the server said about the messages."""

    accepted: set[int] = field(default_factory=set)
    """Those that got 250: the server has answered for them."""
    unanswered: Counter[int] = field(default_factory=Counter)
    """How often the connection was lost between the last dot of a message and its reply."""
    refused: dict[int, str] = field(default_factory=dict)
    """5xx: not tried again."""
    deferrals: Counter[str] = field(default_factory=Counter)
    """4xx replies by their text, and lost connections by their error."""


class Load(Closing):
    """Sends the messages 0 to `messages` - 1, from construction on, in threads."""

    def __init__(self, journey: Journey, messages: int, *, sessions: int = 4) -> None:
        self.told = Told()
        self._journey = journey
        self._waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number in range(messages):
            self._waiting.put(number)
        self._messages = messages
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._session) for _ in range(sessions)]
        for thread in self._threads:
            thread.start()

    @property
    def done(self) -> int:
        """How many messages are accepted or refused for good."""
        with self._lock:
            return len(self.told.accepted) + len(self.told.refused)

    def wait_for(self, done: int, deadline: float = 120.0) -> None:
        """Wait until so many messages are done."""
        what = f"{done} messages to be accepted"
        wait_until(lambda: self.done >= done, what, deadline=deadline, pause=0.02)

    def finish(self, deadline: float = 120.0) -> Told:
        """Wait until every message is done; what the server said."""
        self.wait_for(self._messages, deadline)
        self.close()
        return self.told

    def enough(self) -> Told:
        """End what is under way and begin no other message; what the server said."""
        self.close()
        return self.told

    def close(self) -> None:
        """End what is under way and begin no other message."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _session(self) -> None:
        while not self._stopping.is_set() and self.done < self._messages:
            try:
                self._connection()
            except (OSError, ValueError) as error:  # ValueError: a reply was cut in two
                self._note(f"lost: {type(error).__name__}")
                time.sleep(PAUSE)

    def _connection(self) -> None:
        journey = self._journey
        with RawClient(journey.port, host=journey.host, interface=journey.client) as client:
            if self._deferred(client.greeting) or self._deferred(client.hello(journey.helo)):
                return
            for _ in range(PER_CONNECTION):
                try:
                    number = self._waiting.get(timeout=PAUSE)
                except queue.Empty:
                    break
                if self._stopping.is_set():
                    break
                if not self._send(client, number):
                    return
            client.command("QUIT")

    def _send(self, client: RawClient, number: int) -> bool:
        """One message; whether the connection can be used on."""
        reply: Reply | None = None
        ended = False
        try:
            reply = client.begin(self._journey.sender, self._journey.recipient)
            if reply.code == 354:
                client.send(self._journey.message(number))
                ended = True
                reply = client.end()
        except BaseException:
            if ended:
                with self._lock:
                    self.told.unanswered[number] += 1
            self._waiting.put(number)
            raise
        with self._lock:
            if reply.code == 250:
                self.told.accepted.add(number)
                return True
            if reply.code >= 500:
                self.told.refused[number] = str(reply)
        if reply.code < 500:
            self._waiting.put(number)
            self._deferred(reply)
        return reply.code != 421 and client.command("RSET").code == 250

    def _deferred(self, reply: Reply) -> bool:
        if reply.code < 400:
            return False
        self._note(str(reply))
        time.sleep(PAUSE)
        return True

    def _note(self, what: str) -> None:
        with self._lock:
            self.told.deferrals[what] += 1
