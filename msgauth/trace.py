"""A record of a lookup: its questions, their answers and its findings, in order.

It shows why a message passed or failed. It costs nothing if it is not used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from msgauth.ask import Answer, Lookup, Question, Rcode
from msgauth.results import Finding

T = TypeVar("T")

MAX_EVENTS: Final = 1000
"""Maximum events of one trace. The limits of the methods allow some hundred questions per
message."""

MAX_SHOWN: Final = 200
"""Maximum characters of a record or reason in a line."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One question with its answer.

    `step` is the method that asked, as in Authentication-Results, or empty. `seconds` is the time
    that the answer took; None without a clock.
    """

    step: str
    question: Question
    answer: Answer
    seconds: float | None = None

    def __str__(self) -> str:
        if self.answer.rcode is not Rcode.OK:
            answer = self.answer.rcode.value
        else:
            answer = " | ".join(map(_shown, self.answer.records)) or "no such records"
        time = "" if self.seconds is None else f" ({self.seconds:.3f} s)"
        question = f"{_shown(self.question.name)} {self.question.rdtype}"
        return f"{self.step or '-'} asks {question}: {answer}{time}"


@dataclass(frozen=True, slots=True)
class Found:
    """One result of a method, at the time when it was known."""

    finding: Finding

    def __str__(self) -> str:
        finding = self.finding
        reason = f": {_shown(finding.reason)}" if finding.reason else ""
        return f"{finding.method} finds {finding.status}{reason}"


class Trace:
    """A recorder for the lookups of one message.

    Pass it to `msgauth.verify`, or wrap a single lookup with `follow`. `events` has the recorded
    events in order; `left_out` counts those beyond `MAX_EVENTS`. `clock` returns the time in
    seconds, like `time.monotonic`; with it, the duration of each answer is recorded.
    """

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self._clock = clock
        self.events: list[Asked | Found] = []
        self.left_out = 0

    def follow(self, lookup: Lookup[T], step: str = "") -> Lookup[T]:
        """Return a lookup that does what `lookup` does, and records it.

        A result that is a `Finding`, or a tuple of them, is recorded as well. `step` is shown with
        each question.
        """
        try:
            question = next(lookup)
            while True:
                began = self._clock() if self._clock is not None else None
                answer = yield question
                seconds = None if self._clock is None or began is None else self._clock() - began
                self._record(Asked(step, question, answer, seconds))
                question = lookup.send(answer)
        except StopIteration as done:
            self._find(done.value)
            return done.value  # type: ignore[no-any-return]  # StopIteration is not generic

    def lines(self) -> list[str]:
        """Return a line for each event, in printable ASCII and of bounded length."""
        lines = [str(event) for event in self.events]
        if self.left_out:
            lines.append(f"{self.left_out} more were not recorded")
        return lines

    def as_data(self) -> list[dict[str, object]]:
        """Return a dictionary for each event, with JSON-compatible, untruncated values.

        A question has ``step``, ``name``, ``type``, ``rcode``, ``records``, ``ttl`` (seconds) and
        ``seconds`` (or None). A finding has ``method``, ``status``, ``reason`` and ``properties``.
        """
        return [_data(event) for event in self.events]

    def _find(self, result: object) -> None:
        for one in result if isinstance(result, tuple) else (result,):
            if isinstance(one, Finding):
                self._record(Found(one))

    def _record(self, event: Asked | Found) -> None:
        if len(self.events) < MAX_EVENTS:
            self.events.append(event)
        else:
            self.left_out += 1


def _data(event: Asked | Found) -> dict[str, object]:
    if isinstance(event, Found):
        finding = event.finding
        return {
            "method": finding.method,
            "status": finding.status.value,
            "reason": finding.reason,
            "properties": {f"{one.ptype}.{one.name}": one.value for one in finding.properties},
        }
    return {
        "step": event.step,
        "name": event.question.name,
        "type": event.question.rdtype,
        "rcode": event.answer.rcode.value,
        "records": list(event.answer.records),
        "ttl": event.answer.ttl,
        "seconds": event.seconds,
    }


def _shown(text: str) -> str:
    """Return `text` in printable ASCII, because outside text may end up on a terminal."""
    cut = text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."
    return cut if cut.isascii() and cut.isprintable() else ascii(cut)[1:-1]
