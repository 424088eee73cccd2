"""A client that sends messages and prints the subject of each one that got 250.

``python sender.py HOST PORT RECIPIENT PREFIX COUNT SECONDS [PAUSE]``: sends COUNT messages with the
subjects PREFIX-1, PREFIX-2 and so on, and tries each again after 4xx or a lost connection, until
SECONDS are over. PAUSE is the number of seconds between two messages. A refusal (5xx) ends it with
status 1. The last line is ``done``.
"""

from __future__ import annotations

import smtplib
import socket
import sys
import time
from pathlib import Path

AGAIN = 1.0
"""Seconds until a message is tried again."""
PATIENCE = 60.0
"""Seconds for an answer: postscreen lets a new client wait for the greeting."""


def sender_domain(resolv_conf: str) -> str:
    """Return the name of the sink in the cluster's DNS, a domain that exists for Postfix."""
    for line in resolv_conf.splitlines():
        words = line.split()
        if words[:1] == ["search"]:
            for domain in words[1:]:
                if ".svc." in f".{domain}.":
                    return f"sink.{domain}"
    return "example.net"


def message(subject: str, sender: str, recipient: str) -> bytes:
    """Return a message; it has a field of RFC 5322 that each mail must have."""
    lines = [
        f"From: {sender}",
        f"To: {recipient}",
        f"Subject: {subject}",
        f"Message-ID: <{subject}@{sender.partition('@')[2]}>",
        f"Date: {time.strftime('%a, %d %b %Y %H:%M:%S +0000', time.gmtime())}",
        "",
        "A message of the tests on a cluster.",
        "",
    ]
    return "\r\n".join(lines).encode()


def send(host: str, port: int, subject: str, sender: str, recipient: str) -> int:
    """Try once; return the last reply code, 0 for a lost connection.

    250 is only returned if the reply to the content was read: a message whose answer is lost counts
    as not accepted, and may arrive twice.
    """
    try:
        with smtplib.SMTP(host, port, sender.partition("@")[2], PATIENCE) as client:
            client.ehlo()
            for code, _ in (client.mail(sender), client.rcpt(recipient)):
                if code >= 300:
                    return code
            accepted, _ = client.data(message(subject, sender, recipient))
            return accepted
    except smtplib.SMTPResponseException as error:
        return error.smtp_code
    except (OSError, smtplib.SMTPException):
        return 0


def main(words: list[str]) -> int:
    """Send all; return the exit status."""
    host, port, recipient, prefix, count, seconds, *pause = words
    sender = f"sender@{sender_domain(Path('/etc/resolv.conf').read_text())}"
    end = time.monotonic() + float(seconds)
    for number in range(1, int(count) + 1):
        subject = f"{prefix}-{number}"
        while (code := send(host, int(port), subject, sender, recipient)) != 250:
            if code >= 500:
                print(f"refused {subject} {code}", flush=True)
                return 1
            if time.monotonic() >= end:
                print(f"deferred {subject} {code}", flush=True)
                return 1
            time.sleep(AGAIN)
        print(f"accepted {subject}", flush=True)
        time.sleep(float(pause[0]) if pause else 0.0)
    print("done", flush=True)
    return 0


if __name__ == "__main__":
    socket.setdefaulttimeout(PATIENCE)
    sys.exit(main(sys.argv[1:]))
