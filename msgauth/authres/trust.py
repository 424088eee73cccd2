"""Detector of header fields from outside that claim to be ours (RFC 8601 section 5).

Later readers of Authentication-Results (a mail program, a filter, a list) trust a field with our
authserv-id. Not all of them parse exactly, so a field is removed not only if the grammar finds our
id in it, but if any reader might: in another case, in quotes, after or inside a comment, folded, or
followed by other text. A field without an authserv-id is removed too, because some readers
attribute it to the host that delivered the message, and so is one whose id readers may decode
differently.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass

from msgauth.authres.lexer import AuthresError, Lexer
from msgauth.authres.parse import VERSION
from msgauth.domain import DomainError, to_alabels
from msgauth.message import HeaderField

MAX_LENGTH = 8192
"""Maximum characters of a field read here: large hosts write some 2000. Parsing takes milliseconds,
and a message has room for many fields."""

MAX_READ = 50
"""Maximum fields of a message read here; mail that has passed many hosts has some ten."""

MAX_IDENTITY = 1024
"""The first characters of our own fields, which contain the authserv-id."""

_KEY = b"authentication-results"
_RECEIVED_SPF_KEY = b"received-spf"

_DIGITS = re.compile(r"[0-9]+(?=[\s;(]|\Z)")
# All but letters, digits and what stands in names; also the dots of UTS #46
_NOISE = re.compile(r"[^\w.\u3002\uff0e\uff61-]+")
_COMMENT = re.compile(r"\([^()]*\)")
# The ids of others that stay: nothing in them stands for something else anywhere, as % and & do in
# URLs and HTML, and quotes and backslashes in strings.
_PLAIN = re.compile(r"(?!\d+\Z)[A-Za-z0-9](?:[!$'*+./:@^`{|}~\w -]*[A-Za-z0-9])?\.?\Z", re.ASCII)
# What some readers take for the end of a line, besides folds
_LINE_END = re.compile(r"[\r\n\0]")


def fields_to_remove(
    fields: Sequence[HeaderField],
    own_ids: Collection[str],
    *,
    everything: bool = False,
    received_spf: bool = False,
) -> list[int]:
    """Return the indices in `fields` of those to remove from a message that comes from outside.

    `own_ids` are the authserv-ids of our own hosts and of all whose word counts as ours. Fields
    with an unknown version of the syntax are removed too, whoever wrote them (RFC 8601 section 5),
    as are fields without an authserv-id, and fields beyond the limits of length and number. With
    `everything`, all Authentication-Results fields are removed, with `received_spf` also all
    Received-SPF fields (RFC 7208 section 9.1), because they have no name that could be checked.
    """
    found = []
    seen = 0
    for index, field in enumerate(fields):
        key = field.key
        if key == _KEY:
            seen += 1
            if everything or seen > MAX_READ or claims(field.text, own_ids):
                found.append(index)
        elif received_spf and key == _RECEIVED_SPF_KEY:
            found.append(index)
    return found


def claims(text: str, own_ids: Collection[str]) -> bool:
    """Return whether a reader might attribute the value of a field to one of `own_ids`.

    Also true for a field without an authserv-id, and for one whose id is ambiguous.
    """
    if len(text) > MAX_LENGTH:
        return True
    lexer = Lexer(text)
    if _LINE_END.search(lexer.text):
        return True
    head = _head(lexer)
    if head is None or not _is_plain(head.name):
        return True
    if head.version and (len(head.version) > 9 or int(head.version) != VERSION):
        return True
    if "=?" in head.text or "\\" in head.text or not head.text.replace("\t", " ").isprintable():
        # An encoded word, which may not stand here (RFC 2047 section 5), and which some decode all
        # the same; an escape sequence, which means one thing in this grammar and another in theirs;
        # what a terminal or a C string takes for something else.
        return True
    own = _own(frozenset(own_ids))
    if own.word.search(head.text.lower()):
        return True
    # Readers that drop comments, quotes, folds or everything odd before they look.
    for reading in (head.name, head.text, _COMMENT.sub("", head.text)):
        spellings = _spellings(reading)
        if spellings & own.spellings:
            return True
        # an id with the version behind it
        if {spelling.rstrip("0123456789") for spelling in spellings} & own.spellings:
            return True
    return False


def is_from(text: str, own_ids: Collection[str]) -> bool:
    """Return whether the grammar finds one of `own_ids` as the authserv-id in the value of a field.

    Use it only for fields that nobody outside can have written; `claims` finds the others.
    """
    lexer = Lexer(text[:MAX_IDENTITY])
    try:
        lexer.cfws()
        name = lexer.value()
    except AuthresError:
        return False
    return bool(_spellings(name) & _own(frozenset(own_ids)).spellings)


@dataclass(frozen=True, slots=True)
class _Own:
    word: re.Pattern[str]
    """Finds an id of ours that is not a part of a longer name."""
    spellings: frozenset[str]


@functools.lru_cache(16)
def _own(own_ids: frozenset[str]) -> _Own:
    spellings = frozenset(s for own_id in own_ids for s in _spellings(own_id))
    words = "|".join(map(re.escape, sorted(spellings))) or "(?!)"
    return _Own(re.compile(rf"(?<![\w.-])(?:{words})(?![\w-]|\.\w)"), spellings)


@dataclass(frozen=True, slots=True)
class _Head:
    """The part before the results: all of it, the id in it, and the version of the syntax."""

    text: str
    name: str
    version: str


def _head(lexer: Lexer) -> _Head | None:
    """Return the head of a field; None where the grammar finds no authserv-id."""
    try:
        lexer.cfws()
        name = lexer.value()
        lexer.cfws()
        version = lexer.take(_DIGITS)
        lexer.cfws()
    except AuthresError:
        return None
    if not lexer.at_end() and lexer.text[lexer.position] != ";":
        return None
    return _Head(lexer.text[: lexer.position], name, version)


def _is_plain(name: str) -> bool:
    """Return whether all readers read an authserv-id alike."""
    if name.isascii():
        # "none" is what a field without results says (RFC 8601 section 2.2)
        return bool(_PLAIN.match(name)) and ".." not in name and name.lower() != "none"
    try:
        to_alabels(name)
    except DomainError:
        return False
    return True


def _spellings(name: str) -> set[str]:
    name = name.lower().rstrip(".")
    spellings = {name, _NOISE.sub("", name).rstrip(".")}
    for spelling in tuple(spellings):
        with suppress(DomainError):
            spellings.add(to_alabels(spelling))
    return spellings - {""}
