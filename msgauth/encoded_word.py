"""Encoded words in header fields (RFC 2047), as mail programs decode them."""

from __future__ import annotations

import base64
import binascii
import codecs
import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

MAX_ROUNDS = 3
"""Maximum times a text is decoded again if the result has encoded words."""

# RFC 2047 section 2. Programs are not strict about the characters and length of a word.
_START = re.compile(r"=\?([^?]{0,80})\?([bq])\?", re.IGNORECASE)
_CHARSET = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:+-]*[A-Za-z0-9]")
_LANGUAGE = re.compile(r"(?:[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*)?")
_HEX = re.compile(rb"=([0-9A-Fa-f]{2})")
_HALF_HEX = re.compile(rb"=(?![0-9A-Fa-f]{2})")
_SPACE = " \t\r\n"
# Stateful charsets, in which the meaning of an octet depends on those before it.
_STATEFUL = ("iso2022", "hz", "utf-7")
# Python codecs that are not charsets of mail.
_NO_CHARSET = frozenset({"idna", "punycode", "undefined", "mbcs", "oem"})


@dataclass(frozen=True, slots=True)
class EncodedWord:
    """An encoded word: its start and end in the text, and its decoded text."""

    start: int
    end: int
    text: str | None
    """None if programs may decode it differently, because of an unknown charset or invalid
    octets."""

    def may_show(self, characters: Collection[str]) -> bool:
        """Return whether its decoded text may contain one of the `characters`.

        A compatibility form of a character counts as the character (NFKC). A word that cannot be
        decoded may show anything, and so may one that has encoded words in it again and again.
        """
        text = self.text
        for _ in range(MAX_ROUNDS):
            if text is None or not characters_in(text).isdisjoint(characters):
                return True
            inner = list(encoded_words(text))
            if not inner:
                return False
            text = None if any(word.text is None for word in inner) else _joined(inner)
        return True


def encoded_words(text: str) -> Iterator[EncodedWord]:
    """Yield the encoded words in `text`, including those that are too long."""
    position = 0
    while match := _START.search(text, position):
        position = text.find("?=", match.end())
        if position < 0:
            return
        decoded = _decode(match[1], match[2].lower(), text[match.end() : position])
        position += 2
        yield EncodedWord(match.start(), position, decoded)


def neighbours(text: str, words: Sequence[EncodedWord]) -> Iterator[EncodedWord]:
    """Yield each run of two or more adjacent `words` in `text`, decoded as one.

    White space between them is not shown (RFC 2047 section 6.2). So a run may show text that none
    of its words does: an encoded word that they form together.
    """
    run: list[EncodedWord] = []
    for word in words:
        if run and text[run[-1].end : word.start].strip(_SPACE):
            yield from _as_one(run)
            run = []
        run.append(word)
    yield from _as_one(run)


def _as_one(run: list[EncodedWord]) -> Iterator[EncodedWord]:
    if len(run) > 1 and all(word.text is not None for word in run):
        yield EncodedWord(run[0].start, run[-1].end, _joined(run))


def characters_in(text: str) -> set[str]:
    """Return the characters of `text`, with compatibility forms normalized (NFKC)."""
    return set(unicodedata.normalize("NFKC", "".join(set(text))))


def _joined(words: list[EncodedWord]) -> str:
    # RFC 2047 section 6.2: nothing is shown of what stands between neighbours
    return "".join(word.text or "" for word in words)


def _decode(charset: str, encoding: str, text: str) -> str | None:
    if "=?" in text:
        return None  # some programs take a word to begin there
    try:
        octets = text.encode()
        if encoding == "b":
            octets = base64.b64decode(octets, validate=True)
        elif _HALF_HEX.search(octets):
            return None  # some programs join words before they decode them, or drop white space
        else:
            octets = _HEX.sub(lambda match: bytes.fromhex(match[1].decode()), octets)
            octets = octets.replace(b"_", b" ")
        # RFC 2231 section 5: a language may follow the charset
        name, _, language = charset.partition("*")
        if not (_CHARSET.fullmatch(name) and _LANGUAGE.fullmatch(language)):
            return None  # some programs leave out what they do not expect
        codec = codecs.lookup(name)
        if codec.name in _NO_CHARSET:
            return None
        shown = octets.decode(codec.name)
        depends = codec.name.startswith(_STATEFUL) and not _stands_alone(octets, codec.name)
    except (binascii.Error, LookupError, ValueError):
        return None
    return None if depends else shown


def _stands_alone(octets: bytes, charset: str) -> bool:
    """Return whether `octets` do not affect the decoding of those after them."""
    return (octets + b"A").decode(charset) == octets.decode(charset) + "A"
