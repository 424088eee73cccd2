"""The exception of this package."""

from __future__ import annotations

from policyd.errors import PolicydError


class PerlRegexError(PolicydError, ValueError):
    """Perl would not compile it, or it is a construct that is not read here; it says which."""
