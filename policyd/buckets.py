"""Token buckets and sets of recent items: limits decided without clock and store.

A bucket of `limit` tokens refills evenly within `period` seconds, so it allows a burst of `limit`
and, in the long run, `limit` in each `period`. It is stored as text: ``tokens time``. Times are
seconds since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from policyd.stores import StoreEntry

CLOCK_STEP = 60.0
"""Seconds by which a bucket may lie in the future because the clocks of servers differ. A bucket
further ahead was written before a clock was set back."""


@dataclass(frozen=True, slots=True)
class Rate:
    """`limit` tokens in `period` seconds."""

    limit: int
    period: float


class Bucket(NamedTuple):
    """A number of tokens, and the time at which it was true."""

    tokens: float
    time: float


def refill(bucket: Bucket | None, now: float, rate: Rate) -> Bucket:
    """Return the bucket as of `now`; a new one is full.

    If the clock was set back, the bucket gains nothing and then fills as before. If the clocks of
    servers differ, the fastest one counts: no second fills a bucket twice.
    """
    if bucket is None:
        return Bucket(float(rate.limit), now)
    passed = now - bucket.time
    if passed < 0:
        return bucket._replace(time=now) if is_ahead(bucket, now) else bucket
    tokens = bucket.tokens + passed * rate.limit / rate.period
    return Bucket(min(tokens, float(rate.limit)), now)


def is_ahead(bucket: Bucket, now: float) -> bool:
    """Return whether the clock was set back since the bucket was written; it must then be
    rewritten."""
    return bucket.time - now > CLOCK_STEP


def take(bucket: Bucket | None, now: float, rate: Rate, cost: int) -> tuple[Bucket, bool]:
    """Return the bucket afterwards, and whether it had `cost` tokens; if not, none are taken."""
    bucket = refill(bucket, now, rate)
    if bucket.tokens + 1e-9 < cost:
        return bucket, False
    return bucket._replace(tokens=max(0.0, bucket.tokens - cost)), True


def wait_for(bucket: Bucket, rate: Rate, cost: int) -> float:
    """Return the seconds until the bucket has `cost` tokens, or is full if the cost exceeds the
    limit."""
    missing = min(cost, rate.limit) - bucket.tokens
    return max(0.0, missing * rate.period / rate.limit)


def bucket_entry(bucket: Bucket, rate: Rate) -> StoreEntry:
    """Return the bucket as an entry that expires when the bucket is full again."""
    full_at = bucket.time + (rate.limit - bucket.tokens) * rate.period / rate.limit
    return StoreEntry(f"{bucket.tokens:.6f} {bucket.time:.3f}", int(full_at) + 1)


def read_bucket(entry: StoreEntry | None) -> Bucket | None:
    """Return the bucket of an entry; None without an entry, and for a value not written by
    Gatepost."""
    if entry is None:
        return None
    try:
        tokens, time = entry.value.split(" ")
        return Bucket(float(tokens), float(time))
    except ValueError:
        return None


class RecentItems(NamedTuple):
    """Different items, and when each was last seen."""

    items: tuple[tuple[str, int], ...] = ()


def note_recent(recent: RecentItems, item: str, now: int, period: float, bound: int) -> RecentItems:
    """Add `item` to `recent`, drop items older than `period`, and keep the latest `bound` items."""
    kept = [(name, time) for name, time in recent.items if name != item and now - time < period]
    return RecentItems((*kept, (item, now))[-bound:])


def recent_entry(recent: RecentItems, now: int, period: float) -> StoreEntry:
    """Return the set as an entry: ``item=time`` separated by blanks; items contain neither."""
    text = " ".join(f"{name}={time}" for name, time in recent.items)
    return StoreEntry(text, now + int(period) + 1)


def read_recent(entry: StoreEntry | None) -> RecentItems:
    """Return the set of an entry; empty without an entry, and for a value not written by
    Gatepost."""
    if entry is None or not entry.value:
        return RecentItems()
    try:
        pairs = [part.rpartition("=") for part in entry.value.split(" ")]
        items = tuple((name, int(time)) for name, _, time in pairs)
        return RecentItems(items) if all(name for name, _ in items) else RecentItems()
    except ValueError:
        return RecentItems()
