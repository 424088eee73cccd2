"""Reader of From by the standard library's `email`, with both of its policies."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Sequence
from email.header import decode_header, make_header
from email.utils import getaddresses, parseaddr

# a display name before an angle address; text may stand encoded in it, and is only shown
_NAME = re.compile(
    r"(?:\A|(?<=[,;:>]))[^<>,;:()\"@\\]+(?=<)"
    r'|"[^"\\]*"\s*(?=<)'
)
_FOLD = re.compile(r"\r\n(?=[ \t])")


def read(fields: Sequence[bytes]) -> list[list[str]]:
    """Return the addresses from all ways to get them from the library."""
    return [_read(field) for field in fields]


def _read(field: bytes) -> list[str]:
    message = b"From: " + field.strip(b" \r\n") + b"\r\n\r\n"
    raw = field.decode("utf-8", "replace")
    value = str(email.message_from_bytes(message, policy=email.policy.compat32)["From"])
    if "\ufffd" in value:  # it does not say what the octets are that are not ASCII
        value = raw
    shown = _default(message) + _decoded(raw)
    for text in (value, _FOLD.sub("", raw)):
        shown += _parsed(text)
    return list(dict.fromkeys(a for a in shown if "@" in a and a.rpartition("@")[2]))


def _parsed(text: str) -> list[str]:
    return [parseaddr(text)[1], *(address for _, address in getaddresses([text]))]


def _default(message: bytes) -> list[str]:
    try:
        header = email.message_from_bytes(message, policy=email.policy.default)["From"]
        shown = [f"{address.username}@{address.domain}" for address in header.addresses]
    except Exception:
        return []  # it has some bugs, and then shows nothing
    # surrogates stand for octets that are not ASCII
    return [a.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for a in shown]


def _decoded(raw: str) -> list[str]:
    """Return the addresses in a program that decodes the field before it parses it.

    Display names before an angle address stay encoded, because they may contain any text.
    """
    text = _NAME.sub("x ", _FOLD.sub("", raw))
    if not text.isascii():
        return []  # decode_header has characters escaped that are not
    try:
        return _parsed(str(make_header(decode_header(text))))
    except Exception:
        return []  # an encoding that does not exist, or is broken
