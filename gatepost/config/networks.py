"""The size of a list of networks: a list of your own networks must not contain the whole Internet.

Only publicly routed addresses count, so 10.0.0.0/8 and fc00::/7 are never too large. A list counts
as a whole: 0.0.0.0/1 and 128.0.0.0/1 together are everything, and so are the pieces of 0.0.0.0/0
without a few networks.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

IpNetwork: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_SHARE: Final = 1 / 16
"""The fraction of the public addresses of a family that nobody owns alone."""

LARGE: Final = {4: 2**24, 6: 2**108}
"""Public addresses above which a list is worth a warning: one IPv4 /8, one IPv6 /20."""

# 224.0.0.0/3 is multicast or reserved; IANA assigns 2000::/3
_PUBLIC: Final[dict[int, tuple[IpNetwork, ...]]] = {
    4: tuple(map(ipaddress.IPv4Network, ("0.0.0.0/1", "128.0.0.0/2", "192.0.0.0/3"))),
    6: (ipaddress.IPv6Network("2000::/3"),),
}
_PRIVATE: Final[tuple[IpNetwork, ...]] = tuple(
    map(
        ipaddress.IPv4Network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
            *("172.16.0.0/12", "192.168.0.0/16", "198.18.0.0/15"),
        ),
    )
)


@dataclass(frozen=True, slots=True)
class Extent:
    """The part of one address family in a list; `share` is the fraction of public addresses, 0 to
    1."""

    version: int
    addresses: int
    share: float

    @property
    def is_internet(self) -> bool:
        """Return whether the list contains more than anybody owns."""
        return self.share > MAX_SHARE

    @property
    def is_large(self) -> bool:
        """Return whether the list contains more than most owners have."""
        return self.addresses > LARGE[self.version]


def extents(networks: Iterable[IpNetwork]) -> Iterator[Extent]:
    """Measure a list for IPv4 and IPv6; an IPv4-mapped network (::ffff:0:0/96) counts as IPv4."""
    by_version: dict[int, list[IpNetwork]] = {4: [], 6: []}
    for network in networks:
        by_version[network.version].append(network)
        if isinstance(network, ipaddress.IPv6Network) and (mapped := _mapped(network)):
            by_version[4].append(mapped)
    for version, listed in by_version.items():
        total = sum(_size(public, _PRIVATE) for public in _PUBLIC[version])
        # collapsed: duplicates count once
        held = sum(
            _size(_common(network, public), _PRIVATE)
            for network in _collapse(listed)
            for public in _PUBLIC[version]
        )
        yield Extent(version, held, held / total)


def require_own(networks: tuple[IpNetwork, ...]) -> tuple[IpNetwork, ...]:
    """Return the networks; raises `ValueError` if they cover nearly the whole Internet."""
    for extent in extents(networks):
        if extent.is_internet:
            raise ValueError(
                f"this is {_percent(extent.share)} of the public IPv{extent.version} addresses: "
                "name the networks that are yours"
            )
    return networks


def too_large(networks: Iterable[IpNetwork]) -> str:
    """Return a clause with the size of an unusually large list; empty for other lists."""
    told = [
        f"{extent.addresses:,} public IPv{extent.version} addresses"
        for extent in extents(networks)
        if extent.is_large
    ]
    return " and ".join(told)


def _percent(share: float) -> str:
    return "all" if share >= 0.995 else f"{share:.0%}"


def _mapped(network: ipaddress.IPv6Network) -> ipaddress.IPv4Network | None:
    """Return the IPv4 addresses in an IPv4-mapped IPv6 network."""
    first = network.network_address.ipv4_mapped
    if first is None or network.prefixlen < 96:
        return None
    return ipaddress.IPv4Network((first, network.prefixlen - 96))


def _collapse(networks: Iterable[IpNetwork]) -> list[IpNetwork]:
    ordered = list(networks)
    return [
        *ipaddress.collapse_addresses(n for n in ordered if isinstance(n, ipaddress.IPv4Network)),
        *ipaddress.collapse_addresses(n for n in ordered if isinstance(n, ipaddress.IPv6Network)),
    ]


def _common(first: IpNetwork, second: IpNetwork) -> IpNetwork | None:
    """Return the intersection of two networks: the smaller one if one contains the other."""
    if first.version != second.version or not first.overlaps(second):
        return None
    return max(first, second, key=lambda network: network.prefixlen)


def _size(network: IpNetwork | None, holes: Iterable[IpNetwork]) -> int:
    if network is None:
        return 0
    taken = sum(_size(_common(network, hole), ()) for hole in holes)
    return network.num_addresses - taken
