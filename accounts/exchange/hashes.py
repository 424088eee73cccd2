"""Stored passwords of other systems, imported unchanged."""

from __future__ import annotations

import re
from dataclasses import dataclass

from accounts.passwords.errors import LockedPassword, PasswordError, StoredPasswordError
from accounts.passwords.secret import Password
from accounts.passwords.stored import read

LONGEST_HASH = 1024
"""Characters of a stored password."""

_PREFIXES = (
    ("$1$", "MD5-CRYPT"),
    ("$2a$", "BLF-CRYPT"),
    ("$2b$", "BLF-CRYPT"),
    ("$2y$", "BLF-CRYPT"),
    ("$5$", "SHA256-CRYPT"),
    ("$6$", "SHA512-CRYPT"),
    ("$argon2id$", "ARGON2ID"),
    ("$argon2i$", "ARGON2I"),
)
_MD5_HEX = re.compile(r"[0-9a-fA-F]{32}")
_PLAIN = re.compile(r"\{(?:PLAIN|CLEAR|CLEARTEXT|PLAINTEXT)\}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class TakenHash:
    """A stored password with its scheme, or None and the reason. No text here has the password."""

    hash: str | None
    reason: str = ""


def take_hash(text: str) -> TakenHash:
    """Return the stored password with a scheme in front of it, in upper case.

    A hash without a scheme gets the one of its form: `$6$...` is SHA512-CRYPT, 32 hexadecimal
    digits are PLAIN-MD5. A text that no password can match is not taken, and `reason` says why.
    """
    if not text.startswith("{"):
        text = _named(text)
    try:
        read(text)
    except LockedPassword:
        return TakenHash(None, "the password is locked or empty")
    except StoredPasswordError as error:
        return TakenHash(None, f"the password cannot be used: {error}")
    scheme, brace, rest = text.partition("}")
    text = f"{scheme.upper()}{brace}{rest}"
    if len(text) > LONGEST_HASH:
        return TakenHash(None, f"the password is longer than {LONGEST_HASH} characters")
    if plain_text(text) is None and not (rest.isascii() and rest.isprintable() and " " not in rest):
        return TakenHash(None, "the password contains characters that are not allowed in a hash")
    return TakenHash(text)


def _named(text: str) -> str:
    for start, scheme in _PREFIXES:
        if text.startswith(start):
            return f"{{{scheme}}}{text}"
    if _MD5_HEX.fullmatch(text):
        return f"{{PLAIN-MD5}}{text}"
    return f"{{CRYPT}}{text}" if text and text[0] not in "!*" else text


def is_password(stored: str, clear: str) -> bool:
    """Return whether a stored password is this one in clear text; takes as long as a login."""
    try:
        forms = Password(clear).forms
        one = read(stored)
    except PasswordError:
        return False
    return any(one.matches(form, "") for form in forms)


def plain_text(hash_text: str | None) -> str | None:
    """Return the password itself if it is stored in clear text, otherwise None."""
    match = _PLAIN.match(hash_text) if hash_text else None
    return hash_text[match.end() :] if match and hash_text else None
