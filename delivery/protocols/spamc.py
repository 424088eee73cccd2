"""SPAMC, the protocol of SpamAssassin's spamd, the client side (spamd/PROTOCOL).

A connection carries one request. spamd closes it after its answer, so an answer that lacks its end
means that spamd died, and is an error.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from delivery.protocols.head_reader import HeadReader
from delivery.scan import ScanResult
from gatepost.peer.errors import PeerError

MAX_LINE: Final = 1024
"""Octets of a status line or a header line."""
MAX_LINES: Final = 50
"""Header lines of an answer."""
MAX_BODY: Final = 64 * 1024
"""Octets of the list of rules: a message hits some tens of them."""
MAX_SYMBOLS: Final = 200
"""Rules that are kept."""

_STATUS: Final = re.compile(rb"SPAMD/\d{1,3}\.\d{1,3} (\d{1,5}) ([\x20-\x7e]*)\Z")
_SPAM: Final = re.compile(
    r"(True|Yes|False|No) ; (-?\d{1,9}(?:\.\d{1,9})?) / (-?\d{1,9}(?:\.\d{1,9})?)\s*\Z",
    re.IGNORECASE,
)
_SYMBOL: Final = re.compile(r"[A-Za-z0-9_]{1,100}\Z")
_USER: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+=@-]{0,400}\Z")


class SpamdAnswer(NamedTuple):
    """An answer of spamd; `headers` have names in lower case."""

    code: int
    word: str
    headers: dict[str, str]
    body: bytes

    def scan_result(self) -> ScanResult:
        """Return the result of SYMBOLS; raises `PeerError` if this is none.

        An error status never counts as a score.
        """
        if self.code:
            raise PeerError(f"it answers {self.code} {self.word}"[:200])
        found = _SPAM.match(self.headers.get("spam", ""))
        if found is None:
            raise PeerError("its answer has no score")
        score, required = float(found[2]), float(found[3])
        words = re.split(r"[,\s]+", self.body.decode("ascii", "replace"))
        symbols = tuple(word for word in words if _SYMBOL.match(word))[:MAX_SYMBOLS]
        return ScanResult(score, required, symbols, found[1].lower() in ("true", "yes"))


def symbols_request(user: str, size: int) -> bytes:
    """Return the head of a request for the score and rules of a message of `size` octets.

    `user` is a mailbox with data of its own, or empty. Raises `ValueError` for a name that could
    not be read back as it is.
    """
    lines = ["SYMBOLS SPAMC/1.5"]
    if user:
        if not _USER.match(user):
            raise ValueError(f"{user[:80]!a} is not a user of spamd")
        lines.append(f"User: {user}")
    lines.append(f"Content-length: {size}")
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("ascii")


class SpamdReader(HeadReader):
    """Reader of one answer. Octets after its end are ignored."""

    def __init__(self) -> None:
        super().__init__("an answer of spamd", _STATUS, max_line=MAX_LINE, max_lines=MAX_LINES)
        self._headers: dict[str, str] = {}

    def next_event(self) -> SpamdAnswer | None:
        """Return the answer, or None when more octets are needed; raises `PeerError`."""
        if self._is_done:
            return None
        body = self._body() if self._read_head() else None
        word = "" if self._status is None else self._status[2].decode("ascii").strip()
        if body is None and self._is_over:
            if word != "PONG":
                raise PeerError("it closed the connection without a complete answer")
            body = b""  # the answer to PING has no empty line
        if body is None or self._status is None:
            return None
        self._is_done = True
        return SpamdAnswer(int(self._status[1]), word, self._headers, body)

    def _take_header(self, name: str, value: str) -> None:
        self._headers[name] = value

    def _body(self) -> bytes | None:
        text = self._headers.get("content-length")
        if text is None:
            if len(self._buffer) > MAX_BODY:
                raise PeerError(f"an answer of more than {MAX_BODY} octets")
            return self._buffer.rest() if self._is_over else None
        if not (text.isascii() and text.isdecimal() and len(text) < 10):
            raise PeerError(f"a wrong Content-length: {text[:20]!a}")
        if int(text) > MAX_BODY:
            raise PeerError(f"an answer of more than {MAX_BODY} octets")
        return self._buffer.block(int(text))
