"""Parser of mailboxes and groups in the From field (RFC 5322 section 3.4, RFC 6854).

It accepts the syntax of RFC 5322 and RFC 6532, including the obsolete forms. Every part keeps its
position in the text, so that the author can be distinguished from text that only looks like one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from msgauth.comment import end_of_comment
from msgauth.errors import MsgauthError

SPACE = " \t\r\n"
"""White space, with the line ends of folds."""

# Tokens: a special is itself; a quoted string, a comment, a domain literal and plain text keep
# what they are by their first character, so that a quoted "@" is not the one of an address.
_SPECIALS = frozenset("<>@,:;")
_TEXT = re.compile(r'[^"(\[<>@,:;)\]\\]+')
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_LITERAL = re.compile(r"\[[^\[\]\\]*\]")
# RFC 5322 section 4.4, obs-route: domains with an "@" before each and commas between
_ROUTE = re.compile(r"[\s,]*@[^@,\"]+(?:,\s*(?:@[^@,\"]+)?)*")
# A dot-atom or a quoted string (RFC 5322 section 3.4.1)
_LOCAL = re.compile(r'[^\s()<>\[\]:;,@\\"]+|"(?:[^"\\]|\\.)*"', re.DOTALL)
_WORDS = re.compile(r"\([\w\s'-]*\)")
_MARK = re.compile(r"=\?|\?=")
_ENCODED = re.compile(r"(?<!\S)=\?[^?\s]*\?[bBqQ]\?[^?\s]*\?=(?!\S)")


class GrammarError(MsgauthError):
    """A From field violates RFC 5322."""


@dataclass(frozen=True, slots=True)
class Token:
    """A part of the field: its text and its start."""

    text: str
    start: int

    @property
    def end(self) -> int:
        """The end of the text."""
        return self.start + len(self.text)

    @property
    def is_comment(self) -> bool:
        """Return whether it is a comment, which is ignored."""
        return self.text[0] == "("

    @property
    def is_blank(self) -> bool:
        """Return whether it is ignored: a comment or white space."""
        return self.is_comment or not self.text.strip(SPACE)


@dataclass(frozen=True, slots=True)
class Member:
    """The text between two commas of an address list: a mailbox, or the name of a group."""

    tokens: tuple[Token, ...]
    is_name: bool = False
    """True if it is the name of a group."""


@dataclass(frozen=True, slots=True)
class AddrSpec:
    """The address of a mailbox: the parts before and after "@", without white space and comments.

    `at` is the position of "@"; `domain` may be an invalid domain name.
    """

    local: str
    domain: str
    at: int


def members(text: str) -> Iterator[Member]:
    """Split an address list at its commas, and resolve its groups (RFC 5322 section 3.4).

    Raises `GrammarError`.
    """
    found: list[Token] = []
    in_angle = in_group = False
    for token in _tokens(text):
        if in_angle or token.text not in (",", ":", ";"):
            if token.text in ("<", ">"):
                if in_angle == (token.text == "<"):
                    raise _misplaced(token.text)
                in_angle = token.text == "<"
            found.append(token)
            continue
        if token.text == ":":
            # the name of a group: it has no address in it, and groups do not nest
            if in_group or any(other.text in ("@", ">") for other in found):
                raise _misplaced(":")
            in_group = True
        elif token.text == ";" and not in_group:
            raise _misplaced(";")
        yield Member(tuple(found), is_name=token.text == ":")
        in_group = in_group and token.text != ";"
        found = []
    if in_angle or in_group:
        raise GrammarError("From ends too early")
    yield Member(tuple(found))


def address_of(member: Member) -> tuple[AddrSpec | None, tuple[Token, ...]]:
    """Return the address of a mailbox, and the display name before it.

    There is no address in an empty member of a list (RFC 5322 section 4.4), nor in the first half
    of a name with an unquoted comma: ``Doe, John <john@example.org>``. Raises `GrammarError`.
    """
    texts = [token.text for token in member.tokens]
    if member.is_name:
        return None, ()
    if "<" not in texts:
        if "@" not in texts:
            return None, ()
        return _address(list(member.tokens)), ()
    start, end = texts.index("<"), texts.index(">")
    if not all(token.is_blank for token in member.tokens[end + 1 :]):
        # <a@b> c@d: programs differ in which one they take
        raise GrammarError("From has something behind an address")
    inside = list(member.tokens[start + 1 : end])
    if ":" in texts[start + 1 : end]:
        colon = texts[start + 1 : end].index(":")
        if not _ROUTE.fullmatch(_joined(inside[:colon])):
            raise _no_address()
        # RFC 5322 section 4.4: a route before the address, @a,@b:c@d, means nothing
        inside = inside[colon + 1 :]
    return _address(inside), member.tokens[:start]


def is_plain_name(name: Sequence[Token]) -> bool:
    """Return whether all programs read it as a display name, whatever its encoded words contain.

    It is a quoted string, or plain words and encoded words separated by white space.
    """
    solid = [token for token in name if token.text.strip(SPACE)]
    if len(solid) == 1 and solid[0].text[0] == '"':
        return True
    return bool(solid) and all(
        token.text[0] not in '"([@' and "=?" not in _ENCODED.sub("", token.text) for token in solid
    )


def _tokens(text: str) -> Iterator[Token]:
    position = 0
    while position < len(text):
        start, character = position, text[position]
        if character in _SPECIALS:
            position += 1
        elif character == "(":
            # RFC 5322 section 3.2.2: a comment is white space
            end = end_of_comment(text, position)
            if end is None:
                raise GrammarError("From has a comment without an end")
            position = end
        else:
            pattern = {'"': _QUOTED, "[": _LITERAL}.get(character, _TEXT)
            match = pattern.match(text, position)
            if match is None:
                raise _misplaced(character)
            position = match.end()
        yield Token(text[start:position], start)


def _address(tokens: list[Token]) -> AddrSpec:
    texts = [token.text for token in tokens]
    if texts.count("@") != 1 or not {",", ":", ";"}.isdisjoint(texts):
        raise _no_address()
    at = texts.index("@")
    before, after = _joined(tokens[:at]), _joined(tokens[at + 1 :])
    local, domain = before.strip(SPACE), after.strip(SPACE)
    gap = before[len(before.rstrip(SPACE)) :] + after[: len(after) - len(after.lstrip(SPACE))]
    if "\r" in gap or any(map(_is_broken, _without_last_comment(tokens))):
        # some programs end a comment or an address at the end of a line
        raise GrammarError("From has an address on two lines")
    if not local:
        raise GrammarError("From has an address without local part")
    # RFC 2047 section 5: there are no encoded words in addresses, but some programs decode them
    if not (_LOCAL.fullmatch(local) and local.isprintable()) or _MARK.search(local):
        # RFC 5322 section 4.4 has white space between the parts of an address too, and programs
        # differ in what is left of it; Anna a@b.example is a name and an address for some
        raise _no_address()
    if domain.startswith("["):
        raise GrammarError("From has an address literal and no domain")
    return AddrSpec(local, domain, tokens[at].start)


def _is_broken(token: Token) -> bool:
    return token.is_comment and "\r" in token.text


def _without_last_comment(tokens: list[Token]) -> list[Token]:
    """Return all tokens except a final comment of plain words, which may span two lines."""
    kept = list(tokens)
    while kept and kept[-1].is_blank and not kept[-1].is_comment:
        kept.pop()
    return kept[:-1] if _WORDS.fullmatch(kept[-1].text) else tokens


def _joined(tokens: list[Token]) -> str:
    return "".join(" " if token.is_comment else token.text for token in tokens)


def _misplaced(character: str) -> GrammarError:
    return GrammarError(f"From has a {character!a} that does not belong there")


def _no_address() -> GrammarError:
    return GrammarError("From has something that is not an address")
