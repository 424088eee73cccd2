"""The author of a message of ours: whom a signature speaks for, and an ownership table knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from msgauth.dmarc import find_author


@dataclass(frozen=True, slots=True)
class Author:
    """One address of From, and its domain in A-labels."""

    address: str
    domain: str


def authors(fields: Sequence[bytes]) -> tuple[Author, ...]:
    """The authors in From; empty without exactly one From field that can be read one way only.

    `fields` has the values of all From fields of a message.
    """
    found = find_author(fields)
    if found.problem:
        return ()
    return tuple(Author(address, address.rpartition("@")[2]) for address in found.addresses)
