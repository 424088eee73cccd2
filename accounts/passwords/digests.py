"""Schemes that hash a password once: plain text, digests, salted digests, CRAM-MD5 and DIGEST-MD5.

They are read because other mail systems stored them. All are weak, and all are hashed anew at the
next login.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from accounts.passwords.blocks import md4, md5_state
from accounts.passwords.errors import BadHash, LockedPassword

MAX_SALT: Final = 64
"""Octets of salt after a digest; Dovecot writes 4, others up to 16."""


def _digest(name: str) -> Callable[[bytes], bytes]:
    return lambda data: hashlib.new(name, data, usedforsecurity=False).digest()


DIGESTS: Final[dict[str, tuple[Callable[[bytes], bytes], int]]] = {
    "MD4": (md4, 16),
    "MD5": (_digest("md5"), 16),
    "SHA1": (_digest("sha1"), 20),
    "SHA256": (_digest("sha256"), 32),
    "SHA512": (_digest("sha512"), 64),
}
"""Digest functions by name, each with the octets of its result."""


@dataclass(frozen=True, slots=True)
class Plain:
    """A password that is stored as it is."""

    scheme: str
    stored: bytes = field(repr=False)
    slow: bool = False

    def matches(self, password: bytes, login: str) -> bool:  # noqa: ARG002
        """Return whether the password is the stored one."""
        return hmac.compare_digest(self.stored, password)


@dataclass(frozen=True, slots=True)
class Digest:
    """A digest of the password, followed by a salt if there is one."""

    scheme: str
    name: str
    digest: bytes = field(repr=False)
    salt: bytes = field(repr=False, default=b"")
    slow: bool = False

    def matches(self, password: bytes, login: str) -> bool:  # noqa: ARG002
        """Return whether the digest of password and salt is the stored one."""
        return hmac.compare_digest(self.digest, DIGESTS[self.name][0](password + self.salt))


@dataclass(frozen=True, slots=True)
class CramMd5:
    """The states of MD5 after the two padded keys of HMAC-MD5 (RFC 2195), outer one first."""

    scheme: str
    states: bytes = field(repr=False)
    slow: bool = False

    def matches(self, password: bytes, login: str) -> bool:  # noqa: ARG002
        """Return whether the password gives the stored states."""
        # RFC 2104 section 2: a key longer than a block is hashed first
        key = DIGESTS["MD5"][0](password) if len(password) > 64 else password
        key = key.ljust(64, b"\0")
        states = b"".join(md5_state(bytes(octet ^ pad for octet in key)) for pad in (0x5C, 0x36))
        return hmac.compare_digest(self.states, states)


@dataclass(frozen=True, slots=True)
class DigestMd5:
    """MD5 of `user:realm:password` (RFC 2831 section 2.1.2.1); login and realm are of the login."""

    scheme: str
    digest: bytes = field(repr=False)
    slow: bool = False

    def matches(self, password: bytes, login: str) -> bool:
        """Return whether login and password together give the stored digest."""
        user, _, realm = login.partition("@")
        text = f"{user}:{realm}:".encode() + password
        return hmac.compare_digest(self.digest, DIGESTS["MD5"][0](text))


def read_plain(scheme: str, data: bytes) -> Plain:
    """Read a password in plain text; raises `LockedPassword` when it is empty."""
    if not data:
        raise LockedPassword("the stored password is empty")
    return Plain(scheme, data)


def read_digest(scheme: str, name: str, data: bytes) -> Digest:
    """Read a digest without salt; raises `BadHash` when its length is wrong."""
    size = DIGESTS[name][1]
    if len(data) != size:
        raise BadHash(f"{scheme}: {len(data)} octets, not {size}")
    return Digest(scheme, name, data)


def read_salted(scheme: str, name: str, data: bytes) -> Digest:
    """Read a digest and its salt; raises `BadHash` when either is too short or too long."""
    size = DIGESTS[name][1]
    if not size < len(data) <= size + MAX_SALT:
        raise BadHash(f"{scheme}: {len(data)} octets, not {size} and a salt of 1 to {MAX_SALT}")
    return Digest(scheme, name, data[:size], data[size:])


def read_cram_md5(scheme: str, data: bytes) -> CramMd5:
    """Read the states of CRAM-MD5; raises `BadHash` when they are not 32 octets."""
    if len(data) != 32:
        raise BadHash(f"{scheme}: {len(data)} octets, not 32")
    return CramMd5(scheme, data)


def read_digest_md5(scheme: str, data: bytes) -> DigestMd5:
    """Read the digest of DIGEST-MD5; raises `BadHash` when it is not 16 octets."""
    if len(data) != 16:
        raise BadHash(f"{scheme}: {len(data)} octets, not 16")
    return DigestMd5(scheme, data)
