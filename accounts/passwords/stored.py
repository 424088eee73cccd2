"""Stored passwords: the text of a database or a passwd-file, and whether a given one matches it.

The text is `{SCHEME}hash` as in Dovecot, also `{SCHEME.b64}` and `{SCHEME.hex}`; the name may be in
lower case. Without a scheme it is a hash of crypt(3), ARGON2, or one of passlib's `$...$` forms.
Nothing else is ever taken for a password: `read` raises a `StoredPasswordError` that says why.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Final, Protocol

from accounts.passwords import crypts, derived, digests, yescrypt
from accounts.passwords.errors import BadHash, LockedPassword, UnknownScheme

MAX_STORED: Final = 4096
"""Characters of a stored password."""

_PREFIX = re.compile(r"\{([A-Za-z0-9][A-Za-z0-9-]{0,31})(?:\.([A-Za-z0-9]{1,8}))?\}")
_HEX = re.compile(r"[0-9A-Fa-f]*")


class StoredPassword(Protocol):
    """A stored password that was read. `slow`: checking it takes milliseconds to seconds."""

    @property
    def scheme(self) -> str:
        """The scheme, in upper case and without an encoding."""

    @property
    def slow(self) -> bool:
        """Return whether checking belongs in a thread."""

    def matches(self, password: bytes, login: str) -> bool:
        """Return whether the password is the stored one; the login counts for DIGEST-MD5 only."""


def read(text: str) -> StoredPassword:
    """Read a stored password, without hashing anything.

    Raises `UnknownScheme`, `BadHash`, `CostlyHash` or `LockedPassword`. A text that starts with `!`
    or `*`, and an empty one, lock the account as in /etc/shadow.
    """
    if not text or text[0] in "!*":
        raise LockedPassword("the stored password locks the account")
    if len(text) > MAX_STORED:
        raise BadHash(f"the stored password is longer than {MAX_STORED} characters")
    if "\0" in text:
        raise BadHash("the stored password contains a NUL character")
    if not text.startswith("{"):
        return _read_unnamed("CRYPT", text)
    match = _PREFIX.match(text)
    if match is None:
        raise UnknownScheme("the stored password starts with { and has no scheme name")
    scheme, encoding, payload = match[1].upper(), (match[2] or "").upper(), text[match.end() :]
    if scheme in _OF_OCTETS:
        return _OF_OCTETS[scheme](_octets(scheme, encoding, payload))
    if scheme not in _OF_TEXT:
        hint = ": write BLF-CRYPT for bcrypt" if scheme == "BCRYPT" else ""
        raise UnknownScheme(f"the scheme {scheme} is not supported{hint}")
    return _OF_TEXT[scheme](scheme, _text(scheme, encoding, payload))


def _read_unnamed(scheme: str, text: str) -> StoredPassword:
    """Read a hash by its own prefix, as Dovecot reads CRYPT and passlib all of its own."""
    if text[:1] in ("", "!", "*"):
        raise LockedPassword("the stored password locks the account")
    if text.startswith("$argon2"):
        return derived.read_argon2(scheme, text)
    for start, digest in _PASSLIB.items():
        if text.startswith(start):
            return derived.read_passlib(scheme, digest, text.removeprefix(start))
    if text.startswith(("$y$", "$gy$")):
        return yescrypt.read_yescrypt(scheme, text)
    return crypts.read_crypt(scheme, text)


def _decode(scheme: str, encoding: str, payload: str) -> bytes:
    if encoding == "HEX":
        if len(payload) % 2 or not _HEX.fullmatch(payload):
            raise BadHash(f"{scheme}: not valid hexadecimal")
        return bytes.fromhex(payload)
    if encoding not in ("B64", "BASE64"):
        raise UnknownScheme(f"{scheme}: the encoding {encoding} is not supported")
    try:  # some programs leave the padding out
        payload = payload.rstrip("=")
        return base64.b64decode(payload + "=" * (-len(payload) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise BadHash(f"{scheme}: not valid base64") from None


def _octets(scheme: str, encoding: str, payload: str) -> bytes:
    """Return the octets of a digest, in the encoding that is named or else the one that fits."""
    if not payload or payload[0] in "!*":
        raise LockedPassword("the stored password locks the account")
    if not encoding:
        size = _FIXED.get(scheme)
        is_hex = size is not None and len(payload) == 2 * size and _HEX.fullmatch(payload)
        encoding = "HEX" if is_hex else "B64"
    return _decode(scheme, encoding, payload)


def _text(scheme: str, encoding: str, payload: str) -> str:
    if not encoding:
        return payload
    octets = _decode(scheme, encoding, payload)
    if b"\0" in octets:
        raise BadHash(f"{scheme}: contains a NUL character")
    # only PLAIN may be anything but ASCII, and it is encoded back in the same way
    return octets.decode("utf-8", "surrogateescape")


def _read_plain(scheme: str, text: str) -> StoredPassword:
    try:
        return digests.read_plain(scheme, text.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        raise BadHash(f"{scheme}: not valid Unicode text") from None


def _read_md5(scheme: str, text: str) -> StoredPassword:
    """Read MD5, which is MD5-CRYPT in Dovecot, and a digest in hexadecimal or base64 elsewhere."""
    if text.startswith("$1$"):
        return crypts.read_md5(scheme, text)
    return digests.read_digest(scheme, "MD5", _octets("LDAP-MD5", "", text))


def _read_pbkdf2(scheme: str, text: str) -> StoredPassword:
    """Read Dovecot's form, passlib's for LDAP, and `$pbkdf2-sha512$` as Mailu wrote it."""
    if text.startswith("$pbkdf2"):
        return _read_unnamed(scheme, text)
    return derived.read_pbkdf2(scheme, text)


def _digest(scheme: str, name: str) -> Callable[[bytes], StoredPassword]:
    return lambda data: digests.read_digest(scheme, name, data)


def _salted(scheme: str, name: str) -> Callable[[bytes], StoredPassword]:
    return lambda data: digests.read_salted(scheme, name, data)


_FIXED: Final = {
    "PLAIN-MD4": 16,
    "PLAIN-MD5": 16,
    "LDAP-MD5": 16,
    "SHA": 20,
    "SHA1": 20,
    "SHA256": 32,
    "SHA512": 64,
    "CRAM-MD5": 32,
    "HMAC-MD5": 32,
    "DIGEST-MD5": 16,
}
_OF_OCTETS: Final[dict[str, Callable[[bytes], StoredPassword]]] = {
    "PLAIN-MD4": _digest("PLAIN-MD4", "MD4"),
    "PLAIN-MD5": _digest("PLAIN-MD5", "MD5"),
    "LDAP-MD5": _digest("LDAP-MD5", "MD5"),
    "SHA": _digest("SHA", "SHA1"),
    "SHA1": _digest("SHA1", "SHA1"),
    "SHA256": _digest("SHA256", "SHA256"),
    "SHA512": _digest("SHA512", "SHA512"),
    "SMD5": _salted("SMD5", "MD5"),
    "SSHA": _salted("SSHA", "SHA1"),
    "SSHA256": _salted("SSHA256", "SHA256"),
    "SSHA512": _salted("SSHA512", "SHA512"),
    "CRAM-MD5": lambda data: digests.read_cram_md5("CRAM-MD5", data),
    "HMAC-MD5": lambda data: digests.read_cram_md5("HMAC-MD5", data),
    "DIGEST-MD5": lambda data: digests.read_digest_md5("DIGEST-MD5", data),
}
_OF_TEXT: Final[dict[str, Callable[[str, str], StoredPassword]]] = {
    **dict.fromkeys(("PLAIN", "CLEAR", "CLEARTEXT", "PLAINTEXT"), _read_plain),
    # Dovecot hands all of these to crypt(3), which decides by the prefix of the hash
    **dict.fromkeys(
        ("CRYPT", "DES-CRYPT", "MD5-CRYPT", "SHA256-CRYPT", "SHA512-CRYPT", "BLF-CRYPT"),
        _read_unnamed,
    ),
    "MD5": _read_md5,
    "ARGON2I": lambda scheme, text: derived.read_argon2(scheme, text, ("i",)),
    "ARGON2ID": lambda scheme, text: derived.read_argon2(scheme, text, ("id",)),
    "PBKDF2": _read_pbkdf2,
    "PBKDF2-SHA256": lambda scheme, text: derived.read_passlib(scheme, "sha256", text),
    "PBKDF2-SHA512": lambda scheme, text: derived.read_passlib(scheme, "sha512", text),
    "SCRAM-SHA-1": lambda scheme, text: derived.read_scram(scheme, "sha1", text),
    "SCRAM-SHA-256": lambda scheme, text: derived.read_scram(scheme, "sha256", text),
}
_PASSLIB: Final = {"$pbkdf2$": "sha1", "$pbkdf2-sha256$": "sha256", "$pbkdf2-sha512$": "sha512"}
SCHEMES: Final = tuple(sorted({*_OF_OCTETS, *_OF_TEXT}))
"""The names of all schemes that are read."""
