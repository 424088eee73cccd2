"""Profile that sets up mail on Apple's devices: a property list of type Configuration.

The keys are those of Apple's "Device Management", payloads TopLevel and com.apple.mail.managed.
"""

from __future__ import annotations

import plistlib
import uuid
from typing import Any

from accounts.autoconfig.settings import AutoconfigSettings

MEDIA_TYPE = "application/x-apple-aspen-config"
FILE_NAME = "mail.mobileconfig"

_SPACE = uuid.UUID("b0a4a8c2-5f7e-5b0e-9c58-0a6c6f1f7d10")


def profile(settings: AutoconfigSettings, domain: str, address: str = "") -> bytes:
    """Return the unsigned profile for an address of a domain.

    Without an address, the profile is for the whole domain, and the device asks for the address. An
    address always has the same identifiers, so that a second profile replaces the first.
    """
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
            "PayloadContent": [_account(settings, identifier, name, subject, address)],
        },
        sort_keys=False,
    )


def _account(
    settings: AutoconfigSettings, identifier: str, name: str, subject: str, address: str
) -> dict[str, Any]:
    (key, incoming), *_ = settings.incoming
    (_, outgoing), *_ = settings.outgoing
    account: dict[str, Any] = {
        "PayloadType": "com.apple.mail.managed",
        "PayloadVersion": 1,
        "PayloadIdentifier": f"{identifier}.account",
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
    return account


def _uuid(kind: str, subject: str) -> str:
    return str(uuid.uuid5(_SPACE, f"{kind} {subject}")).upper()
