"""The password that somebody sent, kept out of every text that may be logged."""

from __future__ import annotations

import unicodedata
from typing import Final

from accounts.passwords.errors import BadPassword

MAX_OCTETS: Final = 512
"""Octets of a password. The cost of some schemes grows with the length of the password."""


class Password:
    """A password as the client sent it: 1 to 512 octets without NUL.

    `forms` has the texts to check: the NFC form first, in which new passwords are stored (RFC 8265
    section 4.2), then the form as sent when that is another one. Octets that are not UTF-8 have one
    form only. Nothing is trimmed. Raises `BadPassword`.
    """

    __slots__ = ("forms",)

    def __init__(self, sent: str | bytes) -> None:
        try:
            octets = sent if isinstance(sent, bytes) else sent.encode()
        except UnicodeEncodeError:
            raise BadPassword("the password is not valid Unicode text") from None
        if not octets:
            raise BadPassword("the password is empty")
        if len(octets) > MAX_OCTETS:
            raise BadPassword(f"the password is longer than {MAX_OCTETS} octets")
        if b"\0" in octets:
            raise BadPassword("the password contains a NUL character")
        self.forms: Final = _forms(octets)

    @property
    def text(self) -> str:
        """The NFC text; raises `BadPassword` when the octets are not UTF-8."""
        try:
            return self.forms[0].decode()
        except UnicodeDecodeError:
            raise BadPassword("the password is not UTF-8 text") from None

    def __repr__(self) -> str:
        return "Password(...)"

    def __reduce__(self) -> str:
        raise TypeError("a password is not stored or sent elsewhere")


def _forms(octets: bytes) -> tuple[bytes, ...]:
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        return (octets,)
    # NFC can be three times as long (U+0390 and others): the bound on what was sent is enough
    normal = unicodedata.normalize("NFC", text).encode()
    return (normal,) if normal == octets else (normal, octets)
