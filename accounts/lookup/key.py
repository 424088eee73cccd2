"""Key of a look-up: the address that a mail program asks for, split into its parts."""

from __future__ import annotations

import re
from typing import NamedTuple

from accounts.address import MAX_LOCAL_PART, AccountAddressError, fold_local_part, parse_domain

MAX_KEY = 2048
"""Longest key that is looked up, in characters; RFC 5321 allows 254 octets for an address."""

# RFC 5322 section 3.2.3, dot-atom
_DOT_ATOM = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*\Z", re.ASCII)


class AddressKey(NamedTuple):
    """The parts of an address.

    `names` are the local parts that a row may have, the best one first: all of it, then the part
    before the extension. There are none if no row can have that name: such an address may still
    match the catch-all of its domain. `typed` is the local part as it was asked for, None if it
    must not be repeated in an answer. `extension` is the part behind the second name, as it was
    asked for, with its delimiter.
    """

    folded: str
    domain: str
    names: tuple[str, ...]
    typed: str | None
    extension: str


def read_key(text: str, delimiter: str) -> AddressKey | None:
    """Split an address; None if it is not an address, or its domain cannot exist."""
    if len(text) > MAX_KEY:
        return None
    local, at, domain_text = text.rpartition("@")
    if not at or not local:
        return None
    try:
        domain = parse_domain(domain_text)
    except AccountAddressError:
        return None
    folded = fold_local_part(local)
    # Anybody may ask for `"anna+x,eve@other.example"@example.org`: a local part that an answer
    # repeats must be one address to Postfix, which splits answers at commas.
    if not _is_plain(local):
        return AddressKey(folded, domain, (), None, "")
    names = (folded,) if _fits(folded) else ()
    at_delimiter = _find_extension(local, folded, delimiter)
    if at_delimiter:
        base = fold_local_part(local[:at_delimiter])
        if _fits(base):
            return AddressKey(folded, domain, (*names, base), local, local[at_delimiter:])
    return AddressKey(folded, domain, names, local, "")


def _is_plain(local: str) -> bool:
    if local.isascii():
        return _DOT_ATOM.match(local) is not None
    if not local.isprintable():
        return False
    letters = "".join(char if char.isascii() else "a" for char in local)
    return _DOT_ATOM.match(letters) is not None


def _fits(local: str) -> bool:
    return len(local) <= MAX_LOCAL_PART and (
        local.isascii() or len(local.encode()) <= MAX_LOCAL_PART
    )


def _find_extension(local: str, folded: str, delimiter: str) -> int:
    """Return where the extension begins, as Postfix's split_addr() finds it; 0 for none."""
    places = [place for char in delimiter if (place := local.find(char)) >= 0]
    if not places:
        return 0
    if "-" in delimiter and (folded.startswith("owner-") or folded.endswith("-request")):
        return 0
    place = min(places)
    return 0 if place == len(local) - 1 else place
