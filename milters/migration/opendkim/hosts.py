"""Converter of opendkim's lists of hosts (InternalHosts, PeerList) to networks."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from gatepost.config.networks import IpNetwork
from milters.keys.tables.dataset import DataSetEntry
from milters.keys.tables.errors import OpendkimError

MAX_PIECES = 2000
"""Maximum number of networks that exceptions may cut a list into."""

_LOCAL_NAMES = {"localhost", "localhost.localdomain", "localhost4", "localhost6", "ip6-localhost"}
_LOOPBACK = (ipaddress.ip_network("127.0.0.1"), ipaddress.ip_network("::1"))


class _TooManyPiecesError(Exception):
    pass


@dataclass(frozen=True, slots=True)
class Hosts:
    """The networks of a list, and the entries that are no networks."""

    networks: tuple[IpNetwork, ...]
    names: tuple[DataSetEntry, ...]
    """Host and domain names, which cannot be compared with an address."""
    nonsense: tuple[DataSetEntry, ...]


def parse_hosts(entries: Sequence[DataSetEntry]) -> Hosts:
    """Return the networks that a list covers.

    An entry with ``!`` is an exception, and the more specific entry counts, as in opendkim. Raises
    `OpendkimError` if the result has more than `MAX_PIECES` networks.
    """
    rules: list[tuple[IpNetwork, bool]] = []
    names: list[DataSetEntry] = []
    nonsense: list[DataSetEntry] = []
    for entry in entries:
        is_in, text = not entry.key.startswith("!"), entry.key.removeprefix("!").strip()
        if text.lower() in _LOCAL_NAMES:
            rules += [(network, is_in) for network in _LOOPBACK]
            continue
        network = _parse_network(text)
        if network is not None:
            rules.append((network, is_in))
        elif _is_name(text):
            names.append(entry)
        else:
            nonsense.append(entry)
    try:
        networks = _apply(rules)
    except _TooManyPiecesError:
        raise OpendkimError(
            entries[0].place, f'exceptions ("!") cut the list into more than {MAX_PIECES} networks'
        ) from None
    return Hosts(networks, tuple(names), tuple(nonsense))


def _parse_network(text: str) -> IpNetwork | None:
    address, slash, prefix = text.partition("/")
    bare = address.removeprefix("[").removesuffix("]")
    try:
        # not strict: 192.0.2.1/24 is 192.0.2.0/24 in opendkim
        network = ipaddress.ip_network(f"{bare}/{prefix}" if slash else bare, strict=False)
    except ValueError:
        return None
    if isinstance(network, ipaddress.IPv6Network):
        mapped = network.network_address.ipv4_mapped
        if mapped is not None and network.prefixlen >= 96:
            return ipaddress.ip_network(f"{mapped}/{network.prefixlen - 96}", strict=False)
    return network


def _is_name(text: str) -> bool:
    bare = text.removeprefix(".").removeprefix("*.")
    return (
        bool(bare)
        and all(
            label and label.replace("-", "").replace("_", "").isalnum() for label in bare.split(".")
        )
        and not bare.replace(".", "").isdecimal()
    )


def _apply(rules: list[tuple[IpNetwork, bool]]) -> tuple[IpNetwork, ...]:
    networks: list[IpNetwork] = []
    for network, is_in in sorted(rules, key=lambda rule: (rule[0].prefixlen, rule[1])):
        if is_in:
            networks.append(network)
            continue
        networks = [piece for whole in networks for piece in _without(whole, network)]
        if len(networks) > MAX_PIECES:
            raise _TooManyPiecesError
    return (
        *ipaddress.collapse_addresses(n for n in networks if isinstance(n, ipaddress.IPv4Network)),
        *ipaddress.collapse_addresses(n for n in networks if isinstance(n, ipaddress.IPv6Network)),
    )


def _without(whole: IpNetwork, hole: IpNetwork) -> list[IpNetwork]:
    if isinstance(whole, ipaddress.IPv4Network) and isinstance(hole, ipaddress.IPv4Network):
        if hole.subnet_of(whole):
            return [*whole.address_exclude(hole)]
        return [] if whole.subnet_of(hole) else [whole]
    if isinstance(whole, ipaddress.IPv6Network) and isinstance(hole, ipaddress.IPv6Network):
        if hole.subnet_of(whole):
            return [*whole.address_exclude(hole)]
        return [] if whole.subnet_of(hole) else [whole]
    return [whole]
