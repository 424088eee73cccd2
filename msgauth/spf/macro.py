"""Parser of macros in SPF records (RFC 7208 section 7): strings with ``%{...}``."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from msgauth.errors import MsgauthError

# RFC 7208 section 7.1, macro-expand; the letters c, r and t are only allowed in explanations.
_EXPAND = (
    r"%(?:\{(?P<letter>[slodiphvcrt])(?P<digits>[0-9]*)(?P<r>r?)(?P<delimiters>[-.+,/_=]*)\}"
    r"|(?P<escape>[%_-]))"
)
_DOMAIN_TOKEN = re.compile(rf"{_EXPAND}|(?P<literal>[!-$&-~]+)", re.IGNORECASE)
_EXPLAIN_TOKEN = re.compile(rf"{_EXPAND}|(?P<literal>[ -$&-~]+)", re.IGNORECASE)
_ESCAPES = {"%": "%", "_": " ", "-": "%20"}
_ONLY_EXPLAIN = frozenset("crt")

# RFC 7208 section 7.1, domain-end: a dot and a top label that is not all digits.
_TOP_LABEL = re.compile(r"\.(?:[a-z0-9]*[a-z][a-z0-9]*|[a-z0-9]+-[a-z0-9-]*[a-z0-9])\.?\Z", re.I)
_ADDRESS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}\Z")


class MacroError(MsgauthError):
    """A string is not a macro-string or a domain-spec."""


@dataclass(frozen=True, slots=True)
class Macro:
    """One ``%{...}``: a value and its transformation (RFC 7208 section 7.1)."""

    letter: str
    """Lower-case."""
    count: int
    """The number of right-hand parts to keep; 0 keeps all."""
    reverse: bool
    delimiters: str
    escape: bool
    """Whether the letter is upper-case: the value is then URL-escaped."""

    def transform(self, value: str) -> str:
        """Return the expanded macro if its letter has the value `value`."""
        if self.count or self.reverse or self.delimiters != ".":
            parts = _split(value, self.delimiters)
            if self.reverse:
                parts.reverse()
            value = ".".join(parts[-self.count :] if self.count else parts)
        # RFC 7208 section 7.3: characters outside the unreserved set of RFC 3986
        return quote(value, safe="", errors="replace") if self.escape else value


def _split(value: str, delimiters: str) -> list[str]:
    for delimiter in delimiters[1:]:
        value = value.replace(delimiter, delimiters[0])
    return value.split(delimiters[0])


@dataclass(frozen=True, slots=True)
class MacroString:
    """A parsed macro-string: literal text and macros in their order."""

    text: str
    parts: tuple[str | Macro, ...]
    ends_in_macro: bool

    def uses(self, letter: str) -> bool:
        """Return whether expanding it needs the value of `letter` (lower-case)."""
        return any(isinstance(part, Macro) and part.letter == letter for part in self.parts)

    def expand(self, value_of: Callable[[str], str]) -> str:
        """Return the text with each macro replaced; `value_of` returns a letter's value."""
        return "".join(
            [
                part if isinstance(part, str) else part.transform(value_of(part.letter))
                for part in self.parts
            ]
        )


def parse_macro_string(text: str) -> MacroString:
    """Parse a macro-string of a record. Raises `MacroError`."""
    return _parse(text, _DOMAIN_TOKEN, explain=False)


def parse_explanation(text: str) -> MacroString:
    """Parse an explain-string, the text that exp= refers to. Raises `MacroError`."""
    return _parse(text, _EXPLAIN_TOKEN, explain=True)


def parse_domain_spec(text: str) -> MacroString:
    """Parse a domain-spec: a macro-string that ends in a top label or a macro.

    Raises `MacroError`.
    """
    spec = parse_macro_string(text)
    # Expanded text is not checked: the syntax is checked before (RFC 7208 section 7.1).
    if not spec.ends_in_macro and not _TOP_LABEL.search(text):
        if _ADDRESS.match(text):
            raise MacroError("has an address where a domain name is wanted; ip4: may be meant")
        raise MacroError("does not end in a top-level domain" if text else "has an empty domain")
    return spec


def _parse(text: str, token: re.Pattern[str], *, explain: bool) -> MacroString:
    parts: list[str | Macro] = []
    position = 0
    match = None
    while position < len(text):
        match = token.match(text, position)
        if match is None:
            what = "a broken macro" if text[position] == "%" else "a character that is not allowed"
            raise MacroError(f"has {what}")
        position = match.end()
        if match["literal"]:
            parts.append(match["literal"])
        elif match["escape"]:
            parts.append(_ESCAPES[match["escape"]])
        else:
            parts.append(_macro(match, explain=explain))
    return MacroString(text, tuple(parts), match is not None and not match["literal"])


def _macro(match: re.Match[str], *, explain: bool) -> Macro:
    letter = match["letter"].lower()
    if letter in _ONLY_EXPLAIN and not explain:
        raise MacroError(f"has the macro %{{{letter}}} outside of an explanation")
    digits = match["digits"].lstrip("0")
    if match["digits"] and not digits:
        raise MacroError("has a macro that keeps 0 parts")
    return Macro(
        letter,
        # No name has a thousand labels, so any longer number means all of them.
        int(digits) if digits and len(digits) < 4 else 0,
        bool(match["r"]),
        "".join(dict.fromkeys(match["delimiters"])) or ".",
        match["letter"].isupper(),
    )
