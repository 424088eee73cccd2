"""Rspamd's /checkv2, /learnspam and /learnham over HTTP, the client side.

The request is HTTP/1.0, so the answer is never chunked and ends with its length or the connection.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final, NamedTuple

from delivery.lesson import LessonClass
from delivery.protocols.head_reader import HeadReader
from delivery.scan import RuleHit, ScanResult
from gatepost.peer.errors import PeerError

MAX_LINE: Final = 8 * 1024
"""Octets of a line of the answer's header."""
MAX_LINES: Final = 100
MAX_BODY: Final = 1 << 20
"""Octets of the answer: each rule may come with its options."""
MAX_SYMBOLS: Final = 200
"""Rules that are kept."""

_STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3})(?: |\Z)")
_SYMBOL: Final = re.compile(r"[A-Za-z0-9_]{1,100}\Z")
_VALUE: Final = re.compile(r"[\x21-\x7e]{1,1000}\Z")
_SPAM_ACTIONS: Final = frozenset({"reject", "add header", "rewrite subject", "quarantine"})
_OTHER_ACTIONS: Final = frozenset({"no action", "greylist", "soft reject", "discard"})


class RspamdQuestion(NamedTuple):
    """Facts about a message besides its octets; what is empty is left out."""

    recipient: str = ""
    sender: str = ""
    queue_id: str = ""
    password: str = ""
    scores: tuple[tuple[str, float], ...] = ()
    """Scores of rules that are not those of the configuration."""


def check_request(question: RspamdQuestion, size: int) -> bytes:
    """Return the head of a request about a message of `size` octets.

    A value that cannot stand in an HTTP header is left out. Raises `ValueError` for such a
    password.
    """
    return _request("/checkv2", question, size)


def learn_request(question: RspamdQuestion, size: int, lesson: LessonClass) -> bytes:
    """Return the head of a request to learn a message; see `check_request`."""
    return _request(f"/learn{lesson.value}", question, size)


def _request(path: str, question: RspamdQuestion, size: int) -> bytes:
    fields = {
        "Rcpt": question.recipient,
        "From": question.sender,
        "Queue-Id": question.queue_id,
        "Password": question.password,
    }
    if question.password and not _VALUE.match(question.password):
        raise ValueError("the password of Rspamd has blanks or octets beyond US-ASCII")
    lines = [f"POST {path} HTTP/1.0"]
    lines += [f"{name}: {value}" for name, value in fields.items() if _VALUE.match(value)]
    if question.scores:
        settings = {"scores": dict(question.scores)}
        lines.append(f"Settings: {json.dumps(settings, separators=(',', ':'))}")
    lines += ["Content-Type: message/rfc822", f"Content-Length: {size}", ""]
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


class _HttpAnswer(HeadReader):
    """Reader of one answer. Octets after its end are ignored."""

    def __init__(self) -> None:
        super().__init__("an HTTP answer", _STATUS, max_line=MAX_LINE, max_lines=MAX_LINES)
        self._length: int | None = None

    def _answer(self) -> tuple[int, bytes] | None:
        """Return status and body, or None when more octets are needed; raises `PeerError`."""
        if self._is_done:
            return None
        body = self._body() if self._read_head() else None
        if body is None or self._status is None:
            if self._is_over:
                raise PeerError("it closed the connection without a complete answer")
            return None
        self._is_done = True
        return int(self._status[1]), body

    def _take_header(self, name: str, value: str) -> None:
        match name, value:
            case "content-length", text:
                if not (text.isascii() and text.isdecimal() and len(text) < 12):
                    raise PeerError(f"a wrong Content-Length: {text[:20]!a}")
                self._length = int(text)
            case "transfer-encoding", text if text.lower() != "identity":
                raise PeerError("an encoded answer to a request of HTTP/1.0")
            case _:
                pass

    def _body(self) -> bytes | None:
        if self._status is not None and self._status[1] == b"204":
            return b""  # RFC 9110 section 15.3.5; Rspamd announces a text all the same
        if (self._length or 0) > MAX_BODY or len(self._buffer) > MAX_BODY + MAX_LINE:
            raise PeerError(f"an answer of more than {MAX_BODY} octets")
        if self._length is not None:
            return self._buffer.block(self._length)
        return self._buffer.rest() if self._is_over else None


class RspamdReader(_HttpAnswer):
    """Reader of the answer to a check; `with_hits`: the result has a `RuleHit` for each rule."""

    def __init__(self, *, with_hits: bool = False) -> None:
        super().__init__()
        self._with_hits = with_hits

    def next_event(self) -> ScanResult | None:
        """Return the result, or None when more octets are needed; raises `PeerError`."""
        if (answer := self._answer()) is None:
            return None
        status, body = answer
        if status != 200:
            raise PeerError(f"it answers with the HTTP status {status}")
        result = read_result(body)
        return result._replace(hits=_read_hits(body, result)) if self._with_hits else result


class RspamdLearnReader(_HttpAnswer):
    """Reader of the answer to a lesson."""

    def next_event(self) -> bool | None:
        """Return whether the message was learned, False if Rspamd had nothing to learn from it.

        None when more octets are needed; raises `PeerError`.
        """
        if (answer := self._answer()) is None:
            return None
        status, body = answer
        if status == 200:
            return True
        # 208: learned before; 204: nothing new, or too few words. Older versions say 404, with the
        # reason in JSON.
        text = body.decode("utf-8", "replace")
        if status in (204, 208) or "already learned" in text:
            return False
        raise PeerError(f"it answers with the HTTP status {status}: {text[:100]!a}")


def read_result(body: bytes) -> ScanResult:
    """Return the result in the JSON of an answer; raises `PeerError`.

    Greylisting at this point would delay mail that we have accepted: such a message is accepted.
    """
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise PeerError("its answer is not JSON") from None
    if not isinstance(answer, dict):
        raise PeerError("its answer is not a JSON object")
    score = _number(answer, "score")
    # it is not there, or null, where no score rejects
    has_limit = answer.get("required_score") is not None
    required = _number(answer, "required_score") if has_limit else None
    action = answer.get("action")
    if action not in _SPAM_ACTIONS and action not in _OTHER_ACTIONS:
        raise PeerError(f"an unknown action: {str(action)[:40]!a}")
    symbols = answer.get("symbols")
    names = symbols if isinstance(symbols, dict) else {}
    kept = [name for name in names if _SYMBOL.match(name)][:MAX_SYMBOLS]
    # "discard" is never obeyed: mail that was accepted is not dropped
    is_spam = action in _SPAM_ACTIONS or action == "discard"
    # of GTUBE, Rspamd skips the other rules, and the score stays 0
    is_skipped = answer.get("is_skipped") is True
    return ScanResult(
        score,
        required,
        tuple(sorted(kept)),
        is_spam=is_spam,
        is_skipped=is_skipped and not is_spam,
        is_forced=is_skipped and is_spam,
        must_wait=action == "soft reject",
    )


def _read_hits(body: bytes, result: ScanResult) -> tuple[RuleHit, ...]:
    symbols = json.loads(body)["symbols"] if result.symbols else {}
    return tuple(_hit(name, symbols[name]) for name in result.symbols)


def _hit(name: str, facts: object) -> RuleHit:
    values = facts if isinstance(facts, dict) else {}
    points, text = values.get("score"), values.get("description")
    number = 0.0
    if isinstance(points, int | float) and not isinstance(points, bool) and abs(points) < 1e9:
        number = float(points)
    return RuleHit(name, number, text[:200] if isinstance(text, str) else "")


def _number(answer: dict[str, Any], name: str) -> float:
    value = answer.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PeerError(f"its answer has no {name}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) or abs(number) > 1e9:
        raise PeerError(f"its {name} is no usable number")
    return number
