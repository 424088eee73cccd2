"""Hashes of new passwords, and whether a stored hash should be replaced by a new one.

Passwords that people choose are stored as ARGON2ID (RFC 9106). Passwords that we make ourselves
have 128 bits of chance, which nobody can guess, so a fast hash is as safe for them as a slow one.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import Final

from argon2.exceptions import HashingError
from argon2.low_level import Type, hash_secret

from accounts.password_settings import PasswordSettings
from accounts.passwords.derived import Argon2
from accounts.passwords.errors import Busy
from accounts.passwords.secret import Password
from accounts.passwords.stored import read

_SALT: Final = 16
_KEY: Final = 32
_LETTERS: Final = "abcdefghijkmnpqrstuvwxyz23456789"
"""32 characters without those that look alike: 1 and l, 0 and o."""
_GROUPS: Final = 7
_GROUP: Final = 4


def hash_password(password: Password, settings: PasswordSettings) -> str:
    """Return the ARGON2ID hash of the NFC form, to be stored; it is slow on purpose.

    Raises `Busy` when there is no memory.
    """
    try:
        hashed = hash_secret(
            password.forms[0],
            secrets.token_bytes(_SALT),
            settings.passes,
            settings.memory,
            settings.lanes,
            _KEY,
            Type.ID,
        )
    except HashingError:
        raise Busy("there is no memory to hash a password") from None
    return "{ARGON2ID}" + hashed.decode()


def needs_upgrade(stored: str, settings: PasswordSettings) -> bool:
    """Return whether a hash is not ARGON2ID or is cheaper than the settings say.

    Raises a `StoredPasswordError` for a text that is no stored password.
    """
    hashed = read(stored)
    return not (
        isinstance(hashed, Argon2)
        and hashed.kind == "id"
        and stored.startswith("{ARGON2ID}")
        and hashed.memory >= settings.memory
        and hashed.passes >= settings.passes
    )


def new_app_password() -> tuple[str, str]:
    """Return a new app password of 140 random bits, for example `k4fz-...`, and its hash to store.

    The hash is SSHA512: checking it takes microseconds, so an app password still works while an
    attacker keeps the threads for ARGON2ID busy.
    """
    text = random_password(_GROUPS)
    salt = secrets.token_bytes(_SALT)
    digest = hashlib.sha512(text.encode() + salt).digest()
    return text, "{SSHA512}" + base64.b64encode(digest + salt).decode()


def random_password(groups: int = 4) -> str:
    """Return a random password of some groups of four characters, each of 20 random bits."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(_GROUP)) for _ in range(groups))
