"""Identities of clients for greylisting, which stay the same when a sender tries again.

A large sender has a pool of servers and retries from another one, so the address alone delays its
mail for hours. What the client has proven is better: the organization whose name its address leads
to and back (FCrDNS), if that name is its own, or the domain whose SPF record permits it. Where
there is nothing of the kind it is the network of the address.

An identity is text of the form ``kind:value``.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from policyd.hostnames import is_own, organizational_domain
from policyd.match import pack_ipv4, parse_address


@lru_cache(maxsize=65536)
def network_identity(address: str, ipv4_prefix: int, ipv6_prefix: int) -> str:
    """``net:192.0.2.0/24``; empty when `address` is no IP address."""
    packed = pack_ipv4(address)
    if packed is not None and ipv4_prefix == 24:
        return f"net:{packed[0]}.{packed[1]}.{packed[2]}.0/24"
    parsed = parse_address(address)
    if parsed is None:
        return ""
    prefix = ipv4_prefix if parsed.version == 4 else ipv6_prefix
    return f"net:{ipaddress.ip_network((parsed, prefix), strict=False)}"


@lru_cache(maxsize=65536)
def host_identity(address: str, client_name: str) -> str:
    """Return ``host:example.org`` for a verified host name that is the client's own, or nothing.

    A name that is made from the address, or from a number, tells only whose network it is:
    everybody there shares it, so it is no identity (see `policyd.hostnames`).
    """
    name = client_name.lower().rstrip(".")
    if not is_own(address, name):
        return ""
    return f"host:{organizational_domain(name)}"
