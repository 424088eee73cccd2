"""Identities of clients for greylisting, which stay the same when a sender retries.

A large sender has a pool of servers and retries from another one, so greylisting by address delays
its mail for hours. A proven identity is better: the organization in the client's verified host name
(FCrDNS), if that name is its own, or the domain whose SPF record authorizes the client. Otherwise
the identity is the network of the address.

An identity is text of the form ``kind:value``.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from msgauth.address import IpAddress
from policyd.hostnames import is_own, organizational_domain


def network_identity(address: IpAddress | None, ipv4_prefix: int, ipv6_prefix: int) -> str:
    """Return ``net:192.0.2.0/24``; empty if `address` is unknown."""
    if address is None:
        return ""
    if isinstance(address, ipaddress.IPv4Address):
        return _ipv4_network(int(address) >> (32 - ipv4_prefix), ipv4_prefix)
    return _ipv6_network(int(address) >> (128 - ipv6_prefix), ipv6_prefix)


# the number of a network is found sooner than its address, whose hash is that of a text
@lru_cache(maxsize=65536)
def _ipv4_network(number: int, prefix: int) -> str:
    return f"net:{ipaddress.IPv4Network((number << (32 - prefix), prefix))}"


@lru_cache(maxsize=65536)
def _ipv6_network(number: int, prefix: int) -> str:
    return f"net:{ipaddress.IPv6Network((number << (128 - prefix), prefix))}"


@lru_cache(maxsize=65536)
def host_identity(address: IpAddress | None, client_name: str) -> str:
    """Return ``host:example.org`` for a verified host name that is the client's own, or nothing.

    A name generated from the address or from a number only shows who owns the network. All clients
    there share it, so it is no identity (see `policyd.hostnames`).
    """
    name = client_name.lower().rstrip(".")
    if not is_own(address, name):
        return ""
    return f"host:{organizational_domain(name)}"
