"""Load generator for SMTP: numbered messages over several sessions, each retried until accepted.

Unlike smtp-source, it records which messages got 250, which connections were lost before the reply
to the final dot (the server may have accepted the message, and a retry then duplicates it: RFC 5321
section 4.5.3.2.6), and the texts of the refusals.
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
"""Seconds until a session continues after a refusal or a lost connection."""

PER_CONNECTION = 20
"""Messages over one connection, as from a server with much mail for us."""


@dataclass(frozen=True)
class Journey:
    """Sender, recipient and name of the messages."""

    host: str
    client: str
    sender: str
    recipient: str
    name: str
    """The first word of the subjects, which are ``NAME NUMBER``."""
    body: bytes = b"x" * 70 + b"\r\n"
    port: int = 25
    helo: str = "mail.example.net"

    def message(self, number: int) -> bytes:
        """Return the message with this number, already dot-stuffed."""
        fields = (
            f"From: <{self.sender}>\r\nTo: <{self.recipient}>\r\nSubject: {self.name} {number}\r\n"
            f"Date: Sat, 21 Nov 2026 12:00:00 +0000\r\n"
            f"Message-ID: <{self.name}.{number}@{self.helo}>\r\n\r\n"
        )
        return fields.encode() + self.body


@dataclass
class Told:
    """The server's replies to the messages."""

    accepted: set[int] = field(default_factory=set)
    """Messages accepted with 250."""
    unanswered: Counter[int] = field(default_factory=Counter)
    """Number of connections lost between the final dot of a message and its reply."""
    refused: dict[int, str] = field(default_factory=dict)
    """Messages refused with 5xx, which are not retried."""
    deferrals: Counter[str] = field(default_factory=Counter)
    """Number of 4xx replies by their text, and of lost connections by their error."""


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
        """Number of messages that are accepted or permanently refused."""
        with self._lock:
            return len(self.told.accepted) + len(self.told.refused)

    def wait_for(self, done: int, deadline: float = 120.0) -> None:
        """Wait until `done` messages are done."""
        what = f"{done} messages to be accepted"
        wait_until(lambda: self.done >= done, what, deadline=deadline, pause=0.02)

    def finish(self, deadline: float = 120.0) -> Told:
        """Wait until every message is done; return the server's replies."""
        self.wait_for(self._messages, deadline)
        self.close()
        return self.told

    def enough(self) -> Told:
        """Finish current messages, start no other, and return the server's replies."""
        self.close()
        return self.told

    def close(self) -> None:
        """Finish current messages and start no other."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _session(self) -> None:
        while not self._stopping.is_set() and self.done < self._messages:
            try:
                self._connection()
            except (OSError, ValueError) as error:  # ValueError: a reply was truncated
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
        """Send one message; return whether the connection is still usable."""
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
