"""The exception of this package."""

from __future__ import annotations

from policyd.errors import PolicydError


class PerlRegexError(PolicydError, ValueError):
    """Perl would not compile the expression, or it has an unsupported construct; the message says
    which."""
