"""People, clients and messages of the demonstration.

Names end in .test (RFC 6761 section 6.2) and addresses are documentation addresses (RFC 5737), so
none of them exists on the Internet.
"""

from __future__ import annotations

import base64
import email.utils

import dkim
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.testbed.postfix_files import HOSTNAME, LOGINS, RELAY_DOMAINS
from tests.testbed.swaks import Client

DOMAIN = RELAY_DOMAINS[0]
"""Our domain."""
AUTHSERV_ID = HOSTNAME
ALICE, BOB, DAN = f"alice@{DOMAIN}", f"bob@{DOMAIN}", f"dan@{DOMAIN}"
ALIAS = f"info@{DOMAIN}"
"""An alias of alice."""
EXTENSION = f"alice+lists@{DOMAIN}"
NOBODY = f"eve@{DOMAIN}"
"""An address that does not exist."""
INTERNAL_NETWORK = "10.0.0.0/8"

PARTNER_DOMAIN = "partner.test"
PARTNER = f"news@{PARTNER_DOMAIN}"
PARTNER_NETWORK = "198.51.100.0/24"
SELECTOR = "s1"
LIST_ZONE = "bl.gatepost.test"

ALICE_CLIENT = Client("203.0.113.77", helo="laptop.test", login=ALICE, password=LOGINS[ALICE])
INTERNAL_CLIENT = Client("10.1.2.3", "printer.gatepost.test", "printer.gatepost.test")
PARTNER_CLIENT = Client("198.51.100.25", "mail.partner.test", "mail.partner.test")
STRANGER_CLIENT = Client("203.0.113.5", "mail.stranger.test", "mail.stranger.test")
LISTED_CLIENT = Client("192.0.2.66", "spam.listed.test", "spam.listed.test")


def message(sender: str, recipient: str, subject: str, extra: str = "") -> bytes:
    """Return a small message with CRLF line ends; `extra` is a header field for the top, without
    its CRLF."""
    fields = [
        *([extra] if extra else []),
        f"From: {sender}",
        f"To: {recipient}",
        f"Subject: {subject}",
        f"Date: {email.utils.formatdate()}",
        f"Message-ID: {email.utils.make_msgid(domain=sender.partition('@')[2])}",
        "",
        "The gate is open from nine to five.",
        "",
    ]
    return "\r\n".join(fields).encode()


class PartnerKey:
    """The signing key of the partner; dkimpy signs the partner's mail."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def record(self) -> str:
        """The TXT record to publish (RFC 6376 section 3.6.1)."""
        public = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"

    def sign(self, octets: bytes) -> bytes:
        """Return the message with a DKIM-Signature on top."""
        pem = self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        field: bytes = dkim.sign(
            octets,
            SELECTOR.encode(),
            PARTNER_DOMAIN.encode(),
            pem,
            canonicalize=(b"relaxed", b"relaxed"),
            include_headers=[b"from", b"to", b"subject", b"date", b"message-id"],
        )
        return field + octets
