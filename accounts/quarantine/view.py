"""Safe view of a message: its header fields, its text and the names of its parts.

Everything is text for people. HTML is reduced to its text, with the targets of its links; nothing
of it is rendered. Characters that cannot be seen are shown as escapes. All work is bounded, and
linear in the octets that are given.
"""

from __future__ import annotations

import base64
import binascii
import html
import itertools
import quopri
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.message import Message
from typing import Final

from gatepost.printable import escape, escape_lines
from gatepost.quarantine.facts import decoded, decoded_octets, first_value
from msgauth.errors import MsgauthError
from msgauth.message import HeaderField, parse_message

MAX_OCTETS: Final = 256 << 10
"""Octets of a message that are looked at."""
MAX_FIELDS: Final = 100
"""Header fields that are shown."""
MAX_VALUE: Final = 2000
"""Characters of a value that are shown."""
MAX_TEXT: Final = 50_000
"""Characters of the text that are shown."""
MAX_MARKUP: Final = 100_000
"""Characters of HTML that are reduced to text."""
MAX_PARTS: Final = 50
"""Parts that are named."""
MAX_DEPTH: Final = 8
"""Levels of parts within parts that are looked into."""
MAX_TYPE: Final = 1000
"""Octets of a Content-Type or Content-Disposition that are read: time grows with their square."""

MAX_TAG: Final = 500
"""Characters of a tag in which a link is looked for."""

_SPACES: Final = str.maketrans({"\t": "        ", "\u00a0": " ", "\u202f": " ", "\r": ""})
# nothing is tried twice, or the time would grow with the square of the octets
_TOKEN: Final = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*+)?+([^<>]*+)>|[^<]++|<")
_HREF: Final = re.compile(r"""href\s{0,9}=\s{0,9}(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.I)
_HIDDEN: Final = frozenset({"script", "style", "head", "title"})
_BREAKS: Final = frozenset({"br", "p", "div", "tr", "li", "h1", "h2", "h3", "table", "hr"})
_BLANK_LINES: Final = re.compile(r"\n{3,}")
_NUMBER: Final = re.compile(r"&#([0-9]++)")
_BLANKS: Final = re.compile(r"[ \t\r\n]+")


@dataclass(frozen=True, slots=True)
class SeenPart:
    """A part of a message: its type, the name of its file, and the octets of it that were sent."""

    media_type: str
    name: str
    octets: int


@dataclass(frozen=True, slots=True)
class SeenMail:
    """A message as it is shown. `is_cut` tells that something was left out."""

    fields: tuple[tuple[str, str], ...]
    text: str
    is_html: bool
    """True if the text was made from HTML."""
    parts: tuple[SeenPart, ...]
    is_cut: bool


@dataclass(frozen=True, slots=True)
class _Leaf:
    media_type: str
    charset: str
    encoding: str
    name: str
    is_attached: bool
    body: bytes

    def text(self) -> str:
        return decoded_octets(_transfer_decoded(self.encoding, self.body), self.charset)


def see(octets: bytes, *, is_whole: bool = True) -> SeenMail:
    """Return the view of the beginning of a message; raises nothing, whatever the octets are."""
    given = octets[:MAX_OCTETS]
    is_cut = not is_whole or len(given) < len(octets)
    fields, body = _split(given)
    leaves = list(itertools.islice(_leaves(fields, body, 0), MAX_PARTS + 1))
    text, is_html, was_longer = _text_of(leaves)
    shown = tuple(
        (escape(one.name.decode("ascii", "replace")[:100]), _line(decoded(one.text)))
        for one in fields[:MAX_FIELDS]
    )
    parts = tuple(
        SeenPart(one.media_type, _line(one.name), len(one.body)) for one in leaves[:MAX_PARTS]
    )
    is_cut |= (
        was_longer or len(text) > MAX_TEXT or len(fields) > MAX_FIELDS or len(leaves) > MAX_PARTS
    )
    return SeenMail(shown, _lines(text[:MAX_TEXT]), is_html, parts, is_cut)


def _text_of(leaves: Sequence[_Leaf]) -> tuple[str, bool, bool]:
    """Return the plain text, or that of the HTML if there is no plain one.

    Then, whether it was HTML, and whether the end of that is missing.
    """
    found = [one for one in leaves if not one.is_attached]
    for media_type in ("text/plain", "text/html"):
        text = "\n".join(one.text() for one in found if one.media_type == media_type)
        if text.strip() and media_type == "text/html":
            return html_text(text[:MAX_MARKUP]), True, len(text) > MAX_MARKUP
        if text.strip():
            return text, False, False
    return "", False, False


def html_text(markup: str) -> str:
    """Return the text of HTML, with the targets of links in angle brackets."""
    out: list[str] = []
    hidden = ""
    target = ""
    for found in _TOKEN.finditer(markup):
        name = (found[2] or "").lower()
        if not name:
            # text, or a comment; a hidden element ends with its own tag only
            if not hidden and not found[0].startswith(("<!", "<?", "</")):
                out.append(_BLANKS.sub(" ", found[0]))
            continue
        is_end = bool(found[1])
        if hidden:
            if is_end and name == hidden:
                hidden = ""
            continue
        if name in _HIDDEN and not is_end:
            hidden = name
        elif name in _BREAKS:
            out.append("\n")
        elif name == "a":
            if is_end and target:
                out.append(f" <{target}> ")
            link = None if is_end else _HREF.search(found[3][:MAX_TAG])
            target = "" if link is None else (link[1] or link[2] or link[3] or "").strip()
        elif name == "img":
            out.append("[image]")
    text = html.unescape(_NUMBER.sub(_short_number, "".join(out)))
    lines = (line.strip() for line in text.split("\n"))
    return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip()


def _short_number(found: re.Match[str]) -> str:
    """Return a reference to a character without zeros: Python refuses numbers of 4300 digits."""
    # 99999999 is no character either
    return f"&#{found[1].lstrip('0')[:8] or '0'}"


def _leaves(fields: Sequence[HeaderField], body: bytes, depth: int) -> Iterator[_Leaf]:
    """Yield the parts that have no parts."""
    head = Message()
    for key in ("Content-Type", "Content-Disposition"):
        value = next((one.text for one in fields if one.key == key.lower().encode()), "")
        if value:
            # an escape has up to ten characters
            head[key] = escape(value[:MAX_TYPE])[:MAX_TYPE]
    try:
        media_type = head.get_content_type()
        boundary = head.get_boundary() or ""
        name = head.get_filename() or ""
        charset = head.get_content_charset("")
        is_attached = head.get_content_disposition() == "attachment"
    except (ValueError, LookupError, AttributeError, TypeError, IndexError):
        # the parser of parameters does not expect every value that may be written
        media_type, boundary, name, charset, is_attached = "application/unknown", "", "", "", False
    if media_type.startswith("multipart/") and boundary and depth < MAX_DEPTH:
        line = b"--" + boundary.encode("utf-8", "replace")[:200]
        for part in _parts(body, line):
            yield from _leaves(*_split(part), depth + 1)
        return
    yield _Leaf(
        escape(media_type[:100]),
        charset[:100],
        first_value(fields, b"content-transfer-encoding").strip().lower(),
        decoded(name),
        is_attached,
        body,
    )


def _parts(body: bytes, delimiter: bytes) -> Iterator[bytes]:
    """Yield the parts between delimiter lines (RFC 2046 section 5.1.1)."""
    pattern = re.compile(rb"(?:\A|\r\n)" + re.escape(delimiter) + rb"(--)?[ \t]*(?=\r\n|\Z)")
    begin = None
    for count, found in enumerate(pattern.finditer(body)):
        if begin is not None:
            yield body[begin : found.start()]
        begin = found.end()
        if found[1] or count > MAX_PARTS:
            return
    if begin is not None:
        yield body[begin:]


def _split(octets: bytes) -> tuple[Sequence[HeaderField], bytes]:
    try:
        # a part begins behind the line of its delimiter
        return parse_message(octets.removeprefix(b"\r\n"))
    except MsgauthError:
        return (), octets


def _transfer_decoded(encoding: str, body: bytes) -> bytes:
    """Return the octets of a part (RFC 2045 section 6); the body as it is if it is wrong."""
    try:
        match encoding:
            case "base64":
                return base64.b64decode(body.rstrip(b"=\r\n \t") + b"==")
            case "quoted-printable":
                return quopri.decodestring(body)
    except (binascii.Error, ValueError):
        pass
    return body


def _line(text: str) -> str:
    return escape(text.translate(_SPACES)[:MAX_VALUE])


def _lines(text: str) -> str:
    return escape_lines(text.translate(_SPACES))
