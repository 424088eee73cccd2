"""Everyday steps that tests of several systems take: mail from outside, a rule, a session's end."""

from __future__ import annotations

import imaplib
import json

from tests.stack.stack import FRIEND
from tests.testbed import swaks
from tests.testbed.swaks import Client, Exchange
from tests.testbed.waiting import wait_until

CAROL, EVE = "carol@remote.example", "eve@far.example"

INVOICES_RULE = json.dumps(
    {
        "name": "invoices",
        "match": "all",
        "conditions": [
            {"kind": "header", "names": ["Subject"], "match": "contains", "values": ["invoice"]}
        ],
        "actions": [{"kind": "fileinto", "mailbox": "Invoices"}],
    }
)
"""A rule of accounts that files invoices."""


def deliver(
    host: str,
    subject: str,
    recipient: str,
    client: str = FRIEND,
    sender: str = CAROL,
    *,
    fields: str = "",
    body: str = "Hello.\r\n",
) -> Exchange:
    """Send mail from outside with swaks; `fields` are whole lines of the header."""
    message = (
        f"From: {CAROL if sender == '<>' else sender}\r\nTo: {recipient}\r\n"
        f"Subject: {subject}\r\n"
        f"Message-ID: <{abs(hash(subject))}@remote.example>\r\n"
        f"Date: Thu, 26 Nov 2026 12:00:00 +0000\r\n{fields}\r\n{body}"
    )
    return swaks.send(
        25,
        host=host,
        sender=sender,
        recipients=[recipient],
        message=message.encode(),
        client=Client(interface=client, helo="mail.remote.example"),
    )


def wait_for_end(session: imaplib.IMAP4) -> None:
    """Wait until the server has ended the session of a mailbox that was disabled."""

    def is_over() -> bool:
        try:
            return session.noop()[0] == "BYE"
        except (OSError, imaplib.IMAP4.abort):
            return True

    wait_until(is_over, "the session of a disabled mailbox to end", deadline=10)
