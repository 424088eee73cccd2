"""Writer of Received-SPF (RFC 7208 section 9.1), for programs that still read it.

It has no name that a reader could check, so existing ones must be removed before adding it
(`msgauth.authres.fields_to_remove`). Authentication-Results is the better field for the same data.
"""

from __future__ import annotations

import re

from msgauth.address import IpAddress, plain
from msgauth.fold import FOLD, fold
from msgauth.message import HeaderField
from msgauth.spf.result import SpfResult

FIELD = "Received-SPF"

MAX_VALUE = 300
"""Maximum characters of a value, so that a line stays below 998 octets (RFC 5322 section 2.1.1); a
longer one is left out."""

# RFC 5322 section 3.2.3, dot-atom
_ATOM = r"[!#$%&'*+/=?0-9A-Z^_`a-z{|}~-]+"
_DOT_ATOM = re.compile(rf"{_ATOM}(?:\.{_ATOM})*\Z")


def received_spf(result: SpfResult, client: IpAddress, helo: str, receiver: str) -> HeaderField:
    """Return the Received-SPF field for `result`; `receiver` is our own host name."""
    comment = f"({_clean(receiver, '()')}: {_clean(result.reason, '()')})"
    pairs = [
        ("receiver", receiver),
        ("identity", result.identity),
        ("client-ip", str(plain(client))),
        ("helo", helo),
        ("envelope-from", result.sender if result.identity == "mailfrom" else ""),
        # RFC 7208 section 9.1: the directive that matched, or what is wrong
        ("mechanism", result.mechanism),
        ("problem", result.reason if result.status in ("temperror", "permerror") else ""),
    ]
    words = [f"{key}={_value(value)}" for key, value in pairs if 0 < len(value) <= MAX_VALUE]
    words = [f"{word};" for word in words[:-1]] + words[-1:]
    first = fold([result.status.value, *comment.split(" ")], column=len(FIELD) + 2)
    return HeaderField(FIELD.encode(), f" {first}{FOLD}{fold(words)}".encode("ascii"))


def _value(text: str) -> str:
    return text if _DOT_ATOM.match(text) else f'"{_clean(text, chr(34))}"'


def _clean(text: str, special: str) -> str:
    """Return `text` in printable ASCII, with `special` and the backslash escaped."""
    text = "".join(c if " " <= c <= "~" else "?" for c in text[:MAX_VALUE])
    return re.sub(rf"([\\{re.escape(special)}])", r"\\\1", text)
