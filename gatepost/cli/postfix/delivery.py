"""Checks for changes by smtp(8) after the milter that break signatures."""

from __future__ import annotations

from collections.abc import Iterator

from gatepost.cli.postfix.finding import PostfixFinding, set_line
from gatepost.cli.postfix.settings import Installation

_CONVERSION = "disable_mime_output_conversion"
_LENGTH = "smtp_line_length_limit"
_LONGEST = 998


def findings(postfix: Installation) -> Iterator[PostfixFinding]:
    """Yield settings that break valid signatures on delivery."""
    for service in postfix.running("smtp"):
        values = service.values
        if values.get(_CONVERSION, "yes").lower() != "yes":
            yield PostfixFinding(
                "warning",
                postfix.where(service, _CONVERSION),
                _CONVERSION,
                "8-bit mail to a server without 8BITMIME is converted after signing, and its "
                "signature fails",
                set_line(_CONVERSION, "yes"),
            )
        limit = values.get(_LENGTH, str(_LONGEST))
        # RFC 5322 section 2.1.1 allows 998 octets in a line
        if limit != str(_LONGEST):
            shorter = limit.isdecimal() and 0 < int(limit) < _LONGEST
            why = (
                f"lines of more than {limit} octets are broken after signing, and 998 are allowed"
                if shorter
                else f"it is {limit}, and receivers answer 500 to lines of more than 998 octets"
            )
            yield PostfixFinding(
                "warning",
                postfix.where(service, _LENGTH),
                _LENGTH,
                why,
                set_line(_LENGTH, str(_LONGEST)),
            )
