"""Document that Thunderbird, K-9, Evolution and others ask for: config-v1.1.xml.

The form is that of the ISPDB, https://wiki.mozilla.org/Thunderbird:Autoconfiguration:ConfigFileFormat.
The program puts the address that it knows in place of ``%EMAILADDRESS%``; the document is the same
for every address of a domain.
"""

from __future__ import annotations

from accounts.autoconfig.markup import document, element
from accounts.autoconfig.settings import IMPLICIT_TLS, AutoconfigSettings, MailServer

MEDIA_TYPE = "text/xml"
USERNAME = "%EMAILADDRESS%"

_TYPES = {
    "imaps": "imap",
    "imap": "imap",
    "pop3s": "pop3",
    "pop3": "pop3",
    "submissions": "smtp",
    "submission": "smtp",
}


def client_config(settings: AutoconfigSettings, domain: str) -> bytes:
    """Return the document for the addresses of a domain."""
    name = settings.name or domain
    provider = element(
        "emailProvider",
        [
            element("domain", domain),
            element("displayName", name),
            element("displayShortName", name),
            *(_server("incomingServer", key, server) for key, server in settings.incoming),
            *(_server("outgoingServer", key, server) for key, server in settings.outgoing),
        ],
        id=domain,
    )
    parts = [provider]
    if settings.webmail:
        parts.append(element("webMail", [element("loginPage", url=settings.webmail)]))
    return document(element("clientConfig", parts, version="1.1"))


def _server(name: str, key: str, server: MailServer) -> str:
    return element(
        name,
        [
            element("hostname", server.host),
            element("port", str(server.port)),
            element("socketType", "SSL" if key in IMPLICIT_TLS else "STARTTLS"),
            element("username", USERNAME),
            # plain text inside TLS
            element("authentication", "password-cleartext"),
        ],
        type=_TYPES[key],
    )
