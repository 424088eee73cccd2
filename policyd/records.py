"""Greylist records as a store keeps them: text keys and values, with or without names in them.

A triplet is ``t`` LF identity LF sender LF recipient with the value ``first last passed``; a client
is ``c`` LF identity with ``returns last``. Where the identity does not follow from a client's
address or host name, ``a`` LF address (or name) has the identities under which it is known. In
privacy mode each part is its keyed hash, so that a stolen store tells nobody who wrote to whom, and
one can still look for a part that one knows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TypeAlias

from policyd.greylist import (
    Client,
    Rules,
    Triplet,
    client_expires,
    merge_clients,
    merge_triplets,
    triplet_expires,
)
from policyd.stores import Entry

TRIPLET = "t\n"
CLIENT = "c\n"
ALIAS = "a\n"
MAX_ALIASES = 8
"""Identities that are kept for one address or name; the oldest goes first."""
_HASH_BYTES = 16

Hide: TypeAlias = Callable[[str], str]
"""What is done to each part of a key: nothing, or a keyed hash."""


def plain(part: str) -> str:
    """Keep the part as it is."""
    return part


def hashed(secret: bytes) -> Hide:
    """Keyed hashes of the parts (BLAKE2b, 128 bits); `secret` is bounded to 64 bytes by a hash."""
    key = secret if len(secret) <= 64 else hashlib.blake2b(secret).digest()

    def hide(part: str) -> str:
        return hashlib.blake2b(part.encode(), digest_size=_HASH_BYTES, key=key).hexdigest()

    return hide


def triplet_key(hide: Hide, identity: str, sender: str, recipient: str) -> str:
    """Return the key of a triplet."""
    if hide is plain:
        return f"t\n{identity}\n{sender}\n{recipient}"
    return f"t\n{hide(identity)}\n{hide(sender)}\n{hide(recipient)}"


def client_key(hide: Hide, identity: str) -> str:
    """Return the key of a client."""
    return f"c\n{identity}" if hide is plain else f"c\n{hide(identity)}"


def alias_key(hide: Hide, client: str) -> str:
    """Return the key of the identities of an address or a host name, in the form it is asked for.

    An address is as `ipaddress` prints it, a name in lower case.
    """
    return f"a\n{hide(client)}"


def alias_entry(old: Entry | None, identity: str, expires: int) -> Entry:
    """Return the entry with one more identity, which is already hidden; the last is the newest."""
    known = [one for one in read_alias(old) if one != identity]
    value = "\n".join([*known, identity][-MAX_ALIASES:])
    return Entry(value, expires if old is None else max(expires, old.expires))


def read_alias(entry: Entry | None) -> list[str]:
    """Return the identities of an entry, hidden where names are hidden; the last is the newest."""
    return [one for one in entry.value.split("\n") if one] if entry is not None else []


def triplet_entry(triplet: Triplet, rules: Rules) -> Entry:
    """Return a triplet as an entry."""
    return Entry(triplet_value(triplet), triplet_expires(triplet, rules))


def client_entry(client: Client, rules: Rules) -> Entry:
    """Return a client as an entry."""
    return Entry(client_value(client), client_expires(client, rules))


def triplet_value(triplet: Triplet) -> str:
    """Return the value of a triplet's entry."""
    return f"{triplet.first} {triplet.last} {triplet.passed}"


def client_value(client: Client) -> str:
    """Return the value of a client's entry."""
    return f"{client.returns} {client.last}"


def read_triplet(entry: Entry | None) -> Triplet | None:
    """Return the triplet of an entry; None for none, and for what no Gatepost wrote."""
    if entry is None:
        return None
    try:
        first, last, passed = entry.value.split(" ")
        return Triplet(int(first), int(last), int(passed))
    except ValueError:
        return None


def read_client(entry: Entry | None) -> Client | None:
    """Return the client of an entry; None for none, and for what no Gatepost wrote."""
    if entry is None:
        return None
    try:
        count, last = entry.value.split(" ")
        return Client(int(count), int(last))
    except ValueError:
        return None


def merge(key: str, ours: Entry, theirs: Entry) -> Entry:
    """Return one entry with what two stores know of the same key."""
    expires = max(ours.expires, theirs.expires)
    if key.startswith(TRIPLET):
        one, other = read_triplet(ours), read_triplet(theirs)
        if one and other:
            return Entry(triplet_value(merge_triplets(one, other)), expires)
    elif key.startswith(CLIENT):
        count, other_count = read_client(ours), read_client(theirs)
        if count and other_count:
            return Entry(client_value(merge_clients(count, other_count)), expires)
    elif key.startswith(ALIAS):
        merged = ours
        for identity in read_alias(theirs):
            merged = alias_entry(merged, identity, expires)
        return merged
    return theirs
