"""Which header fields of a message from outside pretend to be ours (RFC 8601 section 5).

Whoever reads Authentication-Results after us (a mail program, a filter, a list) takes a field
with our authserv-id for our word. Those readers are not all exact, so a field goes not only when
the grammar finds our id in it, but when any reader might: in another case, in quotes, behind or
inside a comment, folded, with something behind it, or in a field that is broken altogether.
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
"""Longest field that is read here, in characters: large hosts write some 2000. A reading costs
milliseconds, and a message has room for many fields."""

MAX_READ = 50
"""How many fields of a message are read here; mail that has passed many hosts has some ten."""

_KEY = b"authentication-results"
_RECEIVED_SPF_KEY = b"received-spf"

_DIGITS = re.compile(r"[0-9]+(?=[\s;(]|\Z)")
# All but letters, digits and what stands in names; also the dots of UTS #46
_NOISE = re.compile(r"[^\w.\u3002\uff0e\uff61-]+")
_COMMENT = re.compile(r"\([^()]*\)")


def fields_to_remove(
    fields: Sequence[HeaderField],
    own_ids: Collection[str],
    *,
    everything: bool = False,
    received_spf: bool = False,
) -> list[int]:
    """Return the indices in `fields` of those to remove from a message that comes from outside.

    `own_ids` are the authserv-ids of our own hosts and of all whose word counts as ours. Fields of
    a version of the syntax that is not known go too, whoever they are from (RFC 8601 section 5),
    and fields that are too long, or too many, to be read. With `everything` all
    Authentication-Results fields go, with `received_spf` all Received-SPF fields as well (RFC 7208
    section 9.1), which bear no name that could be checked.
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
    """Whether a reader might take the value of a field for the word of one of `own_ids`."""
    if len(text) > MAX_LENGTH:
        return True
    own = _own(frozenset(own_ids))
    head, name, version = _head(text)
    if version and (len(version) > 9 or int(version) != VERSION):
        return True
    if "=?" in head:
        # Some readers decode encoded words first, where none may stand (RFC 2047 section 5).
        return True
    if own.word.search(head.lower()):
        return True
    # Readers that drop comments, quotes, folds or everything odd before they look.
    beginning = head.partition(";")[0]
    for reading in (name, head, beginning, _COMMENT.sub("", head), _COMMENT.sub("", beginning)):
        spellings = _spellings(reading)
        if spellings & own.spellings:
            return True
        # an id with the version behind it
        if {spelling.rstrip("0123456789") for spelling in spellings} & own.spellings:
            return True
    return False


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


def _head(text: str) -> tuple[str, str, str]:
    """Return what stands before the results, the id in it, and the version of the syntax.

    Where a field is broken, what it begins with cannot be told: all of it is the head then.
    """
    lexer = Lexer(text)
    try:
        lexer.cfws()
        name = lexer.value()
        lexer.cfws()
        version = lexer.take(_DIGITS)
        lexer.cfws()
    except AuthresError:
        return lexer.text, "", ""
    if not lexer.at_end() and lexer.text[lexer.position] != ";":
        return lexer.text, "", version
    return lexer.text[: lexer.position], name, version


def _spellings(name: str) -> set[str]:
    name = name.lower().rstrip(".")
    spellings = {name, _NOISE.sub("", name).rstrip(".")}
    for spelling in tuple(spellings):
        with suppress(DomainError):
            spellings.add(to_alabels(spelling))
    return spellings - {""}
