"""Delays after wrong passwords: their rule, and the state of one counter."""

from __future__ import annotations

from typing import NamedTuple

from accounts.attempt_settings import MAX_HOLD


class DelayRule(NamedTuple):
    """Number of free wrong passwords, and the first and the longest delay in seconds."""

    free: int
    first: float
    longest: float

    def wait(self, wrong: int) -> float:
        """Return the seconds between two attempts after this number of wrong passwords."""
        if wrong < self.free:
            return 0.0
        return min(self.longest, self.first * 2.0 ** min(wrong - self.free, 64))


class Seen(NamedTuple):
    """Wrong passwords of an account or a network: their number, the time of the last one, and the
    time from which the next attempt may be checked."""

    wrong: int = 0
    last: float = 0.0
    ready: float = 0.0


def wait_for(seen: Seen, now: float, rule: DelayRule) -> float:
    """Return the seconds to wait, 0 when the clock was set back."""
    wait = seen.ready - now
    return 0.0 if wait > rule.longest + MAX_HOLD else max(0.0, wait)


def reserve(seen: Seen, start: float, rule: DelayRule, under_way: int) -> Seen:
    """Return the state after admitting an attempt that is checked at `start`.

    The time of the next attempt is set at once, as if this one were wrong, so that simultaneous
    attempts wait for each other. `under_way` is their number, including this one.
    """
    return seen._replace(ready=start + rule.wait(seen.wrong + under_way))


def forget(seen: Seen, now: float, after: float) -> Seen:
    """Return an empty state if the last wrong password is older than `after`, or in the future."""
    return Seen() if seen.wrong and not -MAX_HOLD <= now - seen.last < after else seen
