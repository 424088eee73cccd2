"""Time without a scanner: how long it has failed for all mail, and for a single message.

While a scanner is away, mail waits in the queue of Postfix (451). After `patience` seconds of one
outage it is delivered with a mark. The same holds for one message that has failed for that long
although others were scanned: else a message that makes a scanner crash would return to its sender.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, NamedTuple

MAX_WAITING: Final = 10_000
"""Messages whose first failure is remembered; the oldest are forgotten, and so wait longer."""


class OutageChange(NamedTuple):
    """The news of a failure or success."""

    has_begun: bool = False
    has_ended: bool = False


class Outage:
    """Failures of one scanner; all times are those of one clock, in seconds."""

    def __init__(self) -> None:
        self.since: float | None = None
        """Time of the first failure since the last success; None if the last scan succeeded."""
        self._first_failures: OrderedDict[str, float] = OrderedDict()

    def note_success(self, identity: str) -> OutageChange:
        """Note that a message was scanned."""
        has_ended, self.since = self.since is not None, None
        self._first_failures.pop(identity, None)
        return OutageChange(has_ended=has_ended)

    def note_failure(self, identity: str, now: float) -> OutageChange:
        """Note that a message could not be scanned; `identity` is empty if it has none."""
        has_begun = self.since is None
        if self.since is None:
            self.since = now
        self.note_wait(identity, now)
        return OutageChange(has_begun=has_begun)

    def note_wait(self, identity: str, now: float) -> None:
        """Note that a scanner, which works, wants to see a message later."""
        if identity:
            self._first_failures.setdefault(identity, now)
            if len(self._first_failures) > MAX_WAITING:
                self._first_failures.popitem(last=False)

    def remark(self, now: float) -> str | None:
        """Return one line about an outage; None if the last scan succeeded."""
        since = self.since
        return None if since is None else f"no scan has succeeded for {now - since:.0f} s"

    def has_lasted(self, now: float, seconds: float) -> bool:
        """Return whether no scan has succeeded for that long after a failure."""
        return self.since is not None and now - self.since >= seconds

    def lasts(self, identity: str, now: float, patience: float) -> bool:
        """Return whether a message has waited long enough for a scanner; never for 0 seconds."""
        if not patience:
            return False
        first = self._first_failures.get(identity, now)
        since = now if self.since is None else self.since
        return now - min(first, since) >= patience
