"""A dictionary of records in place of DNS, for tests and for stored messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgauth.ask import NXDOMAIN, Answer, Question, Rcode, RdType


def answers_from(
    records: Mapping[tuple[str, RdType], Sequence[str] | Rcode],
) -> Callable[[Question], Answer]:
    """Return a resolver for `solve` that only knows `records`.

    A key is a name in A-labels and a type; a value is the records, written as `Answer` has them, or
    an `Rcode` for a question that fails. Case and a final dot do not matter. A name without an
    entry does not exist, unless there is one below it (RFC 8020). CNAME records are not followed
    and ``*`` has no special meaning. The mapping is read once.
    """
    answers: dict[tuple[str, str], Answer] = {}
    names: set[str] = set()
    for (name, rdtype), value in records.items():
        key = _key(name)
        if isinstance(value, Rcode):
            answers[key, rdtype] = Answer(value)
        else:
            answers[key, rdtype] = Answer(Rcode.OK, tuple(value))
        if value is not Rcode.NXDOMAIN:
            names.update(key.split(".", n)[n] for n in range(key.count(".") + 1))

    def resolve(question: Question) -> Answer:
        key = _key(question.name)
        nothing = Answer(Rcode.OK) if key in names else NXDOMAIN
        return answers.get((key, question.rdtype), nothing)

    return resolve


def _key(name: str) -> str:
    return name.lower().removesuffix(".")
