"""Filter of the header fields that are needed after the header is complete, the author is known and
forged fields have been found: signed fields and signatures.

The others are dropped before the body arrives. Most of the header of a large message is unsigned,
such as the trace fields of relays.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from milters.memory import SIGNATURES
from msgauth.dkim import DEFAULT_HEADERS
from msgauth.message import HeaderField
from msgauth.tags import MAX_LENGTH

_ALWAYS: Final = SIGNATURES | {
    b"arc-authentication-results",
    b"arc-seal",
    # fields that a reader sees, which may occur twice, and fields that our seal covers
    *DEFAULT_HEADERS.keys,
}
_PARTS: Final = 16
"""Approximate octets of a field besides its value."""
_WORD: Final = re.compile(rb"[^\s:;]+")

MAX_READ: Final = 100
"""Maximum signature fields whose h= is read, from the top: `max_signatures` is at most this, and
RFC 8617 section 4.2.1 allows 50 ARC sets."""


SMALL: Final = 32 * 1024
"""Octets up to which a whole header is kept: searching for unneeded fields would cost more than it
saves."""


def needed(fields: Sequence[HeaderField], small: int = SMALL) -> Sequence[HeaderField]:
    """Return the fields that a signature may cover, in their order, with the signatures.

    It may return too many: any word of a signature field counts as a field name, and of a header
    below `small` octets all fields are returned.
    """
    if sum([len(one.value) for one in fields]) + _PARTS * len(fields) < small:
        return fields
    keys = {one.key for one in fields}
    wanted = set(keys & _ALWAYS)
    for key in SIGNATURES & keys:
        for one in [one for one in fields if one.key == key][:MAX_READ]:
            if len(one.value) <= 4 * MAX_LENGTH:  # octets of UTF-8; longer fields are not read
                wanted |= _words(one.value) & keys
    return [one for one in fields if one.key in wanted]


def _words(value: bytes) -> set[bytes]:
    # RFC 6376 section 3.5: h= names fields, ignoring case; a name may contain "="
    words = {match[0] for match in _WORD.finditer(value.lower())}
    return words | {word.partition(b"=")[2] for word in words if b"=" in word}
