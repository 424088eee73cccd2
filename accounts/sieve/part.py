"""A part of a script with the extensions that it needs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict


class Part(NamedTuple):
    """A test or an action in the Sieve language.

    `text` has no final line end; `requires` has the extensions that a ``require`` has to name.
    """

    text: str
    requires: frozenset[str] = frozenset()


def part(text: str, *requires: str) -> Part:
    """Return a part that needs these extensions; empty names are ignored."""
    return Part(text, frozenset(requires) - {""})


def all_of(parts: Iterable[Part]) -> Part:
    """Join tests, all of which must be true."""
    return _joined("allof", tuple(parts))


def any_of(parts: Iterable[Part]) -> Part:
    """Join tests, one of which must be true."""
    return _joined("anyof", tuple(parts))


def _joined(word: str, parts: tuple[Part, ...]) -> Part:
    if len(parts) == 1:
        return parts[0]
    inner = ",\r\n    ".join(part.text for part in parts)
    return Part(f"{word} (\r\n    {inner})", frozenset().union(*(p.requires for p in parts)))


class RulePart(BaseModel):
    """A part of a rule as it is stored and sent: strict, without unknown keys, immutable."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
