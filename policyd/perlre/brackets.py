"""Parser of bracketed classes, such as ``[^[:alnum:]._-]`` (perlrecharclass)."""

from __future__ import annotations

import re

from policyd.perlre import sets
from policyd.perlre.errors import PerlRegexError
from policyd.perlre.escapes import byte_escape, set_escape

_POSIX = re.compile(r"\[:(\^?)([a-z]+):\]")
_LOOKS_POSIX = re.compile(r"\[([.=:])[^\]]*\1\]")


def bracketed(text: str, at: int, ignore_case: bool) -> tuple[int, int]:
    """Parse the class whose bracket opens at `at`; return its set and its end."""
    if _LOOKS_POSIX.match(text, at):
        # Perl takes the characters one by one, and warns; nobody intends that
        raise PerlRegexError("[:class:] must be within brackets: [[:class:]]")
    at += 1
    negated = text.startswith("^", at)
    at += negated
    mask = 0
    first = True
    while True:
        if at >= len(text):
            raise PerlRegexError("a [ without its ]")
        if text[at] == "]" and not first:
            break
        first = False
        item, single, at = _item(text, at, ignore_case)
        if text.startswith("-", at) and text[at + 1 : at + 2] not in ("]", ""):
            last, last_single, at = _item(text, at + 1, ignore_case)
            if not single or not last_single:
                item |= sets.of("-") | last  # [\w-.]: not a range
            elif last_single < single:
                raise PerlRegexError(f"the range {single}-{last_single} is reversed")
            else:
                item = sets.span(single, last_single)
        mask |= item
    # a class that is itself negated, such as \W or [:^alpha:], already covers both cases
    mask = sets.folded(mask) if ignore_case else mask
    return (sets.complement(mask) if negated else mask), at + 1


def _item(text: str, at: int, ignore_case: bool) -> tuple[int, str, int]:
    """Parse one member; return its set, the character if it is a single one, and its end."""
    if found := _POSIX.match(text, at):
        mask = sets.POSIX.get(found[2])
        if mask is None:
            raise PerlRegexError(f"there is no class [:{found[2]}:]")
        if ignore_case and found[2] in ("lower", "upper"):
            mask = sets.folded(mask)
        return (sets.complement(mask) if found[1] else mask), "", found.end()
    if _LOOKS_POSIX.match(text, at):
        raise PerlRegexError("Perl has no [. .] and [= =]")
    if text[at] != "\\":
        return sets.of(text[at]), text[at], at + 1
    if (found_set := set_escape(text, at)) is not None:
        return found_set, "", at + 2
    if text.startswith("\\b", at):
        return sets.of("\b"), "\b", at + 2
    character, end = byte_escape(text, at)
    return sets.of(character), character, end
