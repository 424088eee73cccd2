"""Homes: the folders that the mail of mailboxes is in, below the root of the mail store.

A home belongs to one mailbox forever. Its name begins with the first address of the mailbox, so
that people find it, and ends with random characters, so that a mailbox that gets the same address
later never sees the mail of the one before.
"""

from __future__ import annotations

import re
import secrets
from typing import Any

from accounts.address import AccountAddress
from accounts.store.errors import Invalid

RANDOM = 8
"""Random octets of a home."""
MAX_HOME = 400
"""Characters of a home: a domain, a local part and the random ones."""

_UNUSUAL = re.compile(r"[^a-z0-9._+=-]")
_PART = re.compile(r"[^/\x00-\x1f\x7f]+\Z")


def new_home(address: AccountAddress) -> str:
    """Return a home that no mailbox has had."""
    named = _UNUSUAL.sub("_", address.local)
    return f"{address.domain}/{named}-{secrets.token_hex(RANDOM)}"


def home(field: str, value: Any) -> str:
    """Return a home: the names of two folders, none of which leads out of the mail store.

    Raises `Invalid`.
    """
    if not isinstance(value, str) or len(value) > MAX_HOME or not is_home(value):
        raise Invalid(field, "It must be two names of folders with a slash between them.")
    return value


def is_home(text: str) -> bool:
    """Return whether the text is the path of a folder two levels below the mail store."""
    parts = text.split("/")
    return len(parts) == 2 and all(_PART.match(one) and one not in (".", "..") for one in parts)
