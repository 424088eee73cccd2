"""Replies of an LMTP server, as its client reads and passes them on."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from delivery.protocols.line_buffer import LineBuffer
from gatepost.peer.errors import PeerError

MAX_LINE: Final = 2048
"""Octets of a reply line; RFC 5321 section 4.5.3.1.5 allows 512."""
MAX_LINES: Final = 100
"""Lines of one reply."""
MAX_REPLY_TEXT: Final = 400
"""Characters of a text that is passed on."""

_LINE: Final = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?\Z", re.DOTALL)
_ENHANCED: Final = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?: |\Z)")
_UNSAFE: Final = re.compile(r"[^\x20-\x7e]+")


class StoreReply(NamedTuple):
    """One reply; `text` is that of all lines without enhanced codes, printable and bounded."""

    code: int
    enhanced: str
    """The enhanced status code (RFC 3463), or empty."""
    text: str

    @property
    def is_success(self) -> bool:
        """Return whether the server takes responsibility (RFC 5321 section 4.2.1)."""
        return 200 <= self.code <= 299

    def __bytes__(self) -> bytes:
        words = [str(self.code), self.enhanced, self.text]
        return " ".join(word for word in words if word).encode("ascii") + b"\r\n"

    def __str__(self) -> str:
        return bytes(self).decode().strip()


class ReplyReader:
    """Reader of replies of one or several lines (RFC 5321 section 4.2.1)."""

    def __init__(self) -> None:
        self._lines = LineBuffer(MAX_LINE)
        self._code = 0
        self._texts: list[str] = []

    def receive_data(self, data: bytes) -> None:
        """Take octets from the socket."""
        self._lines.receive_data(data)

    def next_reply(self) -> tuple[StoreReply, tuple[str, ...]] | None:
        """Return the next reply and the text of each of its lines, or None; raises `PeerError`."""
        while (line := self._lines.line()) is not None:
            found = _LINE.match(line)
            if found is None or (self._texts and int(found[1]) != self._code):
                raise PeerError(f"not a reply: {line[:60]!a}")
            self._code = int(found[1])
            self._texts.append((found[3] or b"").decode("utf-8", "replace"))
            if found[2] == b"-":
                if len(self._texts) >= MAX_LINES:
                    raise PeerError(f"a reply of more than {MAX_LINES} lines")
                continue
            texts, self._texts = tuple(self._texts), []
            return _reply(self._code, texts), texts
        return None


def _reply(code: int, texts: tuple[str, ...]) -> StoreReply:
    enhanced, words = "", []
    for text in texts:
        # RFC 2034 section 4: the class is the first digit of the reply
        found = _ENHANCED.match(text)
        if found is not None and found[1][0] == str(code)[0]:
            enhanced, text = found[1], text[found.end() :]
        words.append(_UNSAFE.sub(" ", text).strip())
    return StoreReply(code, enhanced, " ".join(filter(None, words))[:MAX_REPLY_TEXT])
