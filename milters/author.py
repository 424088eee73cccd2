"""The author of a message of ours: whom a signature speaks for, and an ownership table knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from msgauth.dmarc import find_author


@dataclass(frozen=True, slots=True)
class Author:
    """One address that a mail program could show as the author, and its domain in A-labels.

    The local part is empty where programs may show different ones.
    """

    address: str
    domain: str


def authors(fields: Sequence[bytes]) -> tuple[Author, ...]:
    """Return the authors in From, that of the first address first.

    Empty without exactly one From field, and where mail programs read it as different domains.
    `fields` has the values of all From fields of a message.
    """
    found = find_author(fields)
    if found.problem:
        return ()
    return tuple(Author(address, address.rpartition("@")[2]) for address in found.addresses)
