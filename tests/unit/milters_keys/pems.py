"""Private keys for tests, made once a run: RSA takes a while."""

from __future__ import annotations

import functools

from gatepost.key_pair import new_key
from msgauth.keys import KeyType, SigningKey


@functools.cache
def _pem(key_type: KeyType, number: int, bits: int) -> bytes:
    return new_key(key_type, bits)


def pem(key_type: KeyType = "ed25519", number: int = 0, bits: int = 1024) -> bytes:
    """A private key; the same one for the same arguments."""
    return _pem(key_type, number, bits)


def record(key_type: KeyType = "ed25519", number: int = 0, bits: int = 1024) -> str:
    """The key record of `pem` with the same arguments."""
    return SigningKey.parse(pem(key_type, number, bits)).public_record()
