"""Values that conditions and actions share, each with its bounds."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Hashable
from typing import Annotated, Literal, TypeAlias, TypeVar

from pydantic import AfterValidator, Field

from accounts.address import parse_target

H = TypeVar("H", bound=Hashable)

MAX_MAILBOX_NAME = 200
"""Octets of the name of a mailbox: Dovecot allows 255 in each level of the name."""

MAX_MAILBOX_DEPTH = 16
"""Levels of the name of a mailbox, the number of levels that Dovecot allows."""

_BREAKS = re.compile(r"[\r\n\u2028\u2029]")
_MESSAGE_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def one_line(text: str) -> str:
    """Return the text; raises `ValueError` for a control character or a line end in it."""
    if any(unicodedata.category(char) in ("Cc", "Zl", "Zp") for char in text):
        raise ValueError("A line end or a control character is not allowed here.")
    return text


def _message(text: str) -> str:
    if _MESSAGE_CONTROL.search(text):
        raise ValueError("Control characters are not allowed in the text.")
    if not text.strip():
        raise ValueError("The text is empty.")
    return text


def check_mailbox_name(name: str) -> str:
    """Return the name of a mailbox in NFC; raises `ValueError` with a sentence.

    Levels are separated by ``/``. A level is not empty, not ``.`` or ``..``, has no space at its
    ends and does not begin with ``~``, because some servers take these for parts of a path. Control
    characters, backslashes and the wildcards of IMAP LIST, ``*`` and ``%`` (RFC 3501 section
    6.3.8), are not allowed.
    """
    name = one_line(unicodedata.normalize("NFC", name))
    if len(name.encode("utf-8")) > MAX_MAILBOX_NAME:
        raise ValueError(f"The name of a mailbox has at most {MAX_MAILBOX_NAME} octets.")
    levels = name.split("/")
    if len(levels) > MAX_MAILBOX_DEPTH:
        raise ValueError(f"The name of a mailbox has at most {MAX_MAILBOX_DEPTH} levels.")
    for level in levels:
        if level in ("", ".", ".."):
            raise ValueError("A level of the name of a mailbox is empty, '.' or '..'.")
        if level != level.strip() or level.startswith("~"):
            raise ValueError("A level of the name begins or ends with a space, or begins with '~'.")
    if re.search(r"[*%\\]", name):
        raise ValueError("'*', '%' and '\\' are not allowed in the name of a mailbox.")
    return name


def _ascii_address(text: str) -> str:
    """Return an address that Sieve can use (RFC 5228 section 2.4.2.3).

    Pigeonhole compiles no script with an address beyond ASCII, and one with a quoted local part
    is read differently by different servers.
    """
    address = str(parse_target(text))
    local, _, domain = address.rpartition("@")
    if not address.isascii() or '"' in local:
        raise ValueError("Use an address with ASCII letters and without quotes.")
    if "." not in domain or "_" in domain or re.search(r"(?:\A|\.)-|-(?:\.|\Z)", domain):
        raise ValueError("Use an address in a complete domain.")
    return address


def _distinct(values: tuple[H, ...]) -> tuple[H, ...]:
    if len(set(values)) != len(values):
        raise ValueError("A value is in the list twice.")
    return values


Distinct = AfterValidator(_distinct)

RuleName: TypeAlias = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(one_line)]
MailboxName: TypeAlias = Annotated[
    str, Field(min_length=1, max_length=MAX_MAILBOX_NAME), AfterValidator(check_mailbox_name)
]
# RFC 5322 section 3.6.8: ftext
HeaderName: TypeAlias = Annotated[str, Field(pattern=r"\A[!-9;-~]{1,76}\z")]
FieldValue: TypeAlias = Annotated[
    str, Field(min_length=1, max_length=500), AfterValidator(one_line)
]
FieldValues: TypeAlias = Annotated[tuple[FieldValue, ...], Field(min_length=1, max_length=50)]
MessageText: TypeAlias = Annotated[str, Field(max_length=10_000), AfterValidator(_message)]
SieveAddress: TypeAlias = Annotated[str, Field(max_length=254), AfterValidator(_ascii_address)]
# RFC 5260 section 4.1: the offset from UTC, such as +0100
ZoneOffset: TypeAlias = Annotated[str, Field(pattern=r"\A[+-](?:0[0-9]|1[0-4])[0-5][0-9]\z")]
Match: TypeAlias = Literal["is", "contains", "starts", "ends", "matches"]
