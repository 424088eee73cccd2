"""Look-ups in a table of Postfix, in any protocol, and the answers to them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, TypeAlias

MAX_KEY: Final = 2048
"""Octets of a key. Postfix's line_length_limit bounds an address in SMTP to this. A name has at
most 254 octets (RFC 5321 section 4.5.3.1.3), but an extension may have more."""
MAX_REASON: Final = 200
"""Characters of a reason: it goes into a line of Postfix's log."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class TableLookup:
    """A question of Postfix: the full address, or the name of a domain. `key` is not empty."""

    table: str
    key: str


@dataclass(frozen=True, slots=True)
class TableFound:
    """The answer is `value`, in the form that Postfix expects from this table."""

    value: str


@dataclass(frozen=True, slots=True)
class TableNotFound:
    """There is no such entry: Postfix may reject mail for this reason."""


@dataclass(frozen=True, slots=True)
class TableTemporary:
    """The look-up failed for now: Postfix answers 451 or keeps the message in its queue."""

    reason: str


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The answer took too long; Postfix treats it like `TableTemporary`."""

    reason: str


@dataclass(frozen=True, slots=True)
class Misconfigured:
    """The question is a mistake in main.cf. Postfix defers mail and logs the reason."""

    reason: str


TableAnswer: TypeAlias = TableFound | TableNotFound | TableTemporary | TimedOut | Misconfigured


def read_key(raw: bytes) -> str | None:
    """Return the key as text; None if it cannot be a key.

    It cannot be one if it is empty or too long, is not UTF-8 (RFC 6531 section 3.3 has no other
    encoding), or has a control character in it.
    """
    if not 0 < len(raw) <= MAX_KEY:
        return None
    try:
        key = raw.decode()
    except UnicodeDecodeError:
        return None
    return None if has_control(key) else key


def has_control(text: str) -> bool:
    """Return whether the text has a C0 control or DEL, which could end a line or a field."""
    return _CONTROL.search(text) is not None


def reason_text(reason: str) -> str:
    """Return a reason cut to the length of a line, with controls replaced by ``?``."""
    return _CONTROL.sub("?", reason[:MAX_REASON])
