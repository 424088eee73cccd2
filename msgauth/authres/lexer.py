"""The lexical level of Authentication-Results (RFC 8601 section 2.2): CFWS, values, keywords."""

from __future__ import annotations

import re
from typing import Final

from msgauth.comment import end_of_comment
from msgauth.errors import MsgauthError

# RFC 2045 section 5.1: token = any CHAR but space, controls and tspecials; RFC 6532 adds UTF-8
TOKEN: Final = re.compile(r"[^\x00-\x20\x7f-\x9f()<>@,;:\\\"/\[\]?=]+")
# RFC 5321 section 4.1.2: Keyword = Ldh-str; an underscore has been seen in "x_tls" and its like
KEYWORD: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?")
QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)

_CFWS: Final = frozenset(" \t\r\n(")
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_FOLD: Final = re.compile(r"\r?\n(?=[ \t])")


class AuthresError(MsgauthError):
    """A field violates RFC 8601 section 2.2, or a value cannot be written into one."""


class Lexer:
    """A position in the text of a field, which advances as items are read."""

    def __init__(self, text: str) -> None:
        self.text = _FOLD.sub("", text)  # RFC 5322 section 2.2.3
        self.position = 0

    def at_end(self) -> bool:
        """Return whether everything has been read."""
        return self.position >= len(self.text)

    def cfws(self) -> bool:
        """Skip comments and white space (RFC 5322 section 3.2.2); return whether there were any.

        Raises `AuthresError` for a comment without an end, or too deep ones.
        """
        start = self.position
        if self.text[start : start + 1] not in _CFWS:
            return False  # as nearly always
        while True:
            self.position = _SPACE.match(self.text, self.position).end()  # type: ignore[union-attr]
            if not self.text.startswith("(", self.position):
                return self.position > start
            end = end_of_comment(self.text, self.position)
            if end is None:
                raise AuthresError("a comment without an end")
            self.position = end

    def literal(self, character: str) -> bool:
        """Take `character` if it comes next."""
        if not self.text.startswith(character, self.position):
            return False
        self.position += len(character)
        return True

    def take(self, pattern: re.Pattern[str]) -> str:
        """Take the text that matches `pattern`, or the empty string."""
        match = pattern.match(self.text, self.position)
        if match is None:
            return ""
        self.position = match.end()
        return match[0]

    def quoted(self) -> str | None:
        """Take a quoted string and return its content; None if there is none."""
        match = QUOTED.match(self.text, self.position)
        if match is None:
            return None
        self.position = match.end()
        return _ESCAPED.sub(r"\1", match[1])

    def value(self) -> str:
        """Take a value: a token or a quoted string (RFC 2045 section 5.1)."""
        quoted = self.quoted()
        if quoted is not None:
            return quoted
        token = self.take(TOKEN)
        if not token:
            raise AuthresError(f"a value is missing at {self.text[self.position :][:20]!a}")
        return token

    def expect(self, character: str) -> None:
        """Take `character`, with comments and white space around it."""
        self.cfws()
        if not self.literal(character):
            raise AuthresError(f"{character} is missing at {self.text[self.position :][:20]!a}")
        self.cfws()

    def keyword(self) -> str:
        """Take a keyword; it comes back in lower-case."""
        keyword = self.take(KEYWORD)
        if not keyword:
            raise AuthresError(f"a keyword is missing at {self.text[self.position :][:20]!a}")
        return keyword.lower()
