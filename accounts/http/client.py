"""Address of the client, through trusted proxies."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import TypeAlias

from starlette.requests import HTTPConnection

from accounts.attempts import ClientAddress

ClientNetwork: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_HOPS = 20
"""Addresses of X-Forwarded-For that are examined, from its end."""


def client_of(request: HTTPConnection, proxies: Iterable[ClientNetwork]) -> ClientAddress | None:
    """Return the address of the client; None for a unix socket.

    X-Forwarded-For counts only from a trusted proxy; the client is its last address that is not
    such a proxy. Anybody could have written the addresses before it.
    """
    peer = _parse(request.client.host) if request.client is not None else None
    trusted = tuple(proxies)
    if peer is None or not _is_in(peer, trusted):
        return peer
    hops = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
    client = peer
    for text in reversed(hops[-MAX_HOPS:]):
        hop = _parse(text.strip())
        if hop is None:
            break
        client = hop
        if not _is_in(hop, trusted):
            break
    return client


def _parse(text: str) -> ClientAddress | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _is_in(client: ClientAddress, networks: tuple[ClientNetwork, ...]) -> bool:
    return any(client in network for network in networks)
