"""Look-ups in a table of Postfix, whatever the protocol they come by, and the answers to them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, TypeAlias

MAX_KEY: Final = 2048
"""Octets of a key. Postfix's line_length_limit bounds an address in SMTP to this; no name is
longer than 254 octets (RFC 5321 section 4.5.3.1.3), but an extension may be."""
MAX_REASON: Final = 200
"""Characters of a reason: it goes into a line of Postfix's log."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class TableLookup:
    """A question of Postfix: the full address, or a name of a domain. `key` is not empty."""

    table: str
    key: str


@dataclass(frozen=True, slots=True)
class TableFound:
    """The answer is `value`, as Postfix expects it of this table."""

    value: str


@dataclass(frozen=True, slots=True)
class TableNotFound:
    """There is no such thing: Postfix may reject for it."""


@dataclass(frozen=True, slots=True)
class TableTemporary:
    """Nobody knows now: Postfix answers 451 or keeps the message in its queue."""

    reason: str


@dataclass(frozen=True, slots=True)
class TimedOut:
    """There was no time for an answer; for Postfix the same as `TableTemporary`."""

    reason: str


@dataclass(frozen=True, slots=True)
class Misconfigured:
    """The question is a mistake in main.cf. Postfix defers for this too, and logs the reason."""

    reason: str


TableAnswer: TypeAlias = TableFound | TableNotFound | TableTemporary | TimedOut | Misconfigured


def read_key(raw: bytes) -> str | None:
    """Return the key as text; None for one that nothing can be stored under.

    That is an empty or endless one, one that is not UTF-8 (RFC 6531 section 3.3 has no other
    encoding), and one with a control character in it.
    """
    if not 0 < len(raw) <= MAX_KEY:
        return None
    try:
        key = raw.decode()
    except UnicodeDecodeError:
        return None
    return None if has_control(key) else key


def has_control(text: str) -> bool:
    """Return whether a C0 control or DEL is in the text: it could end a line or a field."""
    return _CONTROL.search(text) is not None


def reason_text(reason: str) -> str:
    """Return a reason that fits into a line: controls become ``?``, and it is cut."""
    return _CONTROL.sub("?", reason[:MAX_REASON])
