"""Setup of a mail program on a phone: the servers that a password opens, and the text of a QR code
for Thunderbird.

Mail programs have no common format for QR codes. Thunderbird for Android and iOS scans that of
"Export for Mobile" (format version 1, of 2025-02-06).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import quote

from accounts.autoconfig.settings import IMPLICIT_TLS, AutoconfigSettings, MailServer

_FORMAT = 1
_STARTTLS, _TLS = 2, 3
_PASSWORD = 1


class PhoneServers(NamedTuple):
    """The servers for reading and for sending, each with the key of its setting."""

    incoming: tuple[str, MailServer]
    outgoing: tuple[str, MailServer]


def servers_for(settings: AutoconfigSettings, protocols: Sequence[str]) -> PhoneServers | None:
    """Return the best servers for a password with these protocols; None if it cannot do both."""
    if "smtp" not in protocols or not settings.outgoing:
        return None
    for key, server in settings.incoming:
        # imaps and pop3s are the same protocols
        if key.removesuffix("s") in protocols:
            return PhoneServers((key, server), settings.outgoing[0])
    return None


def thunderbird_code(servers: PhoneServers, address: str, name: str, password: str) -> str | None:
    """Return the text of a QR code for an account; None for an address that it cannot have."""
    if not address.isascii():
        return None
    key, incoming = servers.incoming
    parts = [
        _FORMAT,
        [1, 1],
        [1 if key.startswith("pop3") else 0, *_server(key, incoming), address, "", password],
        [[[0, *_server(*servers.outgoing), address, password], [address, name or address]]],
    ]
    return json.dumps(parts, ensure_ascii=False, separators=(",", ":"))


def profile_url(settings: AutoconfigSettings, address: str) -> str | None:
    """Return the address of a profile for Apple's devices, without a password; None if no web
    server is known."""
    if not settings.web_host or not address.isascii():
        return None
    return f"https://{settings.web_host}/email.mobileconfig?email={quote(address, safe='@')}"


def _server(key: str, server: MailServer) -> list[str | int]:
    return [server.host, server.port, _TLS if key in IMPLICIT_TLS else _STARTTLS, _PASSWORD]
