"""The byte protocol of one connection, as the server that runs it sees it.

`receive_data()` takes octets in any portions, `next_event()` returns requests, `encode()` writes
the answer to one. No socket and no clock: `gatepost.daemon.RequestServer` has both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

E = TypeVar("E")
R_contra = TypeVar("R_contra", contravariant=True)


class StreamError(Exception):
    """The octets cannot be followed any longer: the connection has to be closed."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A piece of the conversation that needs nobody's decision.

    `reply` is sent in its turn; it may be empty. `complaint` says what was wrong with the octets
    and is empty where nothing was. It never has a password in it.
    """

    reply: bytes
    complaint: str = ""


class Conversation(Protocol[E, R_contra]):
    """One connection's state; `E` are the requests, `R_contra` the answers to them."""

    @property
    def greeting(self) -> bytes:
        """Return the octets that are sent before the first request."""

    @property
    def buffered(self) -> int:
        """Return the number of octets that wait for `next_event()` or for more octets."""

    @property
    def mid_request(self) -> bool:
        """Return whether the beginning of a request is here and its end is not known to be."""

    def receive_data(self, data: bytes) -> None:
        """Take octets from the socket."""

    def next_event(self) -> E | Answered | None:
        """Return what comes next, or None when more octets are needed; raises `StreamError`."""

    def encode(self, event: E, reply: R_contra) -> bytes | None:
        """Return the octets of an answer; None to reset the connection instead."""

    def failure(self, event: E, *, expired: bool) -> bytes | None:
        """Return what is said when nobody could answer: a temporary error, as in `encode()`.

        `expired` tells that there was no time left.
        """
