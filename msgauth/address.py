"""The address of an SMTP client in the form for the checks."""

from __future__ import annotations

import ipaddress
from typing import TypeAlias

from msgauth.errors import MsgauthError

IpAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
"""An address as `ipaddress.ip_address` returns it."""


class AddressError(MsgauthError):
    """Text is not an IPv4 or IPv6 address."""


def parse_address(client: IpAddress | str) -> IpAddress:
    """Return the address that `client` is or names, such as ``192.0.2.1`` or ``2001:db8::1``.

    Raises `AddressError` for other text.
    """
    if not isinstance(client, str):
        return client
    try:
        return ipaddress.ip_address(client)
    except ValueError:
        raise AddressError(f"{client[:50]!a} is not an IPv4 or IPv6 address") from None


def plain(client: IpAddress) -> IpAddress:
    """Return the address in its plain form.

    An IPv4-mapped IPv6 address is the IPv4 address (RFC 7208 section 5); a scope is left out.
    """
    if isinstance(client, ipaddress.IPv6Address):
        return client.ipv4_mapped or ipaddress.IPv6Address(int(client))
    return client
