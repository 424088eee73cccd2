"""Is the record of a key in DNS, and does it say what it should?

A signature whose key nobody can fetch is worse than none: it fails at every receiver. `judge`
compares a key with an answer; `Standing` remembers over time what became of a key, so that DNS
which does not answer never stops a key that was seen. Both are pure.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from gatepost.dns.authoritative import Said, ask_everywhere
from milters.keys.names import record_name
from msgauth.ask import Answer, Lookup, Rcode, ask
from msgauth.dkim.record import KeyRecord, RecordError, RevokedError, parse_key_record
from msgauth.keys import SigningKey

RETRY = 60.0
"""Seconds until a key whose record is not as it should be is looked at again."""

RETRY_UNKNOWN = 10.0
"""Seconds until DNS that did not answer is asked again: mail may leave unsigned until it does."""

MISSES = 2
"""How often in a row the record of a key that was seen must be gone before the key stops: a zone
that is just being reloaded, or a server that lags behind for a minute, is no reason."""


class Seen(enum.StrEnum):
    """What DNS says of a key."""

    PUBLISHED = "published"
    """The record is there and fits the key."""
    MISSING = "missing"
    """There is no record."""
    DIFFERENT = "different"
    """There is a record, and signatures of this key would fail with it."""
    REVOKED = "revoked"
    """The record says that the key is revoked."""
    UNKNOWN = "unknown"
    """DNS does not answer."""


@dataclass(frozen=True, slots=True)
class Publication:
    """What was seen, in a clause for people; `note` is what is odd about a record that fits."""

    seen: Seen
    reason: str = ""
    note: str = ""

    def __str__(self) -> str:
        return f"{self.seen}: {self.reason}" if self.reason else str(self.seen)


def judge(key: SigningKey, answer: Answer) -> Publication:
    """Compare a key with the TXT records at its name."""
    if answer.rcode is Rcode.TEMPFAIL:
        return Publication(Seen.UNKNOWN, getattr(answer, "why", "") or "DNS does not answer")
    if not answer.records:
        return Publication(Seen.MISSING, "there is no TXT record")
    judged = [_judge_record(key, record) for record in answer.records]
    # the best of them; the enumeration is in the order from good to bad
    best = min(judged, key=lambda publication: list(Seen).index(publication.seen))
    if best.seen is Seen.PUBLISHED and len(judged) > 1:
        # RFC 6376 section 3.6.2.2: what a verifier makes of several is undefined
        note = f"{len(judged)} TXT records stand there, and a receiver may take any of them"
        return Publication(best.seen, best.reason, note)
    return best


def _judge_record(key: SigningKey, text: str) -> Publication:
    try:
        record = parse_key_record(text)
    except RevokedError:
        return Publication(Seen.REVOKED, "the record is there with an empty p=")
    except RecordError as error:
        return Publication(Seen.DIFFERENT, f"{error}: {text[:60]!r}")
    return _judge_key_record(key, record)


def _judge_key_record(key: SigningKey, record: KeyRecord) -> Publication:
    if record.key.type != key.type:
        return Publication(
            Seen.DIFFERENT, f"the record is for {record.key.type} and the key is {key.type}"
        )
    if record.key.to_base64() != key.public_key().to_base64():
        return Publication(Seen.DIFFERENT, "the record has the public key of another private key")
    if record.hashes is not None and "sha256" not in record.hashes:
        return Publication(Seen.DIFFERENT, "h= of the record does not allow sha256")
    if not record.services & {"*", "email"}:
        return Publication(Seen.DIFFERENT, "s= of the record does not allow email")
    if record.testing:
        # RFC 6376 section 3.6.1, t=y: treated as unsigned mail where the signature fails
        return Publication(
            Seen.PUBLISHED, note="t=y in the record: receivers take the domain for one on trial"
        )
    return Publication(Seen.PUBLISHED)


def look_up(domain: str, selector: str, key: SigningKey) -> Lookup[Publication]:
    """Ask for the record of a key as any receiver does, and judge it."""
    return judge(key, (yield from ask(record_name(domain, selector), "TXT")))


@dataclass(frozen=True, slots=True)
class Sight:
    """What one name server says of a key."""

    said: Said
    publication: Publication


def look_everywhere(
    domain: str, selector: str, key: SigningKey, port: int = 53
) -> Lookup[tuple[Sight, ...]]:
    """Ask every name server that is responsible for the record; never the cache of a resolver.

    Raises `gatepost.dns.authoritative.NoServersError` when they cannot be found.
    """
    said = yield from ask_everywhere(record_name(domain, selector), "TXT", port)
    return judge_all(key, said)


def judge_all(key: SigningKey, said: Sequence[Said]) -> tuple[Sight, ...]:
    """Judge the answer of each server."""
    return tuple(Sight(one, judge(key, one.answer)) for one in said)


def summarize(sights: Sequence[Sight]) -> Publication:
    """The key as a whole: published when every server has it.

    Of one server, one address that answers is enough: a machine without IPv6 cannot reach the
    others. A server of which no address answers is one that we know nothing of.
    """
    by_server: dict[tuple[str, str], list[Publication]] = {}
    for sight in sights:
        place = (sight.said.name, sight.said.server.host)
        by_server.setdefault(place, []).append(sight.publication)
    worst = Publication(Seen.UNKNOWN, "no name server was asked")
    order = [Seen.PUBLISHED, Seen.UNKNOWN, Seen.MISSING, Seen.DIFFERENT, Seen.REVOKED]
    wholes: list[Publication] = []
    for (_, host), publications in by_server.items():
        answered = [one for one in publications if one.seen is not Seen.UNKNOWN]
        whole = max(answered or publications, key=lambda one: order.index(one.seen))
        wholes.append(Publication(whole.seen, f"at {host}: {whole.reason}", whole.note))
    if not wholes:
        return worst
    worst = max(wholes, key=lambda one: order.index(one.seen))
    if worst.seen is Seen.PUBLISHED:
        notes = sorted({whole.note for whole in wholes if whole.note})
        return Publication(Seen.PUBLISHED, note="; ".join(notes))
    return worst


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a key may sign, and what that rests on.

    `seen` is what was last known for sure, UNKNOWN while nothing was; `last` is the last look.
    `misses` counts looks in a row that contradict `seen`.
    """

    may_sign: bool
    seen: Seen
    last: Publication
    misses: int = 0

    @property
    def next_look(self) -> float | None:
        """Seconds until the next look; None: in no hurry, at the usual interval."""
        if self.last.seen is Seen.PUBLISHED:
            return None
        return RETRY_UNKNOWN if self.last.seen is Seen.UNKNOWN else RETRY


def stand(before: Standing | None, found: Publication, *, was_activated: bool) -> Standing:
    """What a look at DNS makes of the standing of a key. `before` is None at the first look.

    * It is published: it may sign.
    * DNS does not answer: nothing changes. At the first look a key signs that `gatepost keys
      activate` has seen at every name server (`was_activated`); another one waits.
    * It is not published, or no longer: it may not sign. One that was seen before gets a second
      look, unless the record says that it is revoked.
    """
    if found.seen is Seen.PUBLISHED:
        return Standing(True, Seen.PUBLISHED, found)
    if found.seen is Seen.UNKNOWN:
        if before is None:
            return Standing(was_activated, Seen.UNKNOWN, found)
        return Standing(before.may_sign, before.seen, found, before.misses)
    misses = before.misses + 1 if before is not None else 1
    if (
        before is not None
        and before.seen is Seen.PUBLISHED
        and found.seen is not Seen.REVOKED
        and misses < MISSES
    ):
        return Standing(before.may_sign, before.seen, found, misses)
    return Standing(False, found.seen, found, misses)
