"""Facts in the header of a message, as text on one line each."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import Final

from msgauth.encoded_word import encoded_words
from msgauth.errors import MsgauthError
from msgauth.message import HeaderField, parse_message

MAX_HEAD: Final = 256 << 10
"""Octets of a message in which its header is looked for."""
MAX_VALUE: Final = 8192
"""Characters of a value that are decoded."""
# codecs of Python for domains, of which punycode takes the square of the time
_NO_CHARSET: Final = frozenset({"idna", "punycode"})
_BLANKS: Final = " \t\r\n"


def header_of(octets: bytes) -> Sequence[HeaderField]:
    """Return the fields in the beginning of a message; none if there are far too many."""
    try:
        return parse_message(octets[:MAX_HEAD])[0]
    except MsgauthError:
        return ()


def first_value(fields: Sequence[HeaderField], key: bytes) -> str:
    """Return the decoded value of the first field of a name; empty without one."""
    return next((decoded(field.text) for field in fields if field.key == key), "")


def decoded(text: str) -> str:
    """Return a value with its encoded words decoded (RFC 2047 section 6.2).

    A word that cannot be decoded stays as it is written.
    """
    text = text[:MAX_VALUE]
    parts, at, after_word = [], 0, False
    for word in encoded_words(text):
        between = text[at : word.start]
        if word.text is None:
            continue
        if not (after_word and not between.strip(_BLANKS)):
            parts.append(between)
        parts.append(word.text)
        at, after_word = word.end, True
    parts.append(text[at:])
    return "".join(parts)


def decoded_octets(octets: bytes, charset: str) -> str:
    """Return text in a charset; what it does not have is U+FFFD, also for an unknown charset."""
    try:
        # a codec of Python for octets, such as "zip", is no charset
        info = codecs.lookup(charset or "utf-8")
        is_charset = getattr(info, "_is_text_encoding", False) and info.name not in _NO_CHARSET
        name = info.name if is_charset else "utf-8"
        return octets.decode(name, "replace")
    except (LookupError, ValueError):
        return octets.decode("utf-8", "replace")
