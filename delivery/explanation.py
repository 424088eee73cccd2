"""Explanation of X-Spam-Status in sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

_WORDS: Final = ("Yes", "No", "Unchecked", "Skipped")
_FACT: Final = re.compile(r"\b(score|required|reason|scanned|tests)=")
_NUMBER: Final = re.compile(r"-?\d{1,9}(?:\.\d{1,9})?\Z")
_CAUSES: Final = {
    "blocked-sender": "the mailbox blocks the sender; the message was not scanned",
    "allowed-sender": "the mailbox allows the sender, and DMARC vouches for it",
    "preference": "the mailbox wants no check",
    "scanner": "the scanner did not look at it, by its own rules",
    "scanner-away": "the scanner was away for too long",
    "scanner-waits": "the scanner wanted to see it later for too long",
}


class SpamStatus(NamedTuple):
    """The facts in a value of X-Spam-Status."""

    word: str
    """Yes, No, Unchecked or Skipped."""
    score: float | None = None
    required: float | None = None
    reason: str = ""
    scanned: str = ""
    tests: tuple[str, ...] = ()


def read_status(text: str) -> SpamStatus | None:
    """Return the facts in a value; None if this proxy cannot have written it."""
    word, comma, rest = text.partition(",")
    if not comma or word.strip() not in _WORDS:
        return None
    pieces = _FACT.split(rest)
    facts = {name: value.strip() for name, value in zip(pieces[1::2], pieces[2::2], strict=True)}
    tests = re.split(r"[,\s]+", facts.get("tests", ""))
    return SpamStatus(
        word.strip(),
        _number(facts.get("score")),
        _number(facts.get("required")),
        facts.get("reason", ""),
        facts.get("scanned", ""),
        tuple(test for test in tests if test and test != "none"),
    )


def explain(status: SpamStatus | None, verdict: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield sentences about a delivered message.

    `verdict` is that of a scan now, as `delivery.learning.requests.describe` writes it, or None
    without one: it has the points and descriptions of rules, which the message itself has not.
    """
    hits = {str(hit["name"]): hit for hit in (verdict or {}).get("rules", ())}
    if status is None:
        yield "The message has no X-Spam-Status of Gatepost: it was not delivered by this proxy."
    else:
        yield from _about_delivery(status)
        yield from _about_rules(status, hits, is_known=verdict is not None)
    if verdict is not None:
        yield from _about_now(verdict, status, hits)


def _about_delivery(status: SpamStatus) -> Iterator[str]:
    match status.word:
        case "Yes":
            yield "It was filed as spam."
        case "No":
            yield "It was not filed as spam."
        case "Unchecked":
            yield "It was delivered without a scan."
        case _:
            yield "It was not to be scanned."
    if status.reason:
        yield f"The reason: {_CAUSES.get(status.reason, status.reason)}."
    if status.score is not None and status.required is not None:
        relation = "reaches" if status.score >= status.required else "is below"
        yield f"Its score of {status.score:.1f} {relation} the threshold of {status.required:.1f}."
    elif status.score is not None:
        yield f"Its score is {status.score:.1f}; the scanner has no threshold."
    if status.scanned:
        yield f"Only its first {status.scanned} octets were scanned."


def _about_rules(
    status: SpamStatus, hits: Mapping[str, Mapping[str, Any]], *, is_known: bool
) -> Iterator[str]:
    if status.score is None:
        return
    if not status.tests:
        yield "No rule hit."
        return
    yield "These rules hit:"
    for name in sorted(status.tests, key=lambda name: -abs(_points(hits.get(name)))):
        yield f"  {_rule(name, hits.get(name))}"
    if not is_known:
        yield "Their points and descriptions are not known without a scan."
    elif missing := [name for name in status.tests if name not in hits]:
        names = ", ".join(missing)
        yield f"The points of {names} are not known: they do not hit any more."


def _about_now(
    verdict: Mapping[str, Any], status: SpamStatus | None, hits: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    where = "Junk" if verdict["junk"] else "INBOX"
    if verdict["score"] is None:
        cause = str(verdict["cause"])
        yield f"Delivered now, it would go to {where}: {_CAUSES.get(cause, cause)}."
        return
    limit = verdict["threshold"]
    compared = f" with a threshold of {limit:.1f}" if limit is not None else ""
    score = f"{verdict['score']:.1f}"
    yield f"Scanned now, it has a score of {score}{compared}: it would go to {where}."
    if verdict["cause"]:
        yield f"The reason: {_CAUSES.get(str(verdict['cause']), str(verdict['cause']))}."
    yield f"The data are those of {_owner(str(verdict['scanned_as']))}."
    earlier = set(status.tests) if status is not None else set()
    if new := [name for name in hits if name not in earlier]:
        yield "These rules hit now:" if not earlier else "These rules hit now, and did not then:"
        for name in sorted(new, key=lambda name: -abs(_points(hits[name]))):
            yield f"  {_rule(name, hits[name])}"


def _owner(user: str) -> str:
    return "the site" if user in ("", "site@site") else user


def _rule(name: str, hit: Mapping[str, Any] | None) -> str:
    if hit is None:
        return name
    text = f": {hit['description']}" if hit["description"] else ""
    return f"{_points(hit):+.1f} {name}{text}"


def _points(hit: Mapping[str, Any] | None) -> float:
    return 0.0 if hit is None else float(hit["points"])


def _number(text: str | None) -> float | None:
    return float(text) if text is not None and _NUMBER.match(text) else None
