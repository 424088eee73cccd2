"""Guard of the networks: whether mail is ours, and whether the client's address can be trusted.

If Postfix is behind a load balancer that does not use the PROXY protocol, every client has the
address of the balancer. SPF would fail for all mail, and if that address were in an internal
network, everybody's mail would be signed. So nothing is derived from an address in
`proxy_networks`.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gatepost.config.networks import IpNetwork
from milters.settings import MiltersSettings
from msgauth.address import AddressError, IpAddress, parse_address, plain

CACHED_ADDRESSES = 4096
"""Client addresses whose classification is cached."""


class Origin(enum.StrEnum):
    """The origin of a message. All but `OUTSIDE` are ours: not checked, and perhaps signed."""

    OUTSIDE = "outside"
    INTERNAL = "internal"
    """Its client is in `internal_networks`, or it was submitted on this machine."""
    AUTHENTICATED = "authenticated"
    """Its client has logged in."""
    SUBMISSION = "submission"
    """It came through `submission_listen`, or an smtpd service in `sign.daemon_names`."""


@dataclass(frozen=True, slots=True)
class Client:
    """The client that sends the message to the MTA.

    `hostname` is the name of the address as verified by the MTA, or empty; `address` is None for
    mail submitted on this machine, and for a client on a unix socket.
    """

    address: IpAddress | None
    hostname: str
    is_local: bool = False


@functools.lru_cache(CACHED_ADDRESSES)
def parse_client(hostname: str, address: str | None) -> Client:
    """Return the client of a milter connection; an unreadable address counts as unknown."""
    if address is None:
        return Client(None, "", is_local=hostname == "localhost")
    try:
        parsed = plain(parse_address(address.partition("%")[0]))
    except AddressError:
        return Client(None, "")
    # RFC 5321 section 4.1.3: the MTA shows a client without a verified name as [address]
    known = hostname not in ("", "unknown") and not hostname.startswith("[")
    return Client(parsed, hostname.rstrip(".").lower() if known else "")


class Guard:
    """The networks of one configuration."""

    def __init__(self, settings: MiltersSettings, proxy_networks: Sequence[IpNetwork] = ()) -> None:
        self._sign = settings.sign
        self._is_internal = _membership(settings.internal_networks)
        self._is_proxy = _membership(proxy_networks)

    def is_proxy(self, client: Client) -> bool:
        """Return whether the address is that of a proxy of ours, not of the client."""
        return client.address is not None and self._is_proxy(client.address)

    def origin(self, client: Client, login: str, daemon_name: str, *, submission: bool) -> Origin:
        """Return the origin of a message; `login` is the SASL name, or empty."""
        if login:
            return Origin.AUTHENTICATED
        if submission or (daemon_name and daemon_name in self._sign.daemon_names):
            return Origin.SUBMISSION
        if client.is_local:
            return Origin.INTERNAL
        if client.address is None or self._is_proxy(client.address):
            return Origin.OUTSIDE
        return Origin.INTERNAL if self._is_internal(client.address) else Origin.OUTSIDE

    def is_signed(self, origin: Origin) -> bool:
        """Return whether mail of this origin is signed."""
        match origin:
            case Origin.AUTHENTICATED:
                return self._sign.authenticated
            case Origin.INTERNAL:
                return self._sign.internal
            case Origin.SUBMISSION:
                return True
            case Origin.OUTSIDE:
                return False


def _membership(networks: Sequence[IpNetwork]) -> Callable[[IpAddress], bool]:
    @functools.lru_cache(CACHED_ADDRESSES)
    def is_member(address: IpAddress) -> bool:
        return any(address in network for network in networks)

    return is_member
