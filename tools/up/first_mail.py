"""The first mail: from one user to the other, by submission and IMAP."""

from __future__ import annotations

import imaplib
import smtplib
import ssl
import time
from email.message import EmailMessage

from tools.up.people import ANNA, BERT, People
from tools.up.place import HOST, Place

DELIVERY = 30.0
"""Seconds until the message has to be there."""
SUBJECT = "The first mail"


class FirstMailError(Exception):
    """The mail was not sent or did not arrive; the message says what happened."""


def send_first_mail(place: Place, people: People) -> float:
    """Send it and wait for it; return the seconds of its way. Raises `FirstMailError`."""
    try:
        _send(place, people.passwords[ANNA])
        return _receive(place, people.passwords[BERT])
    except (OSError, smtplib.SMTPException, imaplib.IMAP4.error) as error:
        raise FirstMailError(f"the first mail failed: {error}") from error


def _trust(place: Place) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=place.state / "tls" / "ca.crt")
    context.check_hostname = False  # the name is not in DNS
    return context


def _send(place: Place, password: str) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = ANNA, BERT, SUBJECT
    message.set_content("It works.\n")
    # a name, so that smtplib does not look for that of this machine in DNS
    with smtplib.SMTP(HOST, place.ports["submission"], "localhost", timeout=30) as client:
        client.starttls(context=_trust(place))
        client.login(ANNA, password)
        client.send_message(message)


def _receive(place: Place, password: str) -> float:
    start = time.monotonic()
    port = place.ports["imaps"]
    with imaplib.IMAP4_SSL(HOST, port, ssl_context=_trust(place), timeout=30) as client:
        client.login(BERT, password)
        while time.monotonic() < start + DELIVERY:
            client.select("INBOX")
            _, found = client.search(None, "SUBJECT", f'"{SUBJECT}"')
            if found[0]:
                return time.monotonic() - start
            time.sleep(0.3)
    raise FirstMailError(f"the first mail did not arrive within {DELIVERY:.0f} s")
