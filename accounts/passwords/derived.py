"""Schemes that derive a key: ARGON2, PBKDF2 in three forms, and SCRAM."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import Final

from argon2.exceptions import VerificationError, VerifyMismatchError
from argon2.low_level import Type, verify_secret

from accounts.password_settings import MAX_LANES, MAX_MEMORY, MAX_PASSES
from accounts.passwords.errors import BadHash, Busy, CostlyHash

MAX_ITERATIONS: Final = 2_000_000
"""Iterations of PBKDF2 and SCRAM: about 1 s. SCRAM has 4,096 by default, Django 1,000,000."""

_ARGON2 = re.compile(
    r"\$argon2(id|i|d)(?:\$v=(16|19))?\$m=([1-9][0-9]{0,9}),t=([1-9][0-9]{0,9}),p=([1-9][0-9]{0,7})"
    r"\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{16,172})"
)
_TYPES: Final = {"id": Type.ID, "i": Type.I, "d": Type.D}
_DOVECOT = re.compile(r"\$1\$([^$]{1,64})\$([1-9][0-9]{0,9})\$([0-9A-Fa-f]{40})")
_PASSLIB = re.compile(
    r"([1-9][0-9]{0,9})\$([A-Za-z0-9./]{0,172})\$([A-Za-z0-9./]{27}|[A-Za-z0-9./]{43}|[A-Za-z0-9./]{86})"
)
_SCRAM = re.compile(
    r"([1-9][0-9]{0,9}),([A-Za-z0-9+/=]{1,172}),([A-Za-z0-9+/=]+),([A-Za-z0-9+/=]+)"
)
_SIZES: Final = {"sha1": 20, "sha256": 32, "sha512": 64}


@dataclass(frozen=True, slots=True)
class Argon2:
    """A hash of ARGON2 (RFC 9106) with its parameters; `memory` is in KiB."""

    scheme: str
    kind: str
    memory: int
    passes: int
    lanes: int
    stored: bytes = field(repr=False)
    slow: bool = True

    def matches(self, password: bytes, login: str) -> bool:  # noqa: ARG002
        """Return whether the password has the stored hash; raises `Busy` when memory is short."""
        try:
            return verify_secret(self.stored, password, _TYPES[self.kind])
        except VerifyMismatchError:
            return False
        except VerificationError as error:
            if "llocation" in str(error):
                raise Busy("there is no memory to check a password") from None
            raise BadHash(f"{self.scheme}: the hash cannot be decoded") from None


@dataclass(frozen=True, slots=True)
class Pbkdf2:
    """A key of PBKDF2 (RFC 8018 section 5.2); `key` of a SCRAM password is derived from it."""

    scheme: str
    digest: str
    salt: bytes = field(repr=False)
    iterations: int
    key: bytes = field(repr=False)
    scram: bool = False
    slow: bool = True

    def matches(self, password: bytes, login: str) -> bool:  # noqa: ARG002
        """Return whether the password has the stored key."""
        key = hashlib.pbkdf2_hmac(self.digest, password, self.salt, self.iterations)
        if self.scram:  # RFC 5802 section 3: StoredKey
            key = hashlib.new(self.digest, hmac.digest(key, b"Client Key", self.digest)).digest()
        return hmac.compare_digest(self.key, key)


def read_argon2(scheme: str, text: str, kinds: tuple[str, ...] = ("id", "i", "d")) -> Argon2:
    """Read `$argon2id$v=19$m=...,t=...,p=...$salt$hash`; `kinds` has those that are allowed."""
    match = _ARGON2.fullmatch(text)
    if match is None or match[1] not in kinds:
        raise BadHash(f"{scheme}: not of the form $argon2{kinds[0]}$v=19$m=,t=,p=$salt$hash")
    memory, passes, lanes = (int(match[i]) for i in (3, 4, 5))
    if memory > MAX_MEMORY or memory * passes > MAX_PASSES or lanes > MAX_LANES:
        raise CostlyHash(
            f"{scheme}: more than {MAX_MEMORY >> 10} MiB, {MAX_PASSES >> 10} MiB times passes, "
            f"or {MAX_LANES} lanes"
        )
    if memory < 8 * lanes:  # RFC 9106 section 3.1
        raise BadHash(f"{scheme}: less memory than 8 KiB a lane")
    return Argon2(scheme, match[1], memory, passes, lanes, text.encode())


def _iterations(scheme: str, text: str) -> int:
    if int(text) > MAX_ITERATIONS:
        raise CostlyHash(f"{scheme}: more than {MAX_ITERATIONS} iterations")
    return int(text)


def read_pbkdf2(scheme: str, text: str) -> Pbkdf2:
    """Read Dovecot's `$1$salt$iterations$hex`, or passlib's `iterations$salt$key`, with SHA-1."""
    match = _DOVECOT.fullmatch(text)
    if match is None:
        return read_passlib(scheme, "sha1", text)
    iterations = _iterations(scheme, match[2])
    return Pbkdf2(scheme, "sha1", match[1].encode(), iterations, bytes.fromhex(match[3]))


def read_passlib(scheme: str, digest: str, text: str) -> Pbkdf2:
    """Read passlib's `iterations$salt$key`, in base64 with dots for plus signs, unpadded."""
    match = _PASSLIB.fullmatch(text)
    if match is None:
        raise BadHash(f"{scheme}: not of the form iterations$salt$key")
    salt, key = (_decode(scheme, match[i].replace(".", "+")) for i in (2, 3))
    if len(key) != _SIZES[digest]:
        raise BadHash(f"{scheme}: a key of {len(key)} octets, not {_SIZES[digest]}")
    return Pbkdf2(scheme, digest, salt, _iterations(scheme, match[1]), key)


def read_scram(scheme: str, digest: str, text: str) -> Pbkdf2:
    """Read `iterations,salt,StoredKey,ServerKey` in base64 (the parts of RFC 5802 section 3)."""
    match = _SCRAM.fullmatch(text)
    if match is None:
        raise BadHash(f"{scheme}: not of the form iterations,salt,StoredKey,ServerKey")
    salt, key, server = (_decode(scheme, match[i]) for i in (2, 3, 4))
    if len(key) != _SIZES[digest] or len(server) != _SIZES[digest]:
        raise BadHash(f"{scheme}: a key is not {_SIZES[digest]} octets long")
    return Pbkdf2(scheme, digest, salt, _iterations(scheme, match[1]), key, scram=True)


def _decode(scheme: str, text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise BadHash(f"{scheme}: not valid base64") from None
