"""Greylist records as a store keeps them: text keys and values, with or without names in them.

A triplet is ``t`` LF identity LF sender LF recipient with the value ``first last passed``; a client
is ``c`` LF identity with ``returns last``. In privacy mode each part is its keyed hash, so that a
stolen store tells nobody who wrote to whom, and one can still look for a part that one knows.
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
    """The key of a triplet."""
    if hide is plain:
        return f"t\n{identity}\n{sender}\n{recipient}"
    return f"t\n{hide(identity)}\n{hide(sender)}\n{hide(recipient)}"


def client_key(hide: Hide, identity: str) -> str:
    """The key of a client."""
    return f"c\n{identity}" if hide is plain else f"c\n{hide(identity)}"


def triplet_entry(triplet: Triplet, rules: Rules) -> Entry:
    """A triplet as an entry."""
    return Entry(_triplet_value(triplet), triplet_expires(triplet, rules))


def client_entry(client: Client, rules: Rules) -> Entry:
    """A client as an entry."""
    return Entry(_client_value(client), client_expires(client, rules))


def _triplet_value(triplet: Triplet) -> str:
    return f"{triplet.first} {triplet.last} {triplet.passed}"


def _client_value(client: Client) -> str:
    return f"{client.returns} {client.last}"


def read_triplet(entry: Entry | None) -> Triplet | None:
    """The triplet of an entry; None for none, and for what no Gatepost wrote."""
    if entry is None:
        return None
    try:
        first, last, passed = entry.value.split(" ")
        return Triplet(int(first), int(last), int(passed))
    except ValueError:
        return None


def read_client(entry: Entry | None) -> Client | None:
    """The client of an entry; None for none, and for what no Gatepost wrote."""
    if entry is None:
        return None
    try:
        count, last = entry.value.split(" ")
        return Client(int(count), int(last))
    except ValueError:
        return None


def merge(key: str, ours: Entry, theirs: Entry) -> Entry:
    """One entry with what two stores know of the same key."""
    expires = max(ours.expires, theirs.expires)
    if key.startswith(TRIPLET):
        one, other = read_triplet(ours), read_triplet(theirs)
        if one and other:
            return Entry(_triplet_value(merge_triplets(one, other)), expires)
    elif key.startswith(CLIENT):
        count, other_count = read_client(ours), read_client(theirs)
        if count and other_count:
            return Entry(_client_value(merge_clients(count, other_count)), expires)
    return theirs
