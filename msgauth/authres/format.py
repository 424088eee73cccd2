"""Writer of Authentication-Results (RFC 8601): all findings of a message in one field.

Values come from mail, so they are quoted or replaced by "?": a line end, control character or ";"
is never copied literally. And since some readers search the field for text such as ``dmarc=pass``,
only the results themselves look like this: a property whose value has a "=" is left out, and in a
reason "=" only stays after a tag, as in ``p=reject``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from msgauth.authres.lexer import KEYWORD, AuthresError
from msgauth.fold import FOLD, fold
from msgauth.message import HeaderField
from msgauth.results import Finding

FIELD = "Authentication-Results"

MAX_VALUE = 400
"""Maximum octets of a property value: with quotes and escapes it fits into a line of 998 (RFC 5322
section 2.1.1). A longer one is left out, because part of a name is a different name."""

MAX_REASON = 300
"""Maximum characters of a reason; the rest is truncated."""

_EQUALS = "=\ufe66\uff1d\u207c\u208c"
"""Every character that is "=", or becomes one in compatibility normalization (NFKC)."""

# A tag has one or two letters, and no method has: p=, sp=, cv=, l= stay as our sentences have them.
_PAIR = re.compile(
    rf"(?<![^\s{_EQUALS}])([^\s{_EQUALS}]*)[{_EQUALS}](?=([^\w{_EQUALS}]*pass)?)", re.IGNORECASE
)
_EQUAL = re.compile(f"[{_EQUALS}]")
_TAG = re.compile(r"\W*[a-z]{1,2}\Z")

# RFC 2045 section 5.1, token
_TOKEN = re.compile(r"[!#$%&'*+.0-9A-Z^_`a-z{|}~-]+\Z")
# RFC 8601 section 2.2: [ [ local-part ] "@" ] domain-name, the local part as dot-atom
_ADDRESS = re.compile(r"[!#$%&'*+/=?.0-9A-Z^_`a-z{|}~-]*@[0-9A-Za-z_-][0-9A-Za-z._-]*\Z")


def format_field(
    authserv_id: str, findings: Iterable[Finding], *, utf8: bool = False
) -> HeaderField:
    """Return the Authentication-Results field of host `authserv_id` for `findings`.

    Without findings it says "none". `utf8` tells whether the message may have UTF-8 in its header
    (RFC 6531 SMTPUTF8); if not, characters beyond ASCII become "?".
    """
    value = format_value(authserv_id, findings, column=len(FIELD) + 2, utf8=utf8)
    return HeaderField(FIELD.encode(), f" {value}".encode())


def format_value(
    authserv_id: str, findings: Iterable[Finding], *, column: int = 1, utf8: bool = False
) -> str:
    """Return the value of the field, without leading space; see `format_field`.

    `column` is its start on the first line, for fields with a prefix, such as
    ARC-Authentication-Results (RFC 8617 section 4.1.1).
    """
    identity = _written(authserv_id, utf8=utf8)
    if not authserv_id or not identity:
        raise AuthresError("no authserv-id")
    parts = [list(_words(finding, utf8=utf8)) for finding in findings] or [["none"]]
    lines = [fold([f"{identity};"], column=column)]
    for number, words in enumerate(parts, 1):
        if number < len(parts):
            words[-1] += ";"
        lines.append(fold(words))
    return FOLD.join(lines)


def _words(finding: Finding, *, utf8: bool) -> Iterator[str]:
    """Yield the words of a finding; the line may be folded between two words."""
    yield f"{_keyword(finding.method)}={_keyword(finding.status)}"
    if finding.reason:
        # RFC 5322 section 3.2.4: a fold in a quoted string means nothing, so words may be apart
        reason = " ".join(_clean(_disarm(finding.reason[:MAX_REASON]), utf8=utf8).split())
        yield from f"reason={_quote(reason)}".split(" ")
    for item in finding.properties:
        value = _value(item.value, utf8=utf8)
        if value:
            yield f"{_keyword(item.ptype)}.{_keyword(item.name)}={value}"


def _keyword(word: str) -> str:
    if not KEYWORD.fullmatch(word):
        raise AuthresError(f"{word[:40]!a} is not a keyword")
    return word


def _value(text: str, *, utf8: bool) -> str:
    """Return the value of a property; empty if it is left out."""
    if _EQUAL.search(text):
        return ""
    return _written(text, utf8=utf8)


def _written(text: str, *, utf8: bool) -> str:
    if not text or len(text.encode("utf-8", "replace")) > MAX_VALUE:
        return ""
    if _TOKEN.match(text) or _ADDRESS.match(text):
        return text
    return _quote(_clean(text, utf8=utf8))


def _disarm(text: str) -> str:
    """Return the text of a reason in which nothing looks like a result."""
    return _PAIR.sub(_disarmed, text)


def _disarmed(pair: re.Match[str]) -> str:
    if _TAG.match(pair[1]) and pair[2] is None:
        return pair[0]
    return f"{pair[1]}?"


def _clean(text: str, *, utf8: bool) -> str:
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c.isprintable() and (utf8 or c.isascii()) else "?" for c in text)


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
