"""Greylist records in the form of the store: text keys and values, plain or hashed.

A triplet is ``t`` LF identity LF sender LF recipient with the value ``first last passed``; a client
is ``c`` LF identity with ``returns last``. If the identity does not follow from a client's address
or host name, ``a`` LF address (or name) holds the identities of the client. In privacy mode each
part is a keyed hash, so that a stolen store does not reveal who wrote to whom, but known parts can
still be looked up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TypeAlias

from policyd.greylisting import (
    ClientRecord,
    GreylistRules,
    TripletRecord,
    client_expires,
    merge_clients,
    merge_triplets,
    triplet_expires,
)
from policyd.stores import StoreEntry

TRIPLET = "t\n"
CLIENT = "c\n"
ALIAS = "a\n"
MAX_ALIASES = 8
"""Maximum identities stored for one address or name; the oldest is dropped first."""
_HASH_BYTES = 16

Hide: TypeAlias = Callable[[str], str]
"""The function applied to each part of a key: none, or a keyed hash."""


def plain(part: str) -> str:
    """Return the part unchanged."""
    return part


def hashed(secret: bytes) -> Hide:
    """Return a function that makes keyed hashes (BLAKE2b, 128 bits); `secret` is hashed to 64
    bytes."""
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
    """Return the key for the identities of an address or a host name.

    Write an address as `ipaddress` does, a name in lower case.
    """
    return f"a\n{hide(client)}"


def alias_entry(old: StoreEntry | None, identity: str, expires: int) -> StoreEntry:
    """Return the entry with one more identity, which is already hashed if needed; the last is the
    newest."""
    if old is None:
        return StoreEntry(identity, expires)
    known = [one for one in read_alias(old) if one != identity]
    return StoreEntry("\n".join([*known, identity][-MAX_ALIASES:]), max(expires, old.expires))


def read_alias(entry: StoreEntry | None) -> list[str]:
    """Return the identities of an entry, hashed in privacy mode; the last is the newest."""
    return [one for one in entry.value.split("\n") if one] if entry is not None else []


def triplet_entry(triplet: TripletRecord, rules: GreylistRules) -> StoreEntry:
    """Return a triplet as an entry."""
    return StoreEntry(triplet_value(triplet), triplet_expires(triplet, rules))


def client_entry(client: ClientRecord, rules: GreylistRules) -> StoreEntry:
    """Return a client as an entry."""
    return StoreEntry(client_value(client), client_expires(client, rules))


def triplet_value(triplet: TripletRecord) -> str:
    """Return the value of a triplet's entry."""
    return f"{triplet.first} {triplet.last} {triplet.passed}"


def client_value(client: ClientRecord) -> str:
    """Return the value of a client's entry."""
    return f"{client.returns} {client.last}"


def read_triplet(entry: StoreEntry | None) -> TripletRecord | None:
    """Return the triplet of an entry; None without an entry, and for a value not written by
    Gatepost."""
    if entry is None:
        return None
    try:
        first, last, passed = entry.value.split(" ")
        return TripletRecord(int(first), int(last), int(passed))
    except ValueError:
        return None


def read_client(entry: StoreEntry | None) -> ClientRecord | None:
    """Return the client of an entry; None without an entry, and for a value not written by
    Gatepost."""
    if entry is None:
        return None
    try:
        count, last = entry.value.split(" ")
        return ClientRecord(int(count), int(last))
    except ValueError:
        return None


def merge(key: str, ours: StoreEntry, theirs: StoreEntry) -> StoreEntry:
    """Merge the entries of two stores for the same key."""
    expires = max(ours.expires, theirs.expires)
    if key.startswith(TRIPLET):
        one, other = read_triplet(ours), read_triplet(theirs)
        if one and other:
            return StoreEntry(triplet_value(merge_triplets(one, other)), expires)
    elif key.startswith(CLIENT):
        count, other_count = read_client(ours), read_client(theirs)
        if count and other_count:
            return StoreEntry(client_value(merge_clients(count, other_count)), expires)
    elif key.startswith(ALIAS):
        merged = ours
        for identity in read_alias(theirs):
            merged = alias_entry(merged, identity, expires)
        return merged
    return theirs
