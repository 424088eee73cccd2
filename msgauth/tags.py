"""Tag lists ``a=1; b=2`` (RFC 6376 section 3.2), which DKIM, ARC and DMARC share.

The grammar is enforced, because readers treat errors differently: names are letters, digits and
underscore and begin with a letter, values are printable without ``;``, and a duplicate tag makes
the whole list invalid. An empty value is allowed. The caller interprets the tags.
"""

from __future__ import annotations

import base64
import re
from typing import Final

from msgauth.errors import MsgauthError

MAX_LENGTH: Final = 64 * 1024
"""Maximum characters of a tag list: a signature of 8192 bits over 500 fields has fewer than 16
KiB."""

MAX_TAGS: Final = 100
"""Maximum tags of a list: no protocol defines more than a dozen."""

# RFC 6376 section 3.2: tag-name = ALPHA *ALNUMPUNC
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
# tag-value: VALCHAR with FWS between. RFC 8616 section 5 adds what is not US-ASCII; a character
# that stands for an octet that is not UTF-8 is none.
_BAD_VALUE = re.compile(r"[^\t\r\n -:<-~\u00a0-\ud7ff\ue000-\U0010ffff]")
_SPACE: Final = " \t\r\n"


class TagError(MsgauthError):
    """A text is not a tag list."""


def parse_tags(text: str) -> dict[str, str]:
    """Return the tags of `text` in order, with values stripped of white space.

    Folds inside a value stay. Raises `TagError` for violations of section 3.2, and beyond
    `MAX_LENGTH` and `MAX_TAGS`.
    """
    if len(text) > MAX_LENGTH:
        raise TagError(f"a tag list of more than {MAX_LENGTH} characters")
    specs = text.split(";")
    if not specs[-1].strip(_SPACE):  # one ";" may end the list
        specs.pop()
    if len(specs) > MAX_TAGS:
        raise TagError(f"a tag list of more than {MAX_TAGS} tags")
    tags: dict[str, str] = {}
    for spec in specs:
        name, equals, value = spec.partition("=")
        name, value = name.strip(_SPACE), value.strip(_SPACE)
        if not equals or not _NAME.match(name):
            raise TagError("a tag without a name and =")
        if _BAD_VALUE.search(value):
            raise TagError(f"a character in {name}= that may not stand there")
        if name in tags:
            # RFC 6376 section 3.2: the entire tag-list is invalid
            raise TagError(f"{name}= twice")
        tags[name] = value
    if not tags:
        raise TagError("an empty tag list")
    return tags


def decode_base64(value: str) -> bytes:
    """Return the octets of a base64string (RFC 6376 section 2.10), empty for an empty one.

    White space is ignored, and the final "=" may be missing. Raises `TagError` for any other
    character and for an impossible length.
    """
    encoded = "".join(value.split())
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError as error:  # binascii.Error is one; so is a character beyond US-ASCII
        raise TagError("not base64") from error


def split_list(value: str) -> list[str]:
    """Return the items of a list separated by colons, stripped of white space."""
    return [item.strip(_SPACE) for item in value.split(":")]
