"""Identities of clients for greylisting, which stay the same when a sender retries.

A large sender has a pool of servers and retries from another one, so greylisting by address delays
its mail for hours. A proven identity is better: the organization in the client's verified host name
(FCrDNS), if that name is its own, or the domain whose SPF record authorizes the client. Otherwise
the identity is the network of the address.

An identity is text of the form ``kind:value``.
"""

from __future__ import annotations

import ipaddress
import socket
from functools import lru_cache
from typing import NamedTuple

from msgauth.address import IpAddress
from policyd.hostnames import own_domain
from policyd.match import MAX_ADDRESS, parse_address

_MAX_NAME = 255
"""Maximum characters of a client's name in the cache; Postfix passes on no longer one."""


class ClientIdentity(NamedTuple):
    """The identities of a client that need no DNS query; text is empty where there is none."""

    address: str
    """The client's address, as `ipaddress` writes it."""
    network: str
    """``net:192.0.2.0/24``."""
    host: str
    """``host:example.org``."""

    @property
    def best(self) -> str:
        """The identity under which records are stored."""
        return self.host or self.network


def identify_client(
    address: str, client_name: str, ipv4_prefix: int, ipv6_prefix: int
) -> ClientIdentity:
    """Return the identities of a client from its address and its verified name in text.

    All are empty if the address is not an IP address. Give an empty name if names do not count.
    """
    if len(address) > MAX_ADDRESS or len(client_name) > _MAX_NAME:
        return _identify(address, client_name, ipv4_prefix, ipv6_prefix)
    return _identify_usual(address, client_name, ipv4_prefix, ipv6_prefix)


def _identify(address: str, client_name: str, ipv4_prefix: int, ipv6_prefix: int) -> ClientIdentity:
    parsed = parse_address(address)
    if parsed is None:
        return ClientIdentity("", "", "")
    return ClientIdentity(
        str(parsed),
        network_identity(parsed, ipv4_prefix, ipv6_prefix),
        host_identity(parsed, client_name),
    )


_identify_usual = lru_cache(maxsize=65536)(_identify)


def network_identity(address: IpAddress | None, ipv4_prefix: int, ipv6_prefix: int) -> str:
    """Return ``net:192.0.2.0/24``; empty if `address` is unknown."""
    if address is None:
        return ""
    number, size = int(address), address.max_prefixlen
    prefix = ipv4_prefix if size == 32 else ipv6_prefix
    network = number >> (size - prefix) << (size - prefix)
    if size == 32:
        # a tenth of the time of `ipaddress`, and nearly every client has IPv4
        return f"net:{socket.inet_ntoa(network.to_bytes(4))}/{prefix}"
    return f"net:{ipaddress.IPv6Address(network)}/{prefix}"


def host_identity(address: IpAddress | None, client_name: str) -> str:
    """Return ``host:example.org`` for a verified host name that is the client's own, or nothing.

    A name generated from the address or from a number only shows who owns the network. All clients
    there share it, so it is no identity (see `policyd.hostnames`).
    """
    domain = own_domain(address, client_name.lower().rstrip("."))
    return domain and f"host:{domain}"
