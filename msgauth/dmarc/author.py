"""The author domain: whom a message says it is from (RFC 9989 section 5.3.1).

The From field is where forgers work, so this reader does not guess. It reads what RFC 5322 and
RFC 6532 allow, with the obsolete forms and groups (RFC 6854), and a display name that is not
quoted as it should be, because honest mail has those. Where two readers could see two addresses it
says that the field cannot be read, or counts both: in ``a@x.example <b@y.example>`` the first is a
display name for most readers, and the author for others, Dovecot's IMAP envelope among them.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from msgauth.comment import end_of_comment
from msgauth.domain import DomainError, to_alabels
from msgauth.errors import MsgauthError

MAX_FROM = 65536
"""Longest From field that is read, in octets: room for some thousand authors."""

# A mailbox as nearly all mail has it: a name in quotes or of plain words, and one address. It is
# what the rest of this module would find too, at a tenth of the time.
_USUAL = re.compile(
    rb'(?:(?:"[^"\\\r\n]*"[ \t\r\n]*|[^"\\()<>\[\]:;@,]*)<)?'
    rb"([A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+)@([A-Za-z0-9._-]+)(>?)\Z"
)
_SPACE = " \t\r\n"
# Readers end a text or a line at one of these, or leave it out. RFC 5322 section 4 has them in its
# obsolete forms alone.
_CONTROL = re.compile(rb"(?!\t|\r\n)[\x00-\x1f\x7f](?<!\r\n)")


class AuthorError(MsgauthError):
    """A From field cannot be read, or can be read in more than one way."""


@dataclass(frozen=True, slots=True)
class Author:
    """Whom a message says it is from."""

    domains: tuple[str, ...] = ()
    """The domains of the addresses in From, in A-labels, each once, in their order."""
    addresses: tuple[str, ...] = ()
    """The addresses in From in their order, with the domain in A-labels. The local part is as
    written, its comments and needless quotes left out. An address that stands unquoted where a
    display name belongs follows the one it stands before."""
    problem: str = ""
    """Why the message has no author that could be told, empty when it has. A readable From with
    addresses of several domains is no problem in this sense."""


def find_author(fields: Sequence[bytes]) -> Author:
    """Return the author domains of a message.

    `fields` has the values of all its From header fields, as on the wire. More than one field is
    a problem, because no reader can tell which one is shown (RFC 5322 section 3.6, RFC 9989
    section 4.4); their domains are returned all the same.
    """
    found: list[tuple[str, str]] = []
    problem = ""
    if len(fields) != 1:
        problem = f"{len(fields)} From fields" if fields else "no From field"
    try:
        if sum(map(len, fields)) > MAX_FROM:
            raise AuthorError(f"From is longer than {MAX_FROM} octets")  # noqa: TRY301
        for field in fields:
            found += _addresses(field)
    except AuthorError as error:
        problem = problem or str(error)
    if not problem and not found:
        problem = "From has no address"
    domains = tuple(dict.fromkeys(domain for _, domain in found))
    return Author(domains, tuple(f"{local}@{domain}" for local, domain in found), problem)


def _addresses(value: bytes) -> Iterator[tuple[str, str]]:
    if _CONTROL.search(value):
        raise AuthorError("From has a control character")
    usual = _USUAL.match(value.strip(_SPACE.encode()))
    if usual is not None and bool(usual[3]) == (b"<" in value):
        yield usual[1].decode("ascii"), _domain(usual[2].decode("ascii"))
        return
    # RFC 6532 section 3. A name in another encoding does no harm, in a domain it is an error.
    text = value.decode("utf-8", "replace")
    for tokens in _mailboxes(_tokens(text)):
        address = _address(tokens)
        if address is not None:
            yield address[0], _domain(address[1])
            yield from _addresses_in_name(tokens)


def _domain(name: str) -> str:
    try:
        return to_alabels(name)
    except DomainError as error:
        raise AuthorError(f"From: {error}") from error


# Tokens: a special is itself; a quoted string, a domain literal and plain text keep what they are
# by their first character, so that a quoted "@" is not the one of an address.
_SPECIALS = frozenset("<>@,:;")
_TEXT = re.compile(r'[^"(\[<>@,:;)\]\\]+')
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_LITERAL = re.compile(r"\[[^\[\]\\]*\]")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
# RFC 5322 section 4.4, obs-route: domains with an "@" before each and commas between
_ROUTE = re.compile(r"[\s,]*@[^@,\"]+(?:,\s*(?:@[^@,\"]+)?)*")
_LOCAL = re.compile(r'(?:[^"\s]|(?:(?<=\.)|\A)"(?:[^"\\]|\\.)*"(?=\.|\Z))+\Z', re.DOTALL)
_NO_ADDRESS = re.compile(r"[\s@]")
_PUNCTUATION = "!\"#$%&'()*+,-./:;=?[]^_`{|}~"
_DOT_ATOM = re.compile(r"[^\s.@<>()\[\]:;,\\\"]+(?:\.[^\s.@<>()\[\]:;,\\\"]+)*")


def _tokens(text: str) -> Iterator[str]:
    position = 0
    while position < len(text):
        character = text[position]
        if character in _SPECIALS:
            position += 1
            yield character
            continue
        if character == "(":
            end = end_of_comment(text, position)
            if end is None:
                raise AuthorError("From has a comment without an end")
            position = end
            yield " "  # RFC 5322 section 3.2.2: a comment is white space
            continue
        pattern = {'"': _QUOTED, "[": _LITERAL}.get(character, _TEXT)
        match = pattern.match(text, position)
        if match is None:
            raise AuthorError(f"From has a {character!a} that does not belong there")
        position = match.end()
        yield match[0]


def _mailboxes(tokens: Iterator[str]) -> Iterator[list[str]]:
    """Split an address list at the commas, and take the groups apart (RFC 5322 section 3.4)."""
    mailbox: list[str] = []
    in_angle = in_group = False
    for token in tokens:
        if in_angle or token not in (",", ":", ";"):
            if token in ("<", ">"):
                if in_angle == (token == "<"):
                    raise AuthorError(f"From has a {token!a} that does not belong there")
                in_angle = token == "<"
            mailbox.append(token)
            continue
        if token == ":":
            # the name of a group: it has no address in it, and groups do not nest
            if in_group or "@" in mailbox or ">" in mailbox:
                raise AuthorError("From has a ':' that does not belong there")
            in_group = True
        else:
            if token == ";" and not in_group:
                raise AuthorError("From has a ';' that does not belong there")
            yield mailbox
            in_group = in_group and token == ","
        mailbox = []
    if in_angle or in_group:
        raise AuthorError("From ends too early")
    yield mailbox


def _address(tokens: list[str]) -> tuple[str, str] | None:
    """Return local part and domain of a mailbox, None when there is nothing in it."""
    if "<" in tokens:
        start, end = tokens.index("<"), tokens.index(">")
        if any(token.strip() for token in tokens[end + 1 :]):
            # <a@b> c@d: readers differ in which one they take
            raise AuthorError("From has something behind an address")
        inside = tokens[start + 1 : end]
        if ":" in inside:
            colon = inside.index(":")
            if not _ROUTE.fullmatch("".join(inside[:colon])):
                raise AuthorError("From has something that is no address")
            # RFC 5322 section 4.4: a route before the address, @a,@b:c@d, means nothing
            inside = inside[colon + 1 :]
    else:
        inside = tokens
        if "@" not in inside:
            if any("@" in token for token in inside):
                # an address in quotes is none, and yet some readers take it for one
                raise AuthorError("From has something that is no address")
            # an empty member of a list (RFC 5322 section 4.4), or the first half of a name with a
            # comma that is not quoted: Doe, John <john@example.org>
            return None
    if inside.count("@") != 1 or "," in inside or ":" in inside or ";" in inside:
        raise AuthorError("From has something that is no address")
    at = inside.index("@")
    local, domain = (_without_space(part) for part in (inside[:at], inside[at + 1 :]))
    if not local:
        raise AuthorError("From has an address without local part")
    if not _LOCAL.match(local):
        # Anna a@b.example, "Anna"a@b.example: some readers take the first for a name, and then
        # read encoded words in it
        raise AuthorError("From has something that is no address")
    if domain.startswith("["):
        raise AuthorError("From has an address literal and no domain")
    return _unquoted(local), domain


def _addresses_in_name(tokens: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the addresses in a display name that is not quoted; what is no domain is none."""
    if "<" not in tokens:
        return
    name = tokens[: tokens.index("<")]
    if "@" not in name:
        return
    text = "".join(f" {_NO_ADDRESS.sub('_', t)}" if t[0] == '"' else t for t in name)
    for word in text.split():
        parts = word.split("@")
        for local, domain in itertools.pairwise(part.strip(_PUNCTUATION) for part in parts):
            if local:
                with suppress(DomainError):
                    yield local, to_alabels(domain)


def _without_space(tokens: list[str]) -> str:
    # RFC 5322 section 4.4: white space around dots is obsolete, and means nothing
    return ".".join(word.strip(_SPACE) for word in "".join(tokens).strip(_SPACE).split("."))


def _unquoted(local: str) -> str:
    if not _QUOTED.fullmatch(local):
        return local
    # RFC 5321 section 4.1.2: quotes that are not needed mean nothing
    content = _ESCAPED.sub(r"\1", local[1:-1])
    return content if _DOT_ATOM.fullmatch(content) else local
