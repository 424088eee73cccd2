"""Profile that sets up mail on Apple's devices: a property list of type Configuration.

The keys are those of Apple's "Device Management", payloads TopLevel and com.apple.mail.managed.
"""

from __future__ import annotations

import plistlib
import uuid
from typing import Any

from accounts.autoconfig.phone import PhoneServers
from accounts.autoconfig.settings import AutoconfigSettings

MEDIA_TYPE = "application/x-apple-aspen-config"
FILE_NAME = "mail.mobileconfig"

_SPACE = uuid.UUID("b0a4a8c2-5f7e-5b0e-9c58-0a6c6f1f7d10")


def profile(
    settings: AutoconfigSettings,
    domain: str,
    address: str = "",
    password: str = "",
    servers: PhoneServers | None = None,
) -> bytes:
    """Return the unsigned profile for an address of a domain.

    Without an address, the profile is for the whole domain, and the device asks for the address. An
    address always has the same identifiers, so that a second profile replaces the first. Without a
    password, the device asks for it. `servers` are other ones than the best.
    """
    chosen = servers or PhoneServers(settings.incoming[0], settings.outgoing[0])
    name = settings.name or domain
    subject = address or domain
    identifier = f"{'.'.join(reversed(domain.split('.')))}.mail.{_uuid('identifier', subject)}"
    return plistlib.dumps(
        {
            "PayloadType": "Configuration",
            "PayloadVersion": 1,
            "PayloadIdentifier": identifier,
            "PayloadUUID": _uuid("profile", subject),
            "PayloadDisplayName": name,
            "PayloadDescription": f"Mail for {subject}",
            "PayloadOrganization": name,
            "PayloadRemovalDisallowed": False,
            "PayloadContent": [
                {
                    "PayloadType": "com.apple.mail.managed",
                    "PayloadVersion": 1,
                    "PayloadIdentifier": f"{identifier}.account",
                    **_account(chosen, name, subject, address, password),
                }
            ],
        },
        sort_keys=False,
    )


def _account(
    servers: PhoneServers, name: str, subject: str, address: str, password: str
) -> dict[str, Any]:
    key, incoming = servers.incoming
    _, outgoing = servers.outgoing
    account: dict[str, Any] = {
        "PayloadUUID": _uuid("account", subject),
        "PayloadDisplayName": name,
        "EmailAccountDescription": name,
        "EmailAccountType": "EmailTypeIMAP" if key.startswith("imap") else "EmailTypePOP",
        "IncomingMailServerAuthentication": "EmailAuthPassword",
        "IncomingMailServerHostName": incoming.host,
        "IncomingMailServerPortNumber": incoming.port,
        # for STARTTLS, too
        "IncomingMailServerUseSSL": True,
        "OutgoingMailServerAuthentication": "EmailAuthPassword",
        "OutgoingMailServerHostName": outgoing.host,
        "OutgoingMailServerPortNumber": outgoing.port,
        "OutgoingMailServerUseSSL": True,
        "OutgoingPasswordSameAsIncomingPassword": True,
    }
    if address:
        account |= {
            "EmailAddress": address,
            "IncomingMailServerUsername": address,
            "OutgoingMailServerUsername": address,
        }
    if password:
        account |= {"IncomingPassword": password, "OutgoingPassword": password}
    return account


def _uuid(kind: str, subject: str) -> str:
    return str(uuid.uuid5(_SPACE, f"{kind} {subject}")).upper()
