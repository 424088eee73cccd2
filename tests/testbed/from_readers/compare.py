"""Comparison of our author with the addresses that mail programs show for the same From field."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from msgauth.dmarc import Author
from msgauth.domain import DomainError, to_alabels

_HEAD = re.compile(r"\s*[\w.-]*")
_LOCAL = re.compile(r'[^\s()<>\[\]:;,@\\"]*')
"""Characters of a local part without quotes."""


class Kind(enum.StrEnum):
    """Kind of difference between a program and us."""

    DOMAIN = "domain"
    """It shows another domain, so a message could pass DMARC for one and appear to be from the
    other."""
    BROKEN = "broken"
    """It shows no valid address: our domain, followed by text that cannot be in a domain."""
    ADDRESS = "address"
    """It shows another address of the same domain, which the ownership check does not see."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The answer of one program for a field, where it differs from ours."""

    kind: Kind
    reader: str
    shown: str


def differences(author: Author, answers: Mapping[str, Sequence[str]]) -> Iterator[Difference]:
    """Yield addresses that programs show but `author` lacks; nothing if `author` is a problem."""
    if author.problem:
        return
    addresses = {
        f"{_unquoted(local)}@{domain}".lower()
        for local, _, domain in (address.rpartition("@") for address in author.addresses)
    }
    for reader, shown in answers.items():
        for address in shown:
            local, _, name = address.rpartition("@")
            domain = _domain(name)
            if not domain:
                head = _HEAD.match(name)
                is_ours = head is not None and _domain(head[0]) in author.domains
                yield Difference(Kind.BROKEN if is_ours else Kind.DOMAIN, reader, address)
                continue
            local = _unquoted(local)
            if domain not in author.domains:
                yield Difference(Kind.DOMAIN, reader, address)
            elif not _LOCAL.fullmatch(local):
                yield Difference(Kind.BROKEN, reader, address)
            elif addresses.isdisjoint((f"{local}@{domain}".lower(), f"@{domain}")):
                yield Difference(Kind.ADDRESS, reader, address)


def _unquoted(local: str) -> str:
    if len(local) > 1 and local[0] == local[-1] == '"':
        return re.sub(r"\\(.)", r"\1", local[1:-1])
    return local


def _domain(name: str) -> str:
    try:
        return to_alabels(name.strip())
    except DomainError:
        return ""
