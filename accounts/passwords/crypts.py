"""The schemes of crypt(3): DES, MD5, SHA-256, SHA-512 and bcrypt, and bcrypt after SHA-256."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import bcrypt
from passlib.hash import apr_md5_crypt, des_crypt, md5_crypt, sha256_crypt, sha512_crypt

from accounts.passwords.errors import BadHash, CostlyHash, UnknownScheme

MAX_ROUNDS: Final = 1_000_000
"""Rounds of SHA-crypt: about 1 s. passlib wrote 656,000 by default, crypt(3) writes 5,000."""
MAX_BCRYPT_COST: Final = 15
"""Cost of bcrypt, a power of two: 15 takes 2 to 3 s. Dovecot writes 5, PHP 10 to 12."""
BCRYPT_OCTETS: Final = 72
"""Octets of a password that bcrypt uses; every implementation of crypt(3) cuts it there."""

_DES = re.compile(r"[./0-9A-Za-z]{13}")
_MD5 = re.compile(r"\$(?:1|apr1)\$[./0-9A-Za-z]{0,8}\$[./0-9A-Za-z]{22}")
_SHA = re.compile(
    r"\$(?:5|6)\$(?:rounds=([1-9][0-9]{3,8})\$)?[./0-9A-Za-z]{0,16}\$([./0-9A-Za-z]+)"
)
_BCRYPT = re.compile(r"\$2[aby]\$([0-9]{2})\$([./0-9A-Za-z]{21})([./0-9A-Za-z])([./0-9A-Za-z]{31})")
_BCRYPT_SHA256 = re.compile(
    r"\$bcrypt-sha256\$(?:v=(2),t=(2[ab]),r=([0-9]{1,2})|(2[ab]),([0-9]{1,2}))"
    r"\$([./0-9A-Za-z]{22})\$([./0-9A-Za-z]{31})"
)
_ALPHABET: Final = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

_VERIFY: Final[dict[str, Callable[[bytes, str], bool]]] = {
    "DES-CRYPT": des_crypt.verify,
    "MD5-CRYPT": md5_crypt.verify,
    "APR1": apr_md5_crypt.verify,
    "SHA256-CRYPT": sha256_crypt.verify,
    "SHA512-CRYPT": sha512_crypt.verify,
}


@dataclass(frozen=True, slots=True)
class Crypt:
    """A hash of crypt(3) that libpass checks; `kind` is the scheme that counts."""

    scheme: str
    kind: str
    stored: str = field(repr=False)
    slow: bool = True

    def matches(self, password: bytes, login: str) -> bool:  # noqa: ARG002
        """Return whether the password has the stored hash."""
        return bool(_VERIFY[self.kind](password, self.stored))


@dataclass(frozen=True, slots=True)
class Bcrypt:
    """A hash of bcrypt; with `before`, that of a digest of the password, as passlib makes it."""

    scheme: str
    settings: bytes = field(repr=False)
    digest: bytes = field(repr=False)
    before: Callable[[bytes], bytes] | None = field(repr=False, default=None)
    slow: bool = True

    def matches(self, password: bytes, login: str) -> bool:  # noqa: ARG002
        """Return whether the password has the stored hash."""
        key = password[:BCRYPT_OCTETS] if self.before is None else self.before(password)
        return hmac.compare_digest(self.digest, bcrypt.hashpw(key, self.settings)[-31:])


def read_crypt(scheme: str, text: str) -> Crypt | Bcrypt:
    """Read any hash of crypt(3) by its prefix.

    Raises `UnknownScheme` for a prefix that is not supported, `BadHash` and `CostlyHash`.
    """
    for start, read in _BY_PREFIX.items():
        if text.startswith(start):
            return read(scheme, text)
    if text.startswith("$"):
        raise UnknownScheme(f"{scheme}: this kind of crypt hash is not supported")
    return read_des(scheme, text)


def read_des(scheme: str, text: str) -> Crypt:
    """Read a hash of the traditional crypt(3): 2 characters of salt and 11 of hash."""
    if not _DES.fullmatch(text):
        raise BadHash(f"{scheme}: not the 13 characters of a DES hash, and no other crypt hash")
    return Crypt(scheme, "DES-CRYPT", text)


def read_md5(scheme: str, text: str) -> Crypt:
    """Read `$1$salt$hash`, or `$apr1$salt$hash` of Apache."""
    if not _MD5.fullmatch(text):
        raise BadHash(f"{scheme}: not of the form $1$salt$hash")
    return Crypt(scheme, "APR1" if text.startswith("$apr1$") else "MD5-CRYPT", text)


def read_sha(scheme: str, text: str) -> Crypt:
    """Read `$5$...` or `$6$...`, with `rounds=` of 1,000 to 1,000,000 or without.

    crypt(3) also takes salts with other characters than letters, digits, dot and slash; libpass
    does not, and neither does this function (`BadHash`). No program was seen to write them.
    """
    match = _SHA.fullmatch(text)
    if match is None or len(match[2]) != (43 if text[1] == "5" else 86):
        raise BadHash(f"{scheme}: not of the form ${text[1]}$salt$hash")
    if match[1] is not None and int(match[1]) > MAX_ROUNDS:
        raise CostlyHash(f"{scheme}: more than {MAX_ROUNDS} rounds")
    return Crypt(scheme, "SHA256-CRYPT" if text[1] == "5" else "SHA512-CRYPT", text)


def _cost(scheme: str, text: str) -> int:
    cost = int(text)
    if cost < 4:
        raise BadHash(f"{scheme}: the cost is below 4")
    if cost > MAX_BCRYPT_COST:
        raise CostlyHash(f"{scheme}: the cost is above {MAX_BCRYPT_COST}")
    return cost


def read_bcrypt(scheme: str, text: str) -> Bcrypt:
    """Read `$2a$`, `$2b$` or `$2y$`; `$2x$` marks hashes of a broken program and is refused."""
    match = _BCRYPT.fullmatch(text)
    if match is None:
        raise BadHash(f"{scheme}: not of the form $2y$cost$salt-and-hash")
    # 22 characters carry 132 bits for a salt of 128: the library takes no salt whose last 4 are set
    last = _ALPHABET[_ALPHABET.index(match[3]) & 0x30]
    settings = f"$2b${_cost(scheme, match[1]):02}${match[2]}{last}"
    return Bcrypt(scheme, settings.encode(), match[4].encode())


def read_bcrypt_sha256(scheme: str, text: str) -> Bcrypt:
    """Read passlib's `$bcrypt-sha256$` of version 1 and 2, which Mailu writes."""
    match = _BCRYPT_SHA256.fullmatch(text)
    if match is None:
        raise BadHash(f"{scheme}: not of the form $bcrypt-sha256$v=2,t=2b,r=cost$salt$hash")
    salt = match[6]
    last = _ALPHABET[_ALPHABET.index(salt[-1]) & 0x30]
    settings = f"$2b${_cost(scheme, match[3] or match[5]):02}${salt[:-1]}{last}"

    def before(password: bytes) -> bytes:
        if match[1]:
            return base64.b64encode(hmac.digest(salt.encode(), password, "sha256"))
        return base64.b64encode(hashlib.sha256(password).digest())

    return Bcrypt(scheme, settings.encode(), match[7].encode(), before)


_BY_PREFIX: Final[dict[str, Callable[[str, str], Crypt | Bcrypt]]] = {
    "$1$": read_md5,
    "$apr1$": read_md5,
    "$5$": read_sha,
    "$6$": read_sha,
    "$2": read_bcrypt,
    "$bcrypt-sha256$": read_bcrypt_sha256,
}
