"""Interface of the protocols with one answer, as those of the scanners."""

from __future__ import annotations

from typing import Protocol, TypeVar

T_co = TypeVar("T_co", covariant=True)


class AnswerReader(Protocol[T_co]):
    """Reader of one answer from octets in any portions."""

    def receive_data(self, data: bytes) -> None:
        """Take octets from the socket."""

    def receive_eof(self) -> None:
        """Take the end of the connection."""

    def next_event(self) -> T_co | None:
        """Return the answer, or None when more octets are needed; raises `PeerError`."""
