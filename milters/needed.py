"""Which header fields are still needed once the header is complete, the author is known and what
pretends to be ours has been found: those that signatures cover, and the signatures.

The others are let go before the body comes. Most of the header of a large message is such that no
signature covers it, as the traces of relays are.
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
    # what a reader sees, which may stand there twice, and what a seal of ours covers
    *DEFAULT_HEADERS.keys,
}
_PARTS: Final = 16
"""Octets of a field besides its value, about."""
_WORD: Final = re.compile(rb"[^\s:;]+")

MAX_READ: Final = 100
"""Signature fields whose names are looked at, from the top: `max_signatures` is at most that, and
RFC 8617 section 4.2.1 allows 50 ARC sets."""


SMALL: Final = 32 * 1024
"""Octets of a header that is kept as it is: to look for what could go takes longer than it is
worth."""


def needed(fields: Sequence[HeaderField], small: int = SMALL) -> Sequence[HeaderField]:
    """Return the fields that a signature may cover, in their order, with the signatures.

    Rather one too many: any word of a signature field counts as the name of one, and of a header of
    fewer than `small` octets all are returned.
    """
    if sum([len(one.value) for one in fields]) + _PARTS * len(fields) < small:
        return fields
    keys = {one.key for one in fields}
    wanted = set(keys & _ALWAYS)
    for key in SIGNATURES & keys:
        for one in [one for one in fields if one.key == key][:MAX_READ]:
            if len(one.value) <= 4 * MAX_LENGTH:  # octets of UTF-8; what is longer is not read
                wanted |= _words(one.value) & keys
    return [one for one in fields if one.key in wanted]


def _words(value: bytes) -> set[bytes]:
    # RFC 6376 section 3.5: h= names fields without regard to case; a name may have a "=" in it
    words = {match[0] for match in _WORD.finditer(value.lower())}
    return words | {word.partition(b"=")[2] for word in words if b"=" in word}
