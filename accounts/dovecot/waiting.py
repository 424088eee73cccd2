"""Waiting kicks for one Dovecot server: none is lost, and their number is bounded."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable
from typing import Final

from accounts.dovecot.rights import EVERYBODY, everybody_of

MAX_WAITING: Final = 5000
"""Maximum number of waiting masks. Beyond it, those of the domain with the most become one."""
AGAIN: Final = 10.0
"""Seconds after which a kick is repeated: a login whose password was checked before the change may
have ended after the first kick. A login takes at most 9.5 s (`login_timeout`)."""


class Waiting:
    """Masks of users to kick. `now` is in seconds and never goes back."""

    def __init__(self, limit: int = MAX_WAITING) -> None:
        self._limit = limit
        self._first: OrderedDict[str, None] = OrderedDict()
        self._second: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._first) + len(self._second)

    def add(self, mask: str, now: float, *, repeat: bool) -> None:
        """Add a mask; with `repeat`, for two kicks."""
        self._first[mask] = None
        if repeat:
            self._second.pop(mask, None)
            self._second[mask] = now + AGAIN
        if len(self._first) > self._limit:
            self._first = OrderedDict.fromkeys(_fewer(self._first, self._limit))
        if len(self._second) > self._limit:
            masks = _fewer(self._second, self._limit)
            self._second = OrderedDict.fromkeys(masks, now + AGAIN)

    def take(self, limit: int, now: float) -> list[str]:
        """Take masks that are due."""
        taken: list[str] = []
        while self._first and len(taken) < limit:
            taken.append(self._first.popitem(last=False)[0])
        while self._second and len(taken) < limit and next(iter(self._second.values())) <= now:
            mask, _ = self._second.popitem(last=False)
            if mask not in taken:
                taken.append(mask)
        return taken

    def put_back(self, masks: Iterable[str], now: float) -> None:
        """Return masks that could not be kicked to the queue."""
        for mask in masks:
            self.add(mask, now, repeat=False)

    def due_in(self, now: float) -> float | None:
        """Return the seconds until a mask is due; None if none waits."""
        if self._first:
            return 0.0
        if self._second:
            return max(0.0, next(iter(self._second.values())) - now)
        return None


def _fewer(masks: Iterable[str], limit: int) -> list[str]:
    """Return masks that match the same users and more: at most half of `limit`."""
    by_domain: dict[str, list[str]] = {}
    for mask in masks:
        by_domain.setdefault(mask.rpartition("@")[2], []).append(mask)
    sizes = Counter({domain: len(of_domain) for domain, of_domain in by_domain.items()})
    left = sum(sizes.values())
    for domain, size in sizes.most_common():
        if left <= limit // 2:
            break
        by_domain[domain] = [everybody_of(domain)] if domain != EVERYBODY else [EVERYBODY]
        left -= size - 1
    if left > limit // 2:
        return [EVERYBODY]
    return [mask for of_domain in by_domain.values() for mask in of_domain]
