"""Limits on requests: a token bucket for each name, filled at a steady rate."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict

from accounts.attempts import ClientAddress

MAX_NAMES = 20_000
"""Names that are remembered; the least recently used is dropped first."""


class Buckets:
    """Buckets of `burst` permits that gain `rate` permits a second. `now` is in seconds."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, name: str, rate: float, burst: int, now: float) -> float:
        """Take a permit; returns 0, or the seconds until there is one."""
        left = self._left(name, rate, burst, now)
        self._buckets[name] = (left - 1 if left >= 1 else left, now)
        self._buckets.move_to_end(name)
        if len(self._buckets) > MAX_NAMES:
            self._buckets.popitem(last=False)
        return 0.0 if left >= 1 else (1 - left) / rate

    def owe(self, name: str, permits: int, rate: float, burst: int, now: float) -> None:
        """Take permits that may not be there yet: the next one waits until they are."""
        self._buckets[name] = (self._left(name, rate, burst, now) - permits, now)
        self._buckets.move_to_end(name)

    def wait(self, name: str, rate: float, burst: int, now: float) -> float:
        """Return the seconds until there is a permit, without taking one."""
        left = self._left(name, rate, burst, now)
        return 0.0 if left >= 1 else (1 - left) / rate

    def _left(self, name: str, rate: float, burst: int, now: float) -> float:
        left, then = self._buckets.get(name, (float(burst), now))
        # a clock that was set back changes nothing
        return min(float(burst), left + max(0.0, now - then) * rate)


def network_of(client: ClientAddress | None) -> str:
    """Return the name of a client's network: a /24 or a /64, ``local`` without an address."""
    if client is None:
        return "local"
    if isinstance(client, ipaddress.IPv6Address) and client.ipv4_mapped is not None:
        client = client.ipv4_mapped
    bits = 24 if client.version == 4 else 64
    return str(ipaddress.ip_network((client, bits), strict=False))
