"""The errors of stored and given passwords.

No message holds a password or a hash: both may end in a log.
"""

from __future__ import annotations


class PasswordError(Exception):
    """Base of the errors of this package."""


class StoredPasswordError(PasswordError):
    """A stored password cannot be used: no password matches it."""


class UnknownScheme(StoredPasswordError):  # noqa: N818
    """The stored password has a scheme that is not supported, or none at all."""


class BadHash(StoredPasswordError):  # noqa: N818
    """The stored password does not have the form of its scheme."""


class CostlyHash(StoredPasswordError):  # noqa: N818
    """Checking the stored password would take more time or memory than is allowed."""


class LockedPassword(StoredPasswordError):  # noqa: N818
    """The stored password is a mark that locks the account, such as `!` or `*`, or is empty."""


class BadPassword(PasswordError):  # noqa: N818
    """The given password is empty, too long, or contains NUL."""


class WeakPassword(PasswordError):  # noqa: N818
    """A new password breaks a rule; `reason` is an id for programs and log lines."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Busy(PasswordError):  # noqa: N818
    """Too many passwords wait to be checked, or memory is short: a temporary error."""
