"""A message as its octets: header fields in order, each as on the wire, and a body.

This module does not interpret fields. A field is never re-joined, re-folded or re-coded, because
the "simple" canonicalization of DKIM (RFC 6376 section 3.4.1) covers every octet of it.

The same rule for line ends applies to signing and verifying, header and body: CRLF ends a line, a
lone LF ends a line too and is read as CRLF, a lone CR is an ordinary octet. SMTP only allows CRLF
(RFC 5321 section 2.3.8); mail from a file or from Postfix's header callbacks has LF, and a relay
that repairs lone LFs turns them into CRLF, so our signatures survive that.
"""

from __future__ import annotations

import functools
import io
import re
from dataclasses import dataclass

from msgauth.errors import MsgauthError

MAX_HEADER = 8 * 1024 * 1024
"""Maximum octets of header for `parse_message`: many times Postfix's header_size_limit of
102400."""

MAX_FIELDS = 20_000
"""Maximum header fields for `parse_message`, twice as many as in the tests of hostile messages."""

_NAME_OCTETS = bytes(range(33, 127)).replace(b":", b"")
_WSP = b" \t"
# what `io.IncrementalNewlineDecoder.newlines` says of them
_WITHOUT_LONE_LF = (None, "\r\n", "\r", ("\r", "\r\n"))
# "From" and a space begin the obsolete form of the From field too, whose colon comes next
_MBOX_LINE = re.compile(rb">?From [ \t]*[^ \t:\r\n][^\r\n]*\r\n")


class MessageError(MsgauthError):
    """The header of a message exceeds a limit."""


@dataclass(frozen=True, slots=True)
class HeaderField:
    """One header field.

    `name` is the text before the colon, as on the wire; `value` is everything after it, with its
    leading space and its folds: CRLF inside, no CRLF at the end.
    """

    name: bytes
    value: bytes

    @classmethod
    def received(cls, name: bytes, value: bytes) -> HeaderField:
        """Return the field for a value with LF, CRLF or both as line ends, as received by a
        milter."""
        return cls(name, crlf(value) if b"\n" in value else value)

    @property
    def key(self) -> bytes:
        """The name for comparison: lower-case, without obsolete space before the colon."""
        return _key(self.name)

    @property
    def text(self) -> str:
        """The value unfolded and without space around it, for people and logs.

        Octets that are not UTF-8 (RFC 6532) are shown as U+FFFD.
        """
        return self.value.replace(b"\r\n", b"").strip(_WSP).decode("utf-8", "replace")

    def __bytes__(self) -> bytes:
        return b"%b:%b\r\n" % (self.name, self.value)


@functools.lru_cache(1024)
def _key(name: bytes) -> bytes:
    # called five times per field, and mail has only a few hundred names
    return name.rstrip(_WSP).lower()


def crlf(data: bytes) -> bytes:
    """Return `data` with every lone LF made CRLF; a lone CR stays as it is."""
    # The decoder of text files notes which line ends it sees, in one pass and in a third of the
    # time that counting them takes. It does not decide about a CR at the very end.
    seen = io.IncrementalNewlineDecoder(None, translate=False)
    seen.decode(data.decode("latin-1"))
    if seen.newlines in _WITHOUT_LONE_LF:
        return data
    return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def parse_message(raw: bytes) -> tuple[tuple[HeaderField, ...], bytes]:
    """Split `raw`, a whole message with CRLF or LF line ends, into its fields and its body.

    It is as tolerant as Postfix: the ``From `` line of an mbox file is skipped, and the first line
    that is neither field nor fold ends the header and begins the body, as if the empty line were
    missing. The body is returned with CRLF line ends.

    Raises `MessageError` for more than `MAX_FIELDS` fields or `MAX_HEADER` octets of header.
    """
    data = crlf(raw)
    fields: list[HeaderField] = []
    start = 0
    if _MBOX_LINE.match(data):
        start = data.find(b"\r\n") + 2
    while start < len(data):
        end = _field_end(data, start)
        if end > MAX_HEADER:
            raise MessageError(f"the header is longer than {MAX_HEADER} octets")
        line = data[start:end]
        name, colon, value = line.partition(b":")
        if not colon or not _is_name(name):
            break
        if len(fields) == MAX_FIELDS:
            raise MessageError(f"the header has more than {MAX_FIELDS} fields")
        fields.append(HeaderField(name, value))
        start = end + 2
    body = data[start:]
    return tuple(fields), body.removeprefix(b"\r\n")


def _field_end(data: bytes, start: int) -> int:
    """Return where the field that begins at `start` ends, before its CRLF."""
    end = data.find(b"\r\n", start)
    while 0 <= end < MAX_HEADER and data[end + 2 : end + 3] in (b" ", b"\t"):
        end = data.find(b"\r\n", end + 2)
    return end if end >= 0 else len(data)


def _is_name(name: bytes) -> bool:
    # RFC 5322 section 3.6.8: printable US-ASCII without the colon; WSP before the colon is the
    # obsolete form of section 4.5, which is still seen
    name = name.rstrip(_WSP)
    return bool(name) and not name.translate(None, _NAME_OCTETS)
