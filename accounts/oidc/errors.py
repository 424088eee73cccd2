"""Errors of logins through an identity provider."""

from __future__ import annotations


class OidcError(Exception):
    """A login through the provider failed. The text is for the log: it has no secret, but may
    repeat words of the provider."""


class ProviderAwayError(OidcError):
    """The provider gives no usable answer now."""


class UntrustedError(OidcError):
    """An answer is not what it claims to be, or not for this login."""
