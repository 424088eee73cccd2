"""Passwords: reading stored ones."""

from accounts.passwords.errors import (
    BadHash,
    BadPassword,
    Busy,
    CostlyHash,
    LockedPassword,
    PasswordError,
    StoredPasswordError,
    UnknownScheme,
    WeakPassword,
)
from accounts.passwords.secret import Password
from accounts.passwords.stored import SCHEMES, StoredPassword, read

__all__ = [
    "SCHEMES",
    "BadHash",
    "BadPassword",
    "Busy",
    "CostlyHash",
    "LockedPassword",
    "Password",
    "PasswordError",
    "StoredPassword",
    "StoredPasswordError",
    "UnknownScheme",
    "WeakPassword",
    "read",
]
