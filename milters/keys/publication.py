"""Check of the record of a key in DNS: is it there, and is it correct?

A signature whose key cannot be fetched is worse than none: it fails at every receiver. `judge`
compares a key with an answer; `Standing` remembers the state of a key over time, so that unanswered
queries never stop a key whose record was seen. Both are pure.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from gatepost.dns.authoritative import Said, ask_everywhere
from milters.keys.names import record_name
from msgauth.ask import Answer, Lookup, Rcode, ask
from msgauth.dkim.record import KeyRecord, KeyRecordError, RevokedError, parse_key_record
from msgauth.keys import SigningKey

RETRY = 60.0
"""Seconds until a key with an incorrect record is checked again."""

RETRY_UNKNOWN = 10.0
"""Seconds until an unanswered query is repeated: mail may be sent unsigned until then."""

MISSES = 2
"""Number of checks in a row that must miss a known record before the key stops: a zone that is
being reloaded, or a server that lags by a minute, is no reason to stop."""


class RecordStatus(enum.StrEnum):
    """The state of a key in DNS."""

    PUBLISHED = "published"
    """The record exists and matches the key."""
    MISSING = "missing"
    """There is no record."""
    DIFFERENT = "different"
    """There is a record, but signatures of this key would fail with it."""
    REVOKED = "revoked"
    """The record says that the key is revoked."""
    UNKNOWN = "unknown"
    """DNS does not answer."""


@dataclass(frozen=True, slots=True)
class Publication:
    """The result of a check, with a reason as a clause; `note` is a remark about a matching
    record."""

    seen: RecordStatus
    reason: str = ""
    note: str = ""

    def __str__(self) -> str:
        return f"{self.seen}: {self.reason}" if self.reason else str(self.seen)


def judge(key: SigningKey, answer: Answer) -> Publication:
    """Compare a key with the TXT records at its name."""
    if answer.rcode is Rcode.TEMPFAIL:
        return Publication(
            RecordStatus.UNKNOWN, getattr(answer, "why", "") or "DNS does not answer"
        )
    if not answer.records:
        return Publication(RecordStatus.MISSING, "there is no TXT record")
    judged = [_judge_record(key, record) for record in answer.records]
    # the best of them; the enumeration is ordered from good to bad
    best = min(judged, key=lambda publication: list(RecordStatus).index(publication.seen))
    if best.seen is RecordStatus.PUBLISHED and len(judged) > 1:
        # RFC 6376 section 3.6.2.2: the result with several records is undefined
        note = f"{len(judged)} TXT records exist, and a receiver may use any of them"
        return Publication(best.seen, best.reason, note)
    return best


def _judge_record(key: SigningKey, text: str) -> Publication:
    try:
        record = parse_key_record(text)
    except RevokedError:
        return Publication(RecordStatus.REVOKED, "the record exists with an empty p=")
    except KeyRecordError as error:
        return Publication(RecordStatus.DIFFERENT, f"{error}: {text[:60]!r}")
    return _judge_key_record(key, record)


def _judge_key_record(key: SigningKey, record: KeyRecord) -> Publication:
    if record.key.type != key.type:
        return Publication(
            RecordStatus.DIFFERENT, f"the record is for {record.key.type} but the key is {key.type}"
        )
    if record.key.to_base64() != key.public_key().to_base64():
        return Publication(
            RecordStatus.DIFFERENT, "the record has the public key of a different private key"
        )
    if record.hashes is not None and "sha256" not in record.hashes:
        return Publication(RecordStatus.DIFFERENT, "h= of the record does not allow sha256")
    if not record.services & {"*", "email"}:
        return Publication(RecordStatus.DIFFERENT, "s= of the record does not allow email")
    if record.testing:
        # RFC 6376 section 3.6.1, t=y: treated as unsigned mail if the signature fails
        return Publication(
            RecordStatus.PUBLISHED,
            note="t=y in the record: receivers treat the domain as testing DKIM",
        )
    return Publication(RecordStatus.PUBLISHED)


def look_up(domain: str, selector: str, key: SigningKey) -> Lookup[Publication]:
    """Query the record of a key as any receiver does, and judge it."""
    return judge(key, (yield from ask(record_name(domain, selector), "TXT")))


@dataclass(frozen=True, slots=True)
class Sight:
    """The answer of one name server about a key."""

    said: Said
    publication: Publication


def look_everywhere(
    domain: str, selector: str, key: SigningKey, port: int = 53
) -> Lookup[tuple[Sight, ...]]:
    """Query every authoritative name server of the record, never the cache of a resolver.

    Raises `gatepost.dns.authoritative.NoServersError` when they cannot be found.
    """
    said = yield from ask_everywhere(record_name(domain, selector), "TXT", port)
    return judge_all(key, said)


def judge_all(key: SigningKey, said: Sequence[Said]) -> tuple[Sight, ...]:
    """Judge the answer of each server."""
    return tuple(Sight(one, judge(key, one.answer)) for one in said)


def summarize(sights: Sequence[Sight]) -> Publication:
    """Return the state of the key as a whole: published if every server has the record.

    One answering address per server is enough: a machine without IPv6 cannot reach the others. If
    no address of a server answers, its state is unknown.
    """
    by_server: dict[tuple[str, str], list[Publication]] = {}
    for sight in sights:
        place = (sight.said.name, sight.said.server.host)
        by_server.setdefault(place, []).append(sight.publication)
    worst = Publication(RecordStatus.UNKNOWN, "no name server was queried")
    order = [
        RecordStatus.PUBLISHED,
        RecordStatus.UNKNOWN,
        RecordStatus.MISSING,
        RecordStatus.DIFFERENT,
        RecordStatus.REVOKED,
    ]
    wholes: list[Publication] = []
    for (_, host), publications in by_server.items():
        answered = [one for one in publications if one.seen is not RecordStatus.UNKNOWN]
        whole = max(answered or publications, key=lambda one: order.index(one.seen))
        wholes.append(Publication(whole.seen, f"at {host}: {whole.reason}", whole.note))
    if not wholes:
        return worst
    worst = max(wholes, key=lambda one: order.index(one.seen))
    if worst.seen is RecordStatus.PUBLISHED:
        notes = sorted({whole.note for whole in wholes if whole.note})
        return Publication(RecordStatus.PUBLISHED, note="; ".join(notes))
    return worst


@dataclass(frozen=True, slots=True)
class Standing:
    """Permission of a key to sign, and the evidence for it.

    `seen` is the last certain state, or UNKNOWN; `last` is the last check. `misses` counts checks
    in a row that contradict `seen`.
    """

    may_sign: bool
    seen: RecordStatus
    last: Publication
    misses: int = 0

    @property
    def next_look(self) -> float | None:
        """Return the seconds until the next check; None for the usual interval."""
        if self.last.seen is RecordStatus.PUBLISHED:
            return None
        return RETRY_UNKNOWN if self.last.seen is RecordStatus.UNKNOWN else RETRY


def stand(before: Standing | None, found: Publication, *, was_activated: bool) -> Standing:
    """Update the standing of a key after a check. `before` is None at the first check.

    * Published: it may sign.
    * DNS does not answer: nothing changes. At the first check, a key may sign if `gatepost keys
    activate` has seen its record at every name server (`was_activated`); others wait.
    * Not published, or no longer: it may not sign. A key that was seen before gets a second check,
    unless the record says that it is revoked.
    """
    if found.seen is RecordStatus.PUBLISHED:
        return Standing(True, RecordStatus.PUBLISHED, found)
    if found.seen is RecordStatus.UNKNOWN:
        if before is None:
            return Standing(was_activated, RecordStatus.UNKNOWN, found)
        return Standing(before.may_sign, before.seen, found, before.misses)
    misses = before.misses + 1 if before is not None else 1
    if (
        before is not None
        and before.seen is RecordStatus.PUBLISHED
        and found.seen is not RecordStatus.REVOKED
        and misses < MISSES
    ):
        return Standing(before.may_sign, before.seen, found, misses)
    return Standing(False, found.seen, found, misses)
