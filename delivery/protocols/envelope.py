"""Envelope of a message in LMTP: sender, recipients and the parameters of MAIL."""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

from msgauth.mail_address import MailAddress

MAX_PATH: Final = 1000
"""Octets of a path. RFC 5321 section 4.5.3.1.3 allows 256; addresses in UTF-8 may need more."""

BodyType = Literal["", "7BIT", "8BITMIME"]
"""The parameter BODY (RFC 6152 section 2); empty if there is none."""

# RFC 5321 section 4.1.2: a quoted string may have blanks and angle brackets
_PATH: Final = re.compile(r'<((?:[^<>"\x00-\x20\x7f]|"(?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])*")*)>')


class PathError(ValueError):
    """The text is not a path; the message is one of a reply."""


class LmtpEnvelope(NamedTuple):
    """Sender and recipients, as they were written between angle brackets."""

    sender: str
    """Empty for the null reverse-path."""
    recipients: tuple[str, ...] = ()
    body: BodyType = ""
    smtputf8: bool = False
    """True if the message needs SMTPUTF8 (RFC 6531 section 3.4)."""
    size: int = 0
    """The size that the client has declared in octets (RFC 1870 section 6); 0 if unknown."""


class MailParameters(NamedTuple):
    """The parameters of MAIL."""

    body: BodyType = ""
    smtputf8: bool = False
    size: int = 0


def read_path(text: str) -> tuple[str, str]:
    """Return the address in the path at the beginning of `text`, and the text after it.

    Raises `PathError`.
    """
    found = _PATH.match(text)
    if found is None or (rest := text[found.end() :])[:1] not in ("", " "):
        raise PathError("the address has to stand in angle brackets")
    if len(found[1].encode()) > MAX_PATH:
        raise PathError("the address is too long")
    return found[1], rest.strip()


def read_parameters(text: str) -> MailParameters | None:
    """Return the parameters of MAIL; None for one that is not known or has a wrong value."""
    body: BodyType = ""
    smtputf8, size = False, 0
    for word in text.split():
        name, equals, value = word.partition("=")
        match name.upper(), value.upper():
            case "BODY", "7BIT":
                body = "7BIT"
            case "BODY", "8BITMIME":
                body = "8BITMIME"
            case "SMTPUTF8", "" if not equals:
                smtputf8 = True
            case "SIZE", digits if digits.isascii() and digits.isdecimal() and len(digits) <= 20:
                size = int(digits)
            case _:
                return None
    return MailParameters(body, smtputf8, size)


def address_of(path: str) -> MailAddress:
    """Return the address of a path."""
    return MailAddress.parse_path(path)
