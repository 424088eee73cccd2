"""The address of an SMTP client, as the checks look at it."""

from __future__ import annotations

import ipaddress
from typing import TypeAlias

IpAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address


def plain(client: IpAddress) -> IpAddress:
    """Return the address without the form it came in.

    An IPv4-mapped IPv6 address is the IPv4 address (RFC 7208 section 5); a scope is left out.
    """
    if isinstance(client, ipaddress.IPv6Address):
        return client.ipv4_mapped or ipaddress.IPv6Address(int(client))
    return client
