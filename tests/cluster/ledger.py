"""The books of the messages: those that got 250, and those that arrived."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field


class SenderError(Exception):
    """A sender ended before it had sent everything; the message says why."""


@dataclass
class Ledger:
    """Subjects of messages; each is sent once, and tried again until it is accepted."""

    accepted: set[str] = field(default_factory=set)

    def add_output(self, text: str) -> None:
        """Add the messages that `inside/sender.py` printed as accepted.

        Raises `SenderError` after them if it was refused, gave up or was killed.
        """
        lines = text.split("\n")
        if lines[-1]:
            lines.pop()  # it was killed while it wrote this line
        for line in lines:
            word, _, subject = line.partition(" ")
            if word == "accepted":
                self.accepted.add(subject)
        last = next((line for line in reversed(lines) if line), "nothing")
        if last != "done":
            raise SenderError(f"the sender ended with: {last}")

    def lost(self, arrived: Iterable[str]) -> list[str]:
        """Return the accepted messages that did not arrive."""
        return sorted(self.accepted - set(arrived))

    def doubled(self, arrived: Iterable[str]) -> list[str]:
        """Return those that arrived more than once, which SMTP allows after a broken connection."""
        return sorted(one for one, count in Counter(arrived).items() if count > 1)
