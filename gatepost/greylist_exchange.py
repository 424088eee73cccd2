"""Questions of accounts about the greylist, and the answers of policy servers, as JSON.

The policy server fetches the questions, because it talks to accounts in any case. Both sides bound
each value and make it printable.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from gatepost.journal.record import MAX_TIME, clean

PATH: Final = "/greylist/v1/exchange"
MEDIA_TYPE: Final = "application/json"
KINDS: Final = ("find", "forget")
MAX_TEXT: Final = 400
"""Characters of the text of a question."""
MAX_DOMAINS: Final = 1000
MAX_ROWS: Final = 100
"""Rows of an answer."""
MAX_OCTETS: Final = 1 << 20
"""Octets of a request or its answer: 100 rows of long addresses, or 1000 long domains."""
MAX_WAIT: Final = 25.0
"""Seconds that a request may wait for a question."""

_PART: Final = 330
_STATE: Final = 80


class ExchangeError(ValueError):
    """Something is not a question or an answer."""


class GreylistQuestion(NamedTuple):
    """A question. `domains` are those of the recipients that it is about; None for all mail."""

    id: str
    kind: str
    text: str
    domains: tuple[str, ...] | None


class GreylistRow(NamedTuple):
    """A record of the greylist.

    A record without sender and recipient is about a client as a whole. `last` is when it last
    counted, in seconds since the epoch. `state` says in a few words what happens to the next
    attempt.
    """

    client: str
    sender: str
    recipient: str
    is_client: bool
    state: str
    last: int


class GreylistAnswer(NamedTuple):
    """The answer of one policy server.

    `forgotten` is the number of records that were forgotten. `is_partial`: there are more rows than
    these, or not all were looked at. `is_hidden`: the store has only digests of names.
    """

    id: str
    instance: str
    rows: tuple[GreylistRow, ...] = ()
    forgotten: int = 0
    is_partial: bool = False
    is_hidden: bool = False
    problem: str = ""


class ExchangeRequest(NamedTuple):
    """A request of a policy server: the answers that it has, and how long it waits in seconds."""

    instance: str
    wait: float
    answers: tuple[GreylistAnswer, ...]


def encode_question(question: GreylistQuestion) -> bytes:
    """Return a question as JSON."""
    return _dumped(_question_data(question))


def decode_question(octets: bytes) -> GreylistQuestion:
    """Return the question in these octets; raises `ExchangeError`."""
    return _read_question(_loaded(octets))


def encode_answer(answer: GreylistAnswer) -> bytes:
    """Return an answer as JSON."""
    return _dumped(_answer_data(answer))


def decode_answer(octets: bytes) -> GreylistAnswer:
    """Return the answer in these octets; raises `ExchangeError`."""
    return _read_answer(_loaded(octets))


def encode_request(request: ExchangeRequest) -> bytes:
    """Return a request as JSON."""
    return _dumped(
        {
            "instance": clean(request.instance, _PART),
            "wait": request.wait,
            "answers": [_answer_data(one) for one in request.answers],
        }
    )


def decode_request(octets: bytes) -> ExchangeRequest:
    """Return the request in these octets; raises `ExchangeError`."""
    found = _loaded(octets)
    wait = found.get("wait")
    if isinstance(wait, bool) or not isinstance(wait, int | float) or not 0 <= wait <= 1000:
        raise ExchangeError("it does not say how long it waits")
    answers = tuple(_read_answer(one) for one in _list(found.get("answers"))[:20])
    instance = _text(found.get("instance"), _PART)
    return ExchangeRequest(instance, min(float(wait), MAX_WAIT), answers)


def encode_questions(questions: Sequence[GreylistQuestion]) -> bytes:
    """Return the answer to a request: the questions that are open."""
    return _dumped({"questions": [_question_data(one) for one in questions]})


def decode_questions(octets: bytes) -> list[GreylistQuestion]:
    """Return the questions in the answer to a request; raises `ExchangeError`."""
    return [_read_question(one) for one in _list(_loaded(octets).get("questions"))[:20]]


def _question_data(question: GreylistQuestion) -> dict[str, Any]:
    return {
        "id": question.id,
        "kind": question.kind,
        "text": clean(question.text, MAX_TEXT),
        "domains": None if question.domains is None else question.domains[:MAX_DOMAINS],
    }


def _read_question(found: Any) -> GreylistQuestion:
    if not isinstance(found, dict) or found.get("kind") not in KINDS:
        raise ExchangeError("it asks nothing that is known")
    domains = found.get("domains")
    return GreylistQuestion(
        _id(found),
        found["kind"],
        _text(found.get("text"), MAX_TEXT),
        None if domains is None else tuple(_text(one, _PART) for one in _list(domains)),
    )


def _answer_data(answer: GreylistAnswer) -> dict[str, Any]:
    return {
        "id": answer.id,
        "instance": clean(answer.instance, _PART),
        "rows": [
            {
                "client": clean(one.client, _PART),
                "sender": clean(one.sender, _PART),
                "recipient": clean(one.recipient, _PART),
                "is_client": one.is_client,
                "state": clean(one.state, _STATE),
                "last": one.last,
            }
            for one in answer.rows[:MAX_ROWS]
        ],
        "forgotten": answer.forgotten,
        "is_partial": answer.is_partial,
        "is_hidden": answer.is_hidden,
        "problem": clean(answer.problem, MAX_TEXT),
    }


def _read_answer(found: Any) -> GreylistAnswer:
    if not isinstance(found, dict):
        raise ExchangeError("it is not an answer")
    return GreylistAnswer(
        _id(found),
        _text(found.get("instance"), _PART),
        tuple(_read_row(one) for one in _list(found.get("rows"))[:MAX_ROWS]),
        _number(found.get("forgotten")),
        _flag(found.get("is_partial")),
        _flag(found.get("is_hidden")),
        _text(found.get("problem"), MAX_TEXT),
    )


def _read_row(found: Any) -> GreylistRow:
    if not isinstance(found, dict):
        raise ExchangeError("a row is none")
    return GreylistRow(
        _text(found.get("client"), _PART),
        _text(found.get("sender"), _PART),
        _text(found.get("recipient"), _PART),
        _flag(found.get("is_client")),
        _text(found.get("state"), _STATE),
        _number(found.get("last")),
    )


def _dumped(data: dict[str, Any]) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode("ascii")


def _loaded(octets: bytes) -> dict[str, Any]:
    if len(octets) > MAX_OCTETS:
        raise ExchangeError("it is too long")
    try:
        found = json.loads(octets)
    except (ValueError, RecursionError):
        raise ExchangeError("it is not JSON") from None
    if not isinstance(found, dict):
        raise ExchangeError("it is not an object")
    return found


def _id(found: dict[str, Any]) -> str:
    text = found.get("id")
    if not isinstance(text, str) or len(text) != 32 or not text.isalnum() or not text.isascii():
        raise ExchangeError("it has no id")
    return text


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ExchangeError("a list is none")
    return value


def _text(value: Any, length: int) -> str:
    if not isinstance(value, str):
        raise ExchangeError("a value that should be a text is none")
    return clean(value, length)


def _number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_TIME:
        raise ExchangeError("a value that should be a number is none")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ExchangeError("a value that should be true or false is neither")
    return value
