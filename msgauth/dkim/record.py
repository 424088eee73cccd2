"""Key records: the names and the content of published public keys.

RFC 6376 section 3.6.1, RFC 8301 and RFC 8463. A valid record may still not apply to a signature;
`verify` compares them.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final

from msgauth.domain import to_alabels
from msgauth.errors import MsgauthError
from msgauth.keys import BadKeyError, KeyType, VerifyingKey
from msgauth.tags import TagError, decode_base64, parse_tags, split_list

MAX_RECORD: Final = 4096
"""Maximum characters of a record: one with an RSA key of 8192 bits has 1400."""

CACHED_RECORDS: Final = 1024
"""Parsed records cached by their text: a few KiB each, and most mail comes from a few hundred
domains."""

_KEY_TYPES: Final[dict[str, KeyType]] = {"rsa": "rsa", "ed25519": "ed25519"}


class KeyRecordError(MsgauthError):
    """A TXT record is not a usable key record."""


class RevokedError(KeyRecordError):
    """The record says that its key is revoked (RFC 6376 section 3.6.1, empty p=)."""


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """One key record.

    `hashes` is None if every hash is acceptable, otherwise the names in h=. `testing` is the flag
    t=y, `strict` t=s, which forbids an i= below d=.
    """

    key: VerifyingKey
    hashes: frozenset[str] | None = None
    services: frozenset[str] = frozenset({"*"})
    testing: bool = False
    strict: bool = False
    notes: str = ""


def key_record_name(selector: str, domain: str) -> str:
    """Return the name of a key record (RFC 6376 section 3.6.2.1), in A-labels (RFC 8616 section 5).

    Raises `msgauth.domain.DomainError` if that is not a valid DNS name.
    """
    return to_alabels(f"{to_alabels(selector)}._domainkey.{to_alabels(domain)}")


def parse_key_record(text: str) -> KeyRecord:
    """Read a key record; raises `KeyRecordError`, or `RevokedError` for an empty p=."""
    if len(text) > MAX_RECORD:
        raise KeyRecordError(f"the key record is longer than {MAX_RECORD} characters")
    return _parse_key_record(text)


@functools.lru_cache(CACHED_RECORDS)
def _parse_key_record(text: str) -> KeyRecord:
    try:
        tags = parse_tags(text)
    except MsgauthError as error:
        raise KeyRecordError(f"the key record is broken: {error}") from error
    # RFC 6376 section 3.6.1: v= MUST be first and exactly DKIM1 if it is there
    if "v" in tags and (next(iter(tags)) != "v" or tags["v"] != "DKIM1"):
        raise KeyRecordError("the record is not a DKIM1 key record")
    if "p" not in tags:
        raise KeyRecordError("the key record has no p=")
    flags = split_list(tags.get("t", ""))
    hashes = frozenset(split_list(tags["h"])) if "h" in tags else None
    services = frozenset(split_list(tags.get("s", "*")))
    return KeyRecord(
        _key(tags.get("k", "rsa"), tags["p"]),
        hashes,
        services,
        testing="y" in flags,
        strict="s" in flags,
        notes=tags.get("n", ""),
    )


def _key(key_type: str, value: str) -> VerifyingKey:
    if not value:
        raise RevokedError("the key is revoked")
    known_type = _KEY_TYPES.get(key_type)
    if known_type is None:  # RFC 6376 section 3.6.1: unrecognized key types MUST be ignored
        raise KeyRecordError("the key record has an unknown key type")
    try:
        return VerifyingKey.parse(known_type, decode_base64(value))
    except BadKeyError as error:
        raise KeyRecordError(str(error)) from error
    except TagError as error:
        raise KeyRecordError("the key is not base64") from error
