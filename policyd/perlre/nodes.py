"""The tree of a regular expression, and the widths of its nodes."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TypeAlias


class Anchor(enum.Enum):
    """A position in the text."""

    BEGIN = "^ or \\A"
    LINE_BEGIN = "^ with /m"
    END = "$ or \\Z: the end, or before a last line feed"
    LINE_END = "$ with /m"
    VERY_END = "\\z"
    BOUNDARY = "\\b"
    NO_BOUNDARY = "\\B"


@dataclass(frozen=True, slots=True)
class Chars:
    """One byte of a set (see `policyd.perlre.sets`)."""

    mask: int


@dataclass(frozen=True, slots=True)
class Sequence:
    """Its items in sequence; without items it matches the empty text."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Alternatives:
    """The first alternative that leads to a match."""

    branches: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """`body` at least `least` and at most `most` times (None: without a bound)."""

    body: Node
    least: int
    most: int | None
    greedy: bool


@dataclass(frozen=True, slots=True)
class Atomic:
    """The first match of `body`, without backtracking into it (``(?>…)``, possessive
    quantifiers)."""

    body: Node


@dataclass(frozen=True, slots=True)
class Lookaround:
    """A lookaround: a match ahead or behind that consumes no text."""

    body: Node
    behind: bool
    negative: bool


@dataclass(frozen=True, slots=True)
class Group:
    """A group that a backreference can name by number."""

    body: Node
    number: int


@dataclass(frozen=True, slots=True)
class Reference:
    """A backreference: the text of a group again."""

    number: int
    ignore_case: bool


Node: TypeAlias = (
    Anchor | Chars | Sequence | Alternatives | Repeat | Atomic | Lookaround | Group | Reference
)

EMPTY = Sequence(())


def widths(node: Node) -> tuple[int, int | None]:
    """Return the minimum and maximum number of bytes that a node matches (None: unbounded)."""
    match node:
        case Chars():
            return 1, 1
        case Anchor() | Lookaround():
            return 0, 0
        case Reference():
            return 0, None
        case Group(body) | Atomic(body):
            return widths(body)
        case Sequence(items):
            found = [widths(item) for item in items]
            return sum(low for low, _ in found), _sum([high for _, high in found])
        case Alternatives(branches):
            found = [widths(branch) for branch in branches]
            highs = [high for _, high in found]
            largest = None if None in highs else max(high for high in highs if high is not None)
            return min(low for low, _ in found), largest
        case Repeat(body, least, most):
            low, high = widths(body)
            if high == 0:
                return 0, 0
            return low * least, None if high is None or most is None else high * most


def _sum(numbers: list[int | None]) -> int | None:
    total = 0
    for number in numbers:
        if number is None:
            return None
        total += number
    return total


def begins_at_the_start(node: Node) -> bool:
    """Return whether a match can only begin at the start of the text."""
    match node:
        case Anchor():
            return node is Anchor.BEGIN
        case Group(body) | Atomic(body):
            return begins_at_the_start(body)
        case Sequence(items):
            return bool(items) and begins_at_the_start(items[0])
        case Alternatives(branches):
            return all(begins_at_the_start(branch) for branch in branches)
        case _:
            return False
