"""Perl's regular expressions as postgrey's whitelists have them, matched in bounded time.

postgrey compiles each one with ``qr{…}i`` and searches it in the bytes of a name or an address.
`PerlRegex` does the same, with its own parser, so nothing depends on how Python's `re` reads the
syntax. A construct that cannot be matched exactly as in Perl is refused.
"""

from __future__ import annotations

from policyd.perlre.errors import PerlRegexError
from policyd.perlre.regex import PerlRegex

__all__ = ["PerlRegex", "PerlRegexError"]
