"""The author domain of a message (RFC 9989 section 5.3.1).

Forgers target the From field. Mail programs read it differently unless it is simple, so the
question is not which address is in it, but which domains any mail program could show as the
author's. `mailbox` parses the syntax of RFC 5322; in addition, every "@" counts that some program
could read as part of an address: in an unquoted display name, in an encoded word that is not a
display name, in text with unbalanced quotes, comments or brackets. If that leads to more than one
domain, the message has no definite author.

A display name in quotes, or in encoded words before ``<``, may contain anything: all programs use
the address after it. And if there is only one address, syntax errors in the rest do not matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from msgauth.comment import end_of_comment
from msgauth.dmarc.mailbox import (
    SPACE,
    GrammarError,
    Member,
    Token,
    address_of,
    is_plain_name,
    members,
)
from msgauth.domain import DomainError, to_alabels
from msgauth.encoded_word import EncodedWord, encoded_words, neighbours
from msgauth.errors import MsgauthError
from msgauth.mail_address import MailAddress

MAX_FROM = 65536
"""Maximum octets of a From field."""

MAX_ADDRESSES = 500
"""Maximum different addresses of a From field: more are a problem, and are dropped."""

# A mailbox as nearly all mail has it: a name in quotes or of plain words, and one address. It is
# what the rest of this module would find too, at a tenth of the time.
_USUAL = re.compile(
    rb'(?:(?:"[^"\\\r\n]*"[ \t\r\n]*|[^"\\()<>\[\]:;@,]*)<)?'
    rb"([A-Za-z0-9!#$%&'*+/=^_`{|}~.-]+)@([A-Za-z0-9._-]+)(>?)\Z"
)
# Readers end a text or a line at one of these, or leave it out. RFC 5322 section 4 has them in its
# obsolete forms alone.
_CONTROL = re.compile(rb"(?!\t|\r\n)[\x00-\x1f\x7f](?<!\r\n)")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_DOT_ATOM = re.compile(r"[^\s.@<>()\[\]:;,\\\"]+(?:\.[^\s.@<>()\[\]:;,\\\"]+)*")
# "@", and what Unicode's compatibility forms make one (NFKC): programs may read them as "@"
_ATS = "@\ufe6b\uff20"
_AT = re.compile(f"[{_ATS}]")
_ENCODED_OR_AT = re.compile(b"=\\?|\xef\xb9\xab|\xef\xbc\xa0")
# The domain of an address in the midst of text, when no program takes what follows for more of it.
_DOMAIN = re.compile(r"[\w.-]+(?=[ \t\r\n]*(?:\Z|[<>,;]|['\"][ \t\r\n]*(?:<|\Z)))")
# The same, when it is the only address and the rest of the field does not fit together. Nothing is
# tried twice: in 64 KiB of blanks that would take a minute.
_TAIL = re.compile(
    r"(?P<domain>[\w.-]++)[ \t\r\n]*+(?:>[ \t\r\n>]*+(?:[.,;]++[ \t\r\n]*+)?"
    r"|>[ \t\r\n]++(?P<words>\w[^<>()\[\]:\"\\]*)|[ \t\r\n,;]*+)\Z"
)
_HYPHEN_AT_END = re.compile(r"(?:\A|\.)-|-(?:\.|\Z)")
# The two that IDNA2008 allows in some places, as in Persian names
_JOINER = re.compile("[\u200c\u200d]")
_NO_LOCAL = frozenset(' \t\r\n()<>[]:;,\\"' + _ATS)
_BEFORE_AN_ADDRESS = frozenset(("", "<", ","))
# Where programs may end a comment or a quoted string early, and then find others than there are.
_ODD_IN_COMMENT = re.compile(r'["\\<>\r]|=\?|\?=')
_ODD_IN_QUOTES = re.compile(r"\r|=\?|\?=")
_WHOLE_WORD = re.compile(r"=\?[^?\s]*\?[bq]\?[^?\s]*\?=", re.IGNORECASE)
# In decoded text, these may have the same effect.
_STRUCTURE = '"()\\,:;<>'

_Item = TypeVar("_Item", Token, EncodedWord)


class AuthorError(MsgauthError):
    """A From field cannot be parsed, or is ambiguous."""


@dataclass(frozen=True, slots=True)
class Author:
    """The author of a message according to From."""

    domains: tuple[str, ...] = ()
    """The domains of the addresses in From, in A-labels, each once, in their order."""
    mailboxes: tuple[MailAddress, ...] = ()
    """The addresses that a mail program could show, with the domain in A-labels. Those of the list
    come first in order. The local part is as written, without comments and needless quotes; it is
    empty if programs may show different ones."""
    problem: str = ""
    """Why the message has no definite author, or empty. A valid list with addresses of several
    domains is not a problem in this sense."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """The text of the mailboxes."""
        return tuple(mailbox.text for mailbox in self.mailboxes)


@dataclass(slots=True)
class _Found:
    """The addresses in a field: those of its list, and others found in its text."""

    listed: list[tuple[str, str]]
    beside: list[tuple[str, str]] = field(default_factory=list)
    unclear: str = ""

    @property
    def problem(self) -> str:
        """Return why more than one author could be shown, or none."""
        if self.unclear or not self.listed:
            return self.unclear or "From has no address"
        own = self.listed[0][1]
        for _, domain in self.listed + self.beside if self.beside else ():
            if domain != own:
                return f"programs differ in whether From is of {own} or of {domain}"
        return ""


def find_author(fields: Sequence[bytes]) -> Author:
    """Return the author domains of a message.

    `fields` has the values of all its From header fields, as on the wire. More than one field is
    a problem, because it is unknown which one is shown (RFC 5322 section 3.6, RFC 9989 section
    4.4); their domains are returned nevertheless.
    """
    found: list[tuple[str, str]] = []
    problem = ""
    if len(fields) != 1:
        problem = f"{len(fields)} From fields" if fields else "no From field"
    try:
        if sum(map(len, fields)) > MAX_FROM:
            raise AuthorError(f"From is longer than {MAX_FROM} octets")  # noqa: TRY301
        for value in fields:
            one = _read(value)
            found += one.listed + one.beside
            problem = problem or one.problem
    except AuthorError as error:
        problem = problem or str(error)
    # programs guess the charset of octets that are not UTF-8, each in its own way
    found = [("" if "\ufffd" in local else local, domain) for local, domain in found]
    found = list(dict.fromkeys(found))
    if len(found) > MAX_ADDRESSES:
        problem = problem or f"From has more than {MAX_ADDRESSES} addresses"
        del found[MAX_ADDRESSES:]
    domains = tuple(dict.fromkeys(domain for _, domain in found))
    mailboxes = tuple(MailAddress(*one, "@".join(one)) for one in found)
    return Author(domains, mailboxes, problem)


def _read(value: bytes) -> _Found:
    if _CONTROL.search(value):
        raise AuthorError("From has a control character")
    usual = _USUAL.match(value.strip(SPACE.encode()))
    if usual and bool(usual[3]) == (b"<" in value) and not _ENCODED_OR_AT.search(value):
        return _Found([(usual[1].decode("ascii"), _domain(usual[2].decode("ascii")))])
    # RFC 6532 section 3. A name in another encoding does no harm, in a domain it is an error.
    text = value.decode("utf-8", "replace")
    try:
        found = _grammatical(text)
    except GrammarError as error:
        found = _Found(_one_address(text))
        if not found.listed:
            raise AuthorError(str(error)) from error
    return found


def _domain(name: str) -> str:
    try:
        domain = to_alabels(name)
    except DomainError as error:
        raise AuthorError(f"From: {error}") from error
    if not name.isascii() and not _JOINER.sub("", name).isprintable():
        # UTS #46 leaves such characters out; to some programs they are white space or an end
        raise AuthorError(f"From: a domain with an invisible character: {name[:60]!a}")
    if _HYPHEN_AT_END.search(domain):
        # RFC 1123 section 2.1; some programs leave the hyphen out
        raise AuthorError(f"From: not a host name: {domain!a}")
    return domain


def _grammatical(text: str) -> _Found:
    """Parse a field by the grammar, and find other text that looks like an address.

    Raises `GrammarError`.
    """
    found = _Found([])
    read: set[int] = set()
    names: list[range] = []
    harmless: list[range] = []
    is_odd = False
    for member in members(text):
        is_odd = is_odd or any(map(_is_misread, member.tokens))
        address, name = address_of(member)
        if address is None:
            continue
        found.listed.append((_plain(address.local), _domain(address.domain)))
        read.add(address.at)
        if is_plain_name(name):
            names.append(range(name[0].start, name[-1].end))
        harmless += _harmless(member, name)
    words = list(encoded_words(text))
    runs = neighbours(text, words)
    if any(_may_hide_address(word) for part in (words, runs) for word in _outside(names, part)):
        found.unclear = "From has an encoded word that may hide an address"
    if is_odd or any(word.may_show(_STRUCTURE) for word in words):
        harmless = []
    ats = (Token("@", match.start()) for match in _AT.finditer(text))
    try:
        for at in _outside(harmless, ats):
            if at.start not in read:
                found.beside += _address_at(text, at.start)
    except AuthorError as error:
        found.unclear = str(error)
    return found


def _may_hide_address(word: EncodedWord) -> bool:
    """Return whether programs that decode a field before parsing it may find an address."""
    if word.may_show(_ATS):
        return True
    comment = f"({word.text})"  # if it stands in one, it may not end it
    return word.may_show(")\\") and end_of_comment(comment, 0) != len(comment)


def _harmless(member: Member, name: Sequence[Token]) -> Iterator[range]:
    """Yield the ranges where no program reads "@" as an address: quoted strings in a name, and
    comments."""
    end = name[-1].end if name else 0
    for token in member.tokens:
        if token.is_comment or (token.text[0] == '"' and token.end <= end):
            yield range(token.start, token.end)


def _is_misread(token: Token) -> bool:
    """Return whether programs may disagree about the end of a comment or quoted string."""
    if token.is_comment:
        return bool(_ODD_IN_COMMENT.search(token.text))
    return token.text[0] == '"' and bool(_ODD_IN_QUOTES.search(_WHOLE_WORD.sub("", token.text)))


def _one_address(text: str) -> list[tuple[str, str]]:
    """Read a field that is not a valid list of mailboxes, if it has at most one address.

    Empty if there might be two, or another end of the domain.
    """
    ats = [match.start() for match in _AT.finditer(text)]
    if len(ats) != 1 or not (tail := _TAIL.match(text, ats[0] + 1)):
        return []
    if tail["words"] and text.count("<") != 1:
        return []
    if not text[tail.end("domain") - 1].isascii():
        return []  # some programs truncate such a domain at the end of ASCII
    words = list(encoded_words(text))
    if any(map(_may_hide_address, (*words, *neighbours(text, words)))):
        return []
    found = list(_address_at(text, ats[0]))
    if text.count("<") > 1 or ("<" not in text and ">" in text):
        # some programs read more of the text as the local part
        found.append(("", found[-1][1]))
    return found if found[0][0] else []


def _outside(ranges: Sequence[range], items: Iterable[_Item]) -> Iterator[_Item]:
    """Yield the items that are in none of the `ranges`; both are in the order of the text."""
    position = 0
    for item in items:
        while position < len(ranges) and ranges[position].stop < item.end:
            position += 1
        if position == len(ranges) or item.start < ranges[position].start:
            yield item


def _address_at(text: str, at: int) -> Iterator[tuple[str, str]]:
    """Yield the address whose "@" is at `at`, in text where the grammar has none.

    One without local part follows if programs may disagree about the local part.
    """
    match = _DOMAIN.match(text, at + 1)
    if match is None:
        raise AuthorError("From has an '@' that programs read in different ways")
    domain = _domain(match[0])
    start = at
    while start and text[start - 1] not in _NO_LOCAL:
        start -= 1
    local = text[start:at]
    while start and text[start - 1] in SPACE:
        start -= 1
    if local.startswith("'") and text.startswith("'", match.end()):
        local = local[1:]
    if "=?" in local or "?=" in local or not local.isprintable():
        raise AuthorError("From has an address that programs read in different ways")
    if local:
        yield local, domain
    if not local or text[start - 1 : start] not in _BEFORE_AN_ADDRESS:
        yield "", domain


def _plain(local: str) -> str:
    if not _QUOTED.fullmatch(local):
        return local
    # RFC 5321 section 4.1.2: quotes that are not needed mean nothing
    content = _ESCAPED.sub(r"\1", local[1:-1])
    return content if _DOT_ATOM.fullmatch(content) else local
