"""The SMTP envelope of a message."""

from __future__ import annotations

from dataclasses import dataclass, field

from milters.guard import Client, Origin
from msgauth.mail_address import MailAddress

MAX_RECIPIENTS = 1000
"""Maximum recipients remembered: Postfix's smtpd_recipient_limit."""
MAX_LISTED = 100
"""Maximum recipients whose addresses are kept, for the journal."""
MAX_LOGGED = 20
"""Maximum recipients in the log line."""


@dataclass(slots=True)
class Envelope:
    """Client, sender and recipients of one message.

    `login` is the SASL name, empty without one; `utf8` the parameter SMTPUTF8 (RFC 6531).
    """

    client: Client
    helo: str
    origin: Origin
    sender: MailAddress
    login: str = ""
    utf8: bool = False
    recipient_domains: set[str] = field(default_factory=set)
    recipient_count: int = 0
    listed: list[str] = field(default_factory=list)
    """The addresses of the first recipients."""

    def add_recipient(self, recipient: MailAddress) -> None:
        """Add an accepted recipient; beyond the limits it is only counted."""
        self.recipient_count += 1
        if self.recipient_count <= MAX_LISTED:
            self.listed.append(recipient.text)
        if self.recipient_count <= MAX_RECIPIENTS and recipient.domain:
            self.recipient_domains.add(recipient.domain)

    def facts(self, author_domain: str) -> dict[str, object]:
        """Return the values that begin the log line of the message."""
        no_address = "local" if self.client.is_local else "unknown"
        facts: dict[str, object] = {
            "client": str(self.client.address or no_address),
            "helo": self.helo,
            "sender": self.sender.text,
            "header_from": author_domain,
            "recipients": self.recipient_count,
            "to": self.listed[:MAX_LOGGED],
        }
        if self.login:
            facts["sasl_username"] = self.login
        return facts
