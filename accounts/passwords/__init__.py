"""Passwords: reading stored ones, hashing new ones, and the threads that do both."""

from accounts.password_settings import PasswordSettings
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
from accounts.passwords.fresh import hash_password, needs_upgrade, new_app_password, random_password
from accounts.passwords.secret import Password
from accounts.passwords.stored import SCHEMES, StoredPassword, read
from accounts.passwords.strength import check_new
from accounts.passwords.workers import Checked, PasswordWorkers

__all__ = [
    "SCHEMES",
    "BadHash",
    "BadPassword",
    "Busy",
    "Checked",
    "CostlyHash",
    "LockedPassword",
    "Password",
    "PasswordError",
    "PasswordSettings",
    "PasswordWorkers",
    "StoredPassword",
    "StoredPasswordError",
    "UnknownScheme",
    "WeakPassword",
    "check_new",
    "hash_password",
    "needs_upgrade",
    "new_app_password",
    "random_password",
    "read",
]
