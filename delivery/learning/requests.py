"""Requests to the service that teaches the spam filter, and their answers.

| request | answer |
|---|---|
| ``POST /learn?user=U&class=spam``, or ``ham`` | ``learned``: false if it was known |
| ``POST /forget?user=U`` | ``forgotten``: false if it was not known |
| ``POST /reset?user=U`` | ``forgotten`` |
| ``POST /score?user=U`` | the verdict, with the rules |
| ``GET /stats?user=U`` | what the user has taught, and the mail store |

The body of the first two and of ``/score`` is a message. U is a mailbox, or ``site`` for the data
of the site. Answers are JSON objects; errors have ``error``, and those with status
503 also ``away``: true if the scanner does not answer, so that no other request would work.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

from delivery.lesson import LessonClass
from delivery.mailboxes import find_recipient
from delivery.message_delivery import DeliveryRules
from delivery.scorer import ScoreFacts, score
from delivery.trainer import NotSupportedError, Trainer, TrainingError
from delivery.user import SITE, SpamUser, safe_user
from msgauth.mail_address import MailAddress

SITE_NAME: Final = "site"
"""The name of the site's data in requests and commands."""
SOURCES: Final = frozenset({"imap", "command", "night"})
"""Words that say who teaches; they are in the ledger."""
METHODS: Final = {
    "/learn": "POST",
    "/forget": "POST",
    "/reset": "POST",
    "/score": "POST",
    "/stats": "GET",
}


class LearningAnswer(NamedTuple):
    """Status and JSON object of an answer."""

    status: HTTPStatus
    body: dict[str, Any]


class _RefusedError(Exception):
    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status


class LearningTarget(NamedTuple):
    """Path and parameters of a request."""

    path: str
    user: str = ""
    lesson: str = ""
    source: str = "command"


def read_target(method: str, target: str) -> LearningTarget | LearningAnswer:
    """Return what a request asks for, or the error as its answer."""
    try:
        parts = urlsplit(target)
    except ValueError:  # such as //[x
        return _error(HTTPStatus.BAD_REQUEST, "the path cannot be read")
    if parts.path not in METHODS:
        return _error(HTTPStatus.NOT_FOUND, "there is no such path")
    if METHODS[parts.path] != method:
        return _error(HTTPStatus.METHOD_NOT_ALLOWED, f"use {METHODS[parts.path]}")
    try:
        values = parse_qs(parts.query, strict_parsing=bool(parts.query), max_num_fields=10)
    except ValueError:
        return _error(HTTPStatus.BAD_REQUEST, "the query cannot be read")
    if any(len(several) > 1 for several in values.values()):
        return _error(HTTPStatus.BAD_REQUEST, "a parameter is given twice")
    given = {name: several[0] for name, several in values.items()}
    if unknown := given.keys() - {"user", "class", "source"}:
        return _error(HTTPStatus.BAD_REQUEST, f"unknown parameter {min(unknown)[:40]!a}")
    source = given.get("source", "command")
    if source not in SOURCES:
        return _error(HTTPStatus.BAD_REQUEST, f"source is one of {', '.join(sorted(SOURCES))}")
    return LearningTarget(parts.path, given.get("user", ""), given.get("class", ""), source)


async def answer(
    target: LearningTarget, body: bytes, rules: DeliveryRules, trainer: Trainer
) -> LearningAnswer:
    """Do what a request asks for, and return the answer."""
    try:
        return LearningAnswer(HTTPStatus.OK, await _do(target, body, rules, trainer))
    except _RefusedError as error:
        return _error(error.status, str(error))
    except NotSupportedError as error:
        return _error(HTTPStatus.NOT_IMPLEMENTED, str(error))
    except TrainingError as error:
        problem = {"error": str(error), "away": error.is_away}
        return LearningAnswer(HTTPStatus.SERVICE_UNAVAILABLE, problem)


async def _do(
    target: LearningTarget, body: bytes, rules: DeliveryRules, trainer: Trainer
) -> dict[str, Any]:
    if target.path in ("/learn", "/forget", "/score") and not body.strip():
        raise _RefusedError(HTTPStatus.BAD_REQUEST, "the body has to be a message")
    if target.path == "/score":
        if target.user not in ("", SITE_NAME):
            find_user(target.user, rules)
        name = "" if target.user == SITE_NAME else target.user
        return describe(await score(rules, name, body))
    user = find_user(target.user, rules)
    match target.path:
        case "/learn":
            lesson = _lesson(target.lesson)
            return {"learned": await trainer.learn(user, lesson, body, target.source)}
        case "/forget":
            return {"forgotten": await trainer.forget(user, body)}
        case "/reset":
            return {"forgotten": await trainer.reset(user)}
    facts = await trainer.facts(user)
    store = "" if user == SITE else find_recipient(str(user), rules.data, rules.settings).store_name
    return {
        "user": target.user,
        **facts.summary._asdict(),
        "sources": dict(facts.summary.sources),
        "is_used": facts.is_used,
        "needed": trainer.settings.spam.min_learned,
        "store": store,
    }


def find_user(text: str, rules: DeliveryRules) -> SpamUser:
    """Return the user of a request: a mailbox in a domain of accounts, or the site.

    Raises an error that becomes an answer.
    """
    if text == SITE_NAME:
        return SITE
    user = safe_user(text.lower())
    if user is None:
        raise _RefusedError(
            HTTPStatus.BAD_REQUEST, f"{text[:80]!a} is no name for which data can be kept"
        )
    known = rules.data.preferences
    if known.is_known and not known.has_domain(MailAddress.parse(str(user)).domain):
        raise _RefusedError(HTTPStatus.NOT_FOUND, f"accounts does not know {user.domain}")
    return user


def describe(facts: ScoreFacts) -> dict[str, Any]:
    """Return the fields of an answer with a verdict."""
    decision, result = facts.decision, facts.decision.result
    return {
        "verdict": decision.verdict.value,
        "junk": facts.is_junk,
        "cause": decision.cause,
        "threshold": decision.threshold,
        "score": None if result is None else result.score,
        "scanned_as": facts.scanned_as,
        "rules": [] if result is None else [hit._asdict() for hit in result.hits],
    }


def _lesson(text: str) -> LessonClass:
    try:
        return LessonClass(text)
    except ValueError:
        raise _RefusedError(HTTPStatus.BAD_REQUEST, "class is spam or ham") from None


def _error(status: HTTPStatus, text: str) -> LearningAnswer:
    return LearningAnswer(status, {"error": text})
