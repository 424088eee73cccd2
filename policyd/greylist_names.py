"""Reader of the names by which administrators call clients in the greylist."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from msgauth.domain import DomainError, to_alabels
from policyd import records
from policyd.bounces import stable_sender
from policyd.errors import PolicydError
from policyd.hostnames import is_host_name, organizational_domain, own_domain
from policyd.identity import network_identity
from policyd.match import parse_address
from policyd.settings import PolicydSettings
from policyd.stores import Store

BREATH: Final = 500
"""Records until others have a turn."""


class ClientNameError(PolicydError):
    """A text is not the name of a client; the message is for the administrator."""


IDENTITIES = ("net", "host", "spf", "dnswl")


def identity_of(text: str, settings: PolicydSettings) -> str:
    """Return the identity that `text` means; raises `ClientNameError`."""
    greylist = settings.greylist
    kind, colon, value = text.partition(":")
    if not colon or kind not in IDENTITIES or parse_address(text) is not None:
        kind, value = "", text
    if kind in ("", "net"):
        address, slash, prefix = value.partition("/")
        network = network_identity(
            parse_address(address), greylist.ipv4_prefix, greylist.ipv6_prefix
        )
        if network and slash and not _is_prefix(address, prefix):
            network = ""
        if network and slash and prefix != network.rpartition("/")[2]:
            raise ClientNameError(
                f"{text}: the greylist uses networks of another size, such as {network}; put "
                "other networks into allow_clients"
            )
        if network:
            return network
    name = _host_name(value)
    if name and kind in ("spf", "dnswl"):
        return f"{kind}:{name}"
    if kind != "net" and (domain := organizational_domain(name)):
        if not own_domain(None, name):
            raise ClientNameError(
                f"{text}: this is a generated name, and the greylist does not identify clients by "
                "it; write the address"
            )
        return f"host:{domain}"
    raise ClientNameError(f"{text!r} is not an address, network, domain or identity")


def _is_prefix(address: str, text: str) -> bool:
    """Return whether a text is a prefix length."""
    parsed = parse_address(address)
    if parsed is None or not (text.isascii() and text.isdecimal()) or len(text) > 3:
        return False
    return str(int(text)) == text and int(text) <= parsed.max_prefixlen


def _host_name(text: str) -> str:
    """Return a host name in A-labels and lower case; empty if the text is not one."""
    try:
        name = to_alabels(text)
    except DomainError:
        return ""
    return name if is_host_name(name) else ""


def meant(text: str, settings: PolicydSettings) -> set[str]:
    """Return the parts that `text` may mean, as stored and as in mail."""
    parts = {text, text.lower(), stable_sender(text)}
    with suppress(ClientNameError):
        parts.add(identity_of(text, settings))
    return parts


def identities_of_domain(text: str) -> set[str]:
    """Return the identities that clients may have because of a domain."""
    name = _host_name(text)
    return {f"spf:{name}", f"dnswl:{name}"} if name else set()


async def known_as(
    store: Store, text: str, hide: records.Hide, is_over: Callable[[], bool] = lambda: False
) -> set[str]:
    """Return the identities of a client or network, hashed if the store's are.

    For a network all addresses in the store are looked at, until the time `is_over`.
    """
    address = parse_address(text)
    client = str(address) if address is not None else _host_name(text)
    if client:
        key = records.alias_key(hide, client)
        return set(await store.update((key,), lambda known: (known, records.read_alias(known[0]))))
    network = _network(text)
    found: set[str] = set()
    if network is None or hide is not records.plain:
        return found
    number = 0
    async for key, entry in store.scan(records.ALIAS):
        number += 1
        if number % BREATH == 0:
            await asyncio.sleep(0)
            if is_over():
                break
        one = parse_address(key.removeprefix(records.ALIAS))
        if one is not None and one in network:
            found.update(records.read_alias(entry))
    return found


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text.removeprefix("net:"), strict=False)
    except ValueError:
        return None
