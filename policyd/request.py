"""Policy request from Postfix, with typed access to its attributes.

A request never changes. A check returns its findings (`policyd.checks.CheckResult`), and
`policyd.engine` passes them on.

An attribute that is not available is missing, empty, or 0 (SMTPD_POLICY_README); all three look the
same here. Where it matters, the docstring of an attribute gives the first version of Postfix that
sends it; with older versions it has its default.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from gatepost.handshake import PROBE_NAME
from msgauth.address import IpAddress
from msgauth.mail_address import MailAddress, without_route
from policyd.match import parse_address

REQUEST_TYPE = "smtpd_access_policy"
"""The attribute `request` of every policy request."""
MAX_REMEMBERED = 254
"""Maximum length of an address that is cached in its parsed form, in characters: RFC 5321 section
4.5.3.1.3 allows no more."""


class State(enum.StrEnum):
    """Stage of the SMTP session at which Postfix asks: `protocol_state`."""

    CONNECT = "CONNECT"
    EHLO = "EHLO"
    HELO = "HELO"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    END_OF_MESSAGE = "END-OF-MESSAGE"
    VRFY = "VRFY"
    ETRN = "ETRN"


PROBE = {
    "request": REQUEST_TYPE,
    "protocol_state": State.VRFY.value,
    "protocol_name": "ESMTP",
    "client_address": "127.0.0.1",
    "client_name": "localhost",
    "helo_name": PROBE_NAME,
}
"""Attributes of a health probe. VRFY has no sender: a probe teaches greylisting nothing."""

_CLIENT_UNKNOWN = dict.fromkeys(("client_address", "client_name", "reverse_client_name"), "unknown")


@dataclass(frozen=True, slots=True, repr=False, init=False)
class Request:
    """The attributes of a policy request; the caller must not change the mapping later."""

    attributes: Mapping[str, str]
    # every request reads these several times, so they are looked up once
    state: str
    """A member of `State`, or another word that a later version of Postfix sends."""
    sender: str
    """Envelope sender as in MAIL FROM; empty for the null sender and before MAIL."""
    recipient: str
    """Envelope recipient at RCPT; at DATA and END-OF-MESSAGE only if there is just one."""

    def __init__(self, attributes: Mapping[str, str]) -> None:
        get, put = attributes.get, object.__setattr__
        put(self, "attributes", attributes)
        put(self, "state", get("protocol_state", ""))
        put(self, "sender", get("sender", ""))
        put(self, "recipient", get("recipient", ""))

    def __repr__(self) -> str:
        return (
            f"Request({self.state} client={self.client_address} sender={self.sender} "
            f"recipient={self.recipient})"
        )

    def without_client(self) -> Request:
        """Return this request as Postfix sends it when it does not know the client."""
        return Request({**self.attributes, **_CLIENT_UNKNOWN})

    @property
    def is_probe(self) -> bool:
        """Return whether it is a health probe (`gatepost probe policy`) instead of mail."""
        return self.attributes == PROBE

    @property
    def client_address(self) -> str:
        """IPv4 dotted quad or IPv6 address in text; empty when Postfix does not know it."""
        address = self.attributes.get("client_address", "")
        return "" if address == "unknown" else address

    @property
    def client_name(self) -> str:
        """Host name of the client, if it resolves to the client's address (FCrDNS); else empty."""
        name = self.attributes.get("client_name", "")
        return "" if name == "unknown" else name

    @property
    def reverse_client_name(self) -> str:
        """Host name from the PTR record, verified or not; empty if there is none."""
        name = self.attributes.get("reverse_client_name", "")
        return "" if name == "unknown" else name

    @property
    def helo_name(self) -> str:
        """The client's argument of EHLO or HELO."""
        return self.attributes.get("helo_name", "")

    @property
    def sasl_username(self) -> str:
        """The login of an authenticated client (Postfix 2.2); empty for other clients."""
        return self.attributes.get("sasl_username", "")

    @property
    def instance(self) -> str:
        """Identifier that all requests about one message share."""
        return self.attributes.get("instance", "")

    @property
    def recipient_count(self) -> int:
        """Recipients accepted, at DATA and END-OF-MESSAGE (Postfix 2.3); 0 elsewhere."""
        return _number(self.attributes.get("recipient_count", ""))

    @property
    def size(self) -> int:
        """Size of the message in bytes: announced in MAIL FROM, actual at END-OF-MESSAGE."""
        return _number(self.attributes.get("size", ""))

    @property
    def client(self) -> IpAddress | None:
        """Address of the client; None when Postfix does not know it."""
        return parse_address(self.client_address)

    @property
    def sender_address(self) -> MailAddress:
        """Envelope sender, parsed."""
        return _parse_mail_address(self.sender)

    @property
    def recipient_address(self) -> MailAddress:
        """Envelope recipient, parsed."""
        return _parse_mail_address(self.recipient)

    @property
    def sender_domain(self) -> str:
        """Domain of the envelope sender in A-labels; text that is no domain, in lower case."""
        return self.sender_address.host


def _parse_mail_address(text: str) -> MailAddress:
    return _parse_usual(text) if len(text) <= MAX_REMEMBERED else _parse(text)


def _parse(text: str) -> MailAddress:
    # Postfix sends no route, unless one was in quotes; it then removes it from the sender as well
    return MailAddress.parse(without_route(text))


# several checks use an address, and Postfix asks once for each recipient of a message
_parse_usual = lru_cache(maxsize=16384)(_parse)


def _number(text: str) -> int:
    """Return a count; text other than a decimal number of at most 18 digits counts as 0."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else 0
