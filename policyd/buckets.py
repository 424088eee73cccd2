"""Token buckets and sets of recent things: limits decided without clock and store.

A bucket of `limit` tokens fills up again evenly within `period` seconds, so it allows a burst of
`limit` and, in the long run, `limit` in each `period`. What is kept is text: ``tokens time``.
Times are seconds since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from policyd.stores import Entry

CLOCK_STEP = 60.0
"""Seconds by which a bucket may be of the future because the clocks of servers differ. What is
further ahead was written before a clock was set back."""


@dataclass(frozen=True, slots=True)
class Rate:
    """`limit` tokens in `period` seconds."""

    limit: int
    period: float


class Bucket(NamedTuple):
    """How many tokens there were, and when."""

    tokens: float
    time: float


def refill(bucket: Bucket | None, now: float, rate: Rate) -> Bucket:
    """The bucket as it is now; a new one is full.

    A clock that was set back fills nothing, and from then on it fills as before. With servers whose
    clocks differ, the one that is ahead counts: no second fills a bucket twice.
    """
    if bucket is None:
        return Bucket(float(rate.limit), now)
    passed = now - bucket.time
    if passed < 0:
        return bucket._replace(time=now) if is_ahead(bucket, now) else bucket
    tokens = bucket.tokens + passed * rate.limit / rate.period
    return Bucket(min(tokens, float(rate.limit)), now)


def is_ahead(bucket: Bucket, now: float) -> bool:
    """Whether the clock was set back since the bucket was written: it has to be written anew."""
    return bucket.time - now > CLOCK_STEP


def take(bucket: Bucket | None, now: float, rate: Rate, cost: int) -> tuple[Bucket, bool]:
    """The bucket afterwards, and whether it had `cost` tokens; when not, none are taken."""
    bucket = refill(bucket, now, rate)
    if bucket.tokens + 1e-9 < cost:
        return bucket, False
    return bucket._replace(tokens=max(0.0, bucket.tokens - cost)), True


def wait_for(bucket: Bucket, rate: Rate, cost: int) -> float:
    """Seconds until the bucket has `cost` tokens; for a cost above the limit, until it is full."""
    missing = min(cost, rate.limit) - bucket.tokens
    return max(0.0, missing * rate.period / rate.limit)


def bucket_entry(bucket: Bucket, rate: Rate) -> Entry:
    """A bucket as an entry: when it is full again, it says nothing more."""
    full_at = bucket.time + (rate.limit - bucket.tokens) * rate.period / rate.limit
    return Entry(f"{bucket.tokens:.6f} {bucket.time:.3f}", int(full_at) + 1)


def read_bucket(entry: Entry | None) -> Bucket | None:
    """The bucket of an entry; None for none, and for what no Gatepost wrote."""
    if entry is None:
        return None
    try:
        tokens, time = entry.value.split(" ")
        return Bucket(float(tokens), float(time))
    except ValueError:
        return None


class Recent(NamedTuple):
    """Different things, and when each was last seen."""

    items: tuple[tuple[str, int], ...] = ()


def note_recent(recent: Recent, item: str, now: int, period: float, bound: int) -> Recent:
    """`recent` with `item`, without what is older than `period`, the latest `bound` things."""
    kept = [(name, time) for name, time in recent.items if name != item and now - time < period]
    return Recent((*kept, (item, now))[-bound:])


def recent_entry(recent: Recent, now: int, period: float) -> Entry:
    """The set as an entry: ``item=time`` separated by blanks; items have neither."""
    text = " ".join(f"{name}={time}" for name, time in recent.items)
    return Entry(text, now + int(period) + 1)


def read_recent(entry: Entry | None) -> Recent:
    """The set of an entry; empty for none, and for what no Gatepost wrote."""
    if entry is None or not entry.value:
        return Recent()
    try:
        pairs = [part.rpartition("=") for part in entry.value.split(" ")]
        items = tuple((name, int(time)) for name, _, time in pairs)
        return Recent(items) if all(name for name, _ in items) else Recent()
    except ValueError:
        return Recent()
