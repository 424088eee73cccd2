"""SPAMC, the protocol of SpamAssassin's spamd, the client side (spamd/PROTOCOL).

A connection carries one request. spamd closes it after its answer, so an answer that lacks its end
means that spamd died, and is an error.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from delivery.lesson import LessonClass
from delivery.protocols.head_reader import HeadReader
from delivery.scan import RuleHit, ScanResult
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
_RULER: Final = re.compile(r"\s*-{3,} -{3,} -{3,}\s*\Z")
_HIT: Final = re.compile(r"\s{0,8}(-?\d{1,6}(?:\.\d{1,3})?) ([A-Za-z0-9_]{1,100})(?:\s+(.*))?\Z")
_CONTINUED: Final = re.compile(r"\s{10,}(\S.*)\Z")
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
        self._require_success()
        found = _SPAM.match(self.headers.get("spam", ""))
        if found is None:
            raise PeerError("its answer has no score")
        score, required = float(found[2]), float(found[3])
        words = re.split(r"[,\s]+", self.body.decode("ascii", "replace"))
        symbols = tuple(word for word in words if _SYMBOL.match(word))[:MAX_SYMBOLS]
        return ScanResult(score, required, symbols, found[1].lower() in ("true", "yes"))

    def report(self) -> ScanResult:
        """Return the result of REPORT, with a `RuleHit` for each rule; raises `PeerError`."""
        result = self.scan_result()
        hits = read_report(self.body.decode("utf-8", "replace"))
        return result._replace(symbols=tuple(hit.name for hit in hits), hits=hits)

    def has_done(self, what: str) -> bool:
        """Return whether TELL has changed the data of the user; `what` is set or remove.

        False if spamd had nothing to do, or could not do it. Raises `PeerError`.
        """
        self._require_success()
        return "local" in re.split(r"[,\s]+", self.headers.get(f"did{what}", ""))

    def _require_success(self) -> None:
        if self.code:
            raise PeerError(f"it answers {self.code} {self.word}"[:200])


def symbols_request(user: str, size: int) -> bytes:
    """Return the head of a request for the score and rules of a message of `size` octets.

    `user` is a mailbox with data of its own, or empty. Raises `ValueError` for a name that could
    not be read back as it is.
    """
    return _request("SYMBOLS", user, size)


def report_request(user: str, size: int) -> bytes:
    """Return the head of a request for the score and a report; see `symbols_request`."""
    return _request("REPORT", user, size)


def tell_request(user: str, size: int, lesson: LessonClass | None) -> bytes:
    """Return the head of a request to learn a message, or to forget it; see `symbols_request`.

    Only the data of the user change: nothing is reported to anybody (`Set: local`).
    """
    if lesson is None:
        return _request("TELL", user, size, "Remove: local")
    return _request("TELL", user, size, f"Message-class: {lesson.value}", "Set: local")


def read_report(text: str) -> tuple[RuleHit, ...]:
    """Return the rules in a report: after a line of dashes, points, name and description."""
    hits: list[RuleHit] = []
    in_table = False
    for line in text.splitlines():
        if _RULER.match(line):
            in_table = True
        elif in_table and (found := _HIT.match(line)) and len(hits) < MAX_SYMBOLS:
            hits.append(RuleHit(found[2], float(found[1]), (found[3] or "").strip()))
        elif in_table and hits and (more := _CONTINUED.match(line)):
            last = hits[-1]
            hits[-1] = last._replace(description=f"{last.description} {more[1].strip()}".strip())
        elif in_table and not line.strip():
            break
    return tuple(hits)


def _request(verb: str, user: str, size: int, *more: str) -> bytes:
    lines = [f"{verb} SPAMC/1.5", *more]
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
            # the answers to PING, and those about errors, have no empty line
            if word != "PONG" and (self._status is None or not int(self._status[1])):
                raise PeerError("it closed the connection without a complete answer")
            body = b""
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
