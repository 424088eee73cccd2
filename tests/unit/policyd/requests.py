"""Policy requests in Postfix's format, for tests."""

from __future__ import annotations

from policyd.protocol import RequestReader
from policyd.request import Request

POSTFIX_3_10 = {
    "request": "smtpd_access_policy",
    "protocol_state": "RCPT",
    "protocol_name": "ESMTP",
    "client_address": "192.0.2.7",
    "client_name": "mx1.example.net",
    "client_port": "41234",
    "reverse_client_name": "mx1.example.net",
    "server_address": "198.51.100.25",
    "server_port": "25",
    "helo_name": "mx1.example.net",
    "sender": "alice@example.net",
    "recipient": "bob@example.org",
    "recipient_count": "0",
    "queue_id": "",
    "instance": "1a2b.6560a1b2.3c4d5.0",
    "size": "2048",
    "etrn_domain": "",
    "stress": "",
    "sasl_method": "",
    "sasl_username": "",
    "sasl_sender": "",
    "ccert_subject": "",
    "ccert_issuer": "",
    "ccert_fingerprint": "",
    "ccert_pubkey_fingerprint": "",
    "encryption_protocol": "TLSv1.3",
    "encryption_cipher": "TLS_AES_256_GCM_SHA384",
    "encryption_keysize": "256",
    "policy_context": "",
    "compatibility_level": "3.6",
    "mail_version": "3.10.4",
}


def wire(**attributes: str) -> bytes:
    """Return the bytes of a request from Postfix 3.10 with some attributes changed."""
    all_of_them = {**POSTFIX_3_10, **attributes}
    return "".join(f"{name}={value}\n" for name, value in all_of_them.items()).encode() + b"\n"


def request(**attributes: str) -> Request:
    """Return a parsed request from Postfix 3.10 with some attributes changed."""
    reader = RequestReader()
    reader.receive_data(wire(**attributes))
    event = reader.next_event()
    assert isinstance(event, Request)
    return event
