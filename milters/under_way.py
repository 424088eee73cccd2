"""What a worker has in hand: its connections, and the messages that have begun and not ended.

A worker that drains lets the messages finish, and only then ends its connections. Safe for
threads: the callbacks of libmilter count here from many.
"""

from __future__ import annotations

import threading


class UnderWay:
    """Counts connections and messages, and waits for them to come to an end."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._connections = 0
        self._messages = 0
        self._draining = False

    def connection_opened(self) -> None:
        """A connection of the MTA begins."""
        with self._changed:
            self._connections += 1

    def connection_closed(self) -> None:
        """A connection has ended, and everything was sent on it."""
        with self._changed:
            self._connections -= 1
            self._changed.notify_all()

    def message_begun(self) -> bool:
        """A message begins; False when it does not count any more, because the worker drains."""
        with self._changed:
            if self._draining:
                return False
            self._messages += 1
            return True

    def message_ended(self) -> None:
        """A message that counted has been decided, or was given up by the MTA."""
        with self._changed:
            self._messages -= 1
            self._changed.notify_all()

    def wait_for_messages(self, seconds: float) -> bool:
        """Let no further message count, and wait until none is left; False when time is over."""
        with self._changed:
            self._draining = True
            return self._changed.wait_for(lambda: self._messages == 0, seconds)

    def wait_for_connections(self, seconds: float) -> bool:
        """Wait until every connection is closed; False when time is over."""
        with self._changed:
            return self._changed.wait_for(lambda: self._connections == 0, seconds)
