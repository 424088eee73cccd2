"""The two canonicalizations of DKIM (RFC 6376 section 3.4), for header fields and for a body.

A body arrives in chunks cut anywhere: between CR and LF, inside a run of spaces, inside the empty
lines at the end. Undecided octets are kept: never more than a space, a CR and a count of line ends,
however long the runs are.

A chunk costs a few scans by `bytes` methods. There is no regular expression and no loop over
lines, which would be twenty times slower than the hash itself.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from msgauth.errors import MsgauthError
from msgauth.message import HeaderField, crlf

# Held line ends are emitted in pieces of this size, so that memory stays bounded for a body with
# millions of empty lines.
_LINE_ENDS: Final = b"\r\n" * 4096


class Canonical(enum.StrEnum):
    """A canonicalization algorithm, named as in the tag c=."""

    SIMPLE = "simple"
    RELAXED = "relaxed"


@dataclass(frozen=True, slots=True)
class Canonicalization:
    """The pair of algorithms in the tag c= (RFC 6376 section 3.5)."""

    header: Canonical = Canonical.RELAXED
    body: Canonical = Canonical.RELAXED

    @classmethod
    def parse(cls, text: str) -> Canonicalization:
        """Read a value of c=; one name alone means ``simple`` for the body.

        Raises `MsgauthError` for names that RFC 6376 does not define.
        """
        header, slash, body = text.partition("/")
        try:
            return cls(Canonical(header), Canonical(body if slash else "simple"))
        except ValueError as error:
            raise MsgauthError("c= names an unknown canonicalization") from error

    def __str__(self) -> str:
        return f"{self.header}/{self.body}"


RELAXED: Final = Canonicalization(Canonical.RELAXED, Canonical.RELAXED)
SIMPLE: Final = Canonicalization(Canonical.SIMPLE, Canonical.SIMPLE)


def canonical_field(field: HeaderField, algorithm: Canonical) -> bytes:
    """Return `field` in canonical form, with its final CRLF (RFC 6376 sections 3.4.1, 3.4.2)."""
    if algorithm is Canonical.SIMPLE:
        return b"%b:%b\r\n" % (field.name, field.value)
    return b"%b:%b\r\n" % (field.key, relaxed_value(field.value))


def relaxed_value(value: bytes) -> bytes:
    """Return a field's value unfolded, with runs of WSP reduced to one space and none around it."""
    if b"\n" in value:
        value = value.replace(b"\r\n", b"")
    if b"\t" in value:
        value = value.replace(b"\t", b" ")
    value = value.strip(b" ")
    while b"  " in value:
        value = value.replace(b"  ", b" ")
    return value


class BodyCanonicalizer:
    """Converts a body to canonical form, chunk by chunk, and passes the result to `emit`.

    `octets` counts the output. Do not add data after `finish`.
    """

    __slots__ = ("_emit", "_held", "_kept", "_relaxed", "octets")

    def __init__(self, algorithm: Canonical, emit: Callable[[bytes], object]) -> None:
        self._relaxed = algorithm is Canonical.RELAXED
        self._emit = emit
        self._kept = b""  # the end of a chunk, to be decided by the next one: [space] [CR]
        self._held = 0  # line ends that only count if something follows them
        self.octets = 0

    def update(self, chunk: bytes) -> None:
        """Take the next chunk of the body."""
        data = self._kept + chunk if self._kept else chunk
        if data.endswith(b"\r"):
            data, self._kept = data[:-1], b"\r"
        else:
            self._kept = b""
        data = crlf(data)
        if self._relaxed:
            data = self._relax(data)
        self._give(data)

    def _relax(self, data: bytes) -> bytes:
        # RFC 6376 section 3.4.4 step a: runs of WSP become one space, none at the end of a line.
        # Each pass of the loop halves the longest run.
        if b"\t" in data:
            data = data.replace(b"\t", b" ")
        # a search for two octets takes twice as long as a hash, so a single search must find both
        # runs of spaces and a space before CR
        if b"  " in data.replace(b"\r", b" "):
            while b"  " in data:
                data = data.replace(b"  ", b" ")
            data = data.replace(b" \r\n", b"\r\n")
        if data.endswith(b" "):
            self._kept = b" " + self._kept
            data = data[:-1]
        return data

    def _give(self, data: bytes) -> None:
        # RFC 6376 section 3.4.3: empty lines at the end do not count, so line ends are held back
        content = data.rstrip(b"\r\n")
        line_ends = len(data) - len(content)
        if data.count(b"\r", len(content)) * 2 != line_ends:
            # A lone CR is content: the last one is at the end or has another CR behind it, because
            # a LF behind it would make it a line end.
            end = len(data) if data.endswith(b"\r") else data.rindex(b"\r\r") + 1
            content = data[:end]
            line_ends = len(data) - end
        if content:
            if self._held:
                self._give_line_ends(self._held)
            self._emit(content)
            self.octets += len(content)
            self._held = 0
        self._held += line_ends // 2

    def _give_line_ends(self, count: int) -> None:
        self.octets += 2 * count
        for _ in range(count // 4096):
            self._emit(_LINE_ENDS)
        self._emit(_LINE_ENDS[: count % 4096 * 2])

    def finish(self) -> None:
        """End the body, and decide the octets kept and held back."""
        if self._kept.endswith(
            b"\r"
        ):  # a CR at the very end is alone, so everything before it counts
            if self._held:
                self._give_line_ends(self._held)
            self._emit(self._kept)
            self.octets += len(self._kept)
        if self.octets or not self._relaxed:
            # A body ends with one CRLF; an empty one is that CRLF in "simple" and nothing in
            # "relaxed" (RFC 6376 sections 3.4.3, 3.4.4)
            self._give_line_ends(1)
