"""DKIM's form of quoted-printable (RFC 6376 section 2.11, RFC 8616 section 5)."""

from __future__ import annotations

import re

from msgauth.errors import MsgauthError

# Printable US-ASCII except ";" and "=", which are special in a tag list
_SAFE = frozenset(set(range(0x21, 0x7F)) - set(b";="))
_ENCODED = re.compile(r"=([0-9A-F]{2})")
_STRAY = re.compile(r"=(?![0-9A-F]{2})")
_WSP = re.compile(r"[ \t\r\n]+")


def encode_quoted(text: str) -> str:
    """Return `text` in UTF-8, with every octet encoded that is not safe in all tags."""
    return "".join(
        chr(octet) if octet in _SAFE else f"={octet:02X}" for octet in text.encode("utf-8")
    )


def decode_quoted(text: str) -> str:
    """Return the decoded `text`; folding white space in it is ignored.

    Raises `MsgauthError` for ``=`` without two upper-case hexadecimal digits, and when the result
    is not UTF-8.
    """
    text = _WSP.sub("", text)
    if "=" not in text:
        return text
    if _STRAY.search(text):
        raise MsgauthError("quoted-printable with = and no octet behind it")
    octets = bytearray()
    end = 0
    for match in _ENCODED.finditer(text):
        octets += text[end : match.start()].encode("utf-8", "surrogatepass")
        octets.append(int(match[1], 16))
        end = match.end()
    octets += text[end:].encode("utf-8", "surrogatepass")
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MsgauthError("quoted-printable that is not UTF-8") from error
