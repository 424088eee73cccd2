"""The addresses of the From field of our own mail (RFC 5322 section 3.6.2).

Stricter than the reader of DMARC, which asks for domains alone: a field that is not exactly as it
should be has no address, and whoever has to own it may not use it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from msgauth.domain import to_alabels

MAX_FIELD = 65536
"""Octets of a From field that are read: Postfix passes on no header longer than 102400 octets."""

MAX_AUTHORS = 100
"""Addresses of a From field that are read; more are no author but a list."""

# quoted-string, the characters that structure an address list, and runs of all others
_TOKEN = re.compile(
    r"""(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<mark>[(),:;<>@])|(?P<space>\s+)|(?P<text>[^"(),:;<>@\s]+)""",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Author:
    """One address of From: as written, and its domain in A-labels."""

    address: str
    domain: str


def authors(fields: Sequence[bytes]) -> tuple[Author, ...]:
    """The authors in From; empty without exactly one From field that can be read.

    `fields` has the values of all From fields of a message.
    """
    if len(fields) != 1 or len(fields[0]) > MAX_FIELD:
        return ()
    try:
        return tuple(_read(fields[0].decode("utf-8", "replace")))
    except ValueError:  # DomainError is one
        return ()


def _read(text: str) -> Iterator[Author]:
    for count, address in enumerate(_addresses(list(_tokens(text))), 1):
        if count > MAX_AUTHORS:
            raise ValueError("too many authors")
        # RFC 5322 section 3.4.1: addr-spec, of which only a quotation can hold a space
        if len(address) != 3 or address[1] != "@":
            raise ValueError("not an address")
        yield Author("".join(address), to_alabels(address[2]))


def _tokens(text: str) -> Iterator[str]:
    """The tokens without comments (RFC 5322 section 3.2.2); raises `ValueError`."""
    at = depth = 0
    while at < len(text):
        if depth and text[at] == "\\":
            at += 2
            continue
        if depth and text[at] not in "()":
            at += 1
            continue
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError("an open quotation")
        at = match.end()
        token = match.group()
        if token == "(":
            depth += 1
        elif token == ")":
            depth -= 1
            if depth < 0:
                raise ValueError("an open comment")
        elif not depth and match.lastgroup != "space":
            yield token
    if depth:
        raise ValueError("an open comment")


def _addresses(tokens: Sequence[str]) -> Iterator[list[str]]:
    """The address of each mailbox, also of those inside a group (RFC 5322 section 3.4)."""
    mailbox: list[str] = []
    angle: list[str] = []
    has_angle = inside = False
    for token in (*tokens, ","):
        if inside:
            if token == ">":
                inside = False
            else:
                angle.append(token)
        elif token == "<":
            if has_angle:
                raise ValueError("two addresses without a comma")
            angle, has_angle, inside = [], True, True
        elif token in (",", ";"):
            if has_angle:
                yield _without_route(angle)
            elif mailbox:
                yield mailbox
            mailbox, has_angle = [], False
        elif token == ":":
            mailbox = []  # the name of a group
        else:
            mailbox.append(token)
    if inside:
        raise ValueError("an open angle bracket")


def _without_route(tokens: list[str]) -> list[str]:
    """RFC 5322 section 4.4: ``<@a,@b:user@example.org>`` has an obsolete route."""
    if tokens[:1] == ["@"] and ":" in tokens:
        return tokens[tokens.index(":") + 1 :]
    return tokens
