"""Check of an installed mail system, from a pod of its cluster: `helm test` runs it.

Each check writes one line. The exit status is 0 if all of them passed, and otherwise 1. Settings
come from environment variables, and the password from a file: see `Settings`.
"""

from __future__ import annotations

import imaplib
import os
import smtplib
import socket
import ssl
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from functools import partial
from pathlib import Path

TIMEOUT = 40
"""Seconds for one answer of a server. Postfix lets strangers wait some seconds for its greeting."""
ARRIVAL = 90
"""Seconds until a message has to be in its mailbox."""
US = "helm-test.invalid"
"""The name of this client."""
STRANGE_DOMAIN = "relay-check.invalid"
"""A domain that nobody accepts mail for (RFC 6761 section 6.4)."""


class CheckError(Exception):
    """A check failed; the message says how."""


@dataclass(frozen=True)
class Settings:
    """Addresses of the servers.

    An address is HOST:PORT; an empty one means that there is no such server. `milter` and `policy`
    are addresses as `gatepost probe` takes them.
    """

    smtp: str
    hostname: str
    domain: str
    milter: str
    policy: str
    submission: str
    imap: str
    login: Path | None
    ca_file: str | None

    @staticmethod
    def read(environment: Mapping[str, str]) -> Settings:
        """The settings in CHECK_* variables."""

        def of(name: str) -> str:
            return environment.get(f"CHECK_{name}", "")

        return Settings(
            smtp=of("SMTP"),
            hostname=of("HOSTNAME"),
            domain=of("DOMAIN"),
            milter=of("MILTER"),
            policy=of("POLICY"),
            submission=of("SUBMISSION"),
            imap=of("IMAP"),
            login=Path(of("LOGIN")) if of("LOGIN") else None,
            ca_file=of("CA_FILE") or None,
        )


def _parted(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


def _reply(answer: tuple[int, bytes]) -> str:
    return f"{answer[0]} {answer[1].decode('utf-8', 'replace')}"


def greet(settings: Settings) -> str:
    """EHLO: Postfix greets with its name; with a certificate, TLS starts."""
    with smtplib.SMTP(local_hostname=US, timeout=TIMEOUT) as client:
        banner = client.connect(*_parted(settings.smtp))
        if banner[0] != 220 or settings.hostname not in banner[1].decode("utf-8", "replace"):
            raise CheckError(f"the greeting is not from {settings.hostname}: {_reply(banner)}")
        answer = client.ehlo()
        if answer[0] != 250:
            raise CheckError(f"EHLO: {_reply(answer)}")
        if not client.has_extn("starttls"):
            return "Postfix answers EHLO, without a certificate"
        # RFC 7435 section 1.2: most clients of port 25 do not verify, and this one has no secret
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        client.starttls(context=context)
        client.ehlo()
        return "Postfix answers EHLO and starts TLS"


def ask_through_postfix(settings: Settings) -> str:
    """MAIL and RCPT: Postfix reaches the milter and the policy server, and is no open relay."""
    with smtplib.SMTP(local_hostname=US, timeout=TIMEOUT) as client:
        client.connect(*_parted(settings.smtp))
        client.ehlo()
        answer = client.mail("")
        if answer[0] != 250:
            raise CheckError(f"MAIL (does Postfix reach the milter?): {_reply(answer)}")
        answer = client.rcpt(f"nobody@{STRANGE_DOMAIN}")
        if answer[0] < 400:
            raise CheckError(f"this pod may relay (is it in mail.networks?): {_reply(answer)}")
        if not settings.domain:
            return "Postfix reaches the milter"
        answer = client.rcpt(f"postmaster@{settings.domain}")
        # Postfix says 4.3.5 when a policy server does not answer (SMTPD_POLICY_README).
        if b"4.3.5" in answer[1]:
            raise CheckError(f"RCPT (does Postfix reach the policy server?): {_reply(answer)}")
        return f"Postfix reaches the milter and the policy server: {_reply(answer)}"


def shake_hands(kind: str, address: str) -> str:
    """The handshake with one daemon of Gatepost."""
    done = subprocess.run(
        ["gatepost", "probe", kind, address], capture_output=True, text=True, timeout=TIMEOUT
    )
    if done.returncode:
        raise CheckError(f"{kind} at {address}: {(done.stderr or done.stdout).strip()}")
    return f"{kind} at {address} answers"


class _Submission(smtplib.SMTP):
    """A connection to an address, to the server with the name in its certificate."""

    def __init__(self, name: str, address: str) -> None:
        self._address = _parted(address)
        super().__init__(name, local_hostname=US, timeout=TIMEOUT)

    def _get_socket(self, _host: str, _port: int, timeout: float) -> socket.socket:
        return socket.create_connection(self._address, timeout)


class _Mailbox(imaplib.IMAP4):
    """The same by IMAP."""

    def __init__(self, name: str, address: str) -> None:
        self._address = _parted(address)
        super().__init__(name, timeout=TIMEOUT)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        return socket.create_connection(self._address, timeout)


def send_and_find(settings: Settings, login: Path) -> str:
    """A message from a mailbox to itself, by submission and back by IMAP; `login` is its folder."""
    user = (login / "user").read_text().strip()
    password = (login / "password").read_text().rstrip("\n")
    context = ssl.create_default_context(cafile=settings.ca_file)
    message = EmailMessage()
    message["From"] = message["To"] = user
    message["Subject"] = "Test of the mail system by helm"
    message["Message-ID"] = mark = f"<{uuid.uuid4()}@{US}>"
    message.set_content("helm test sent this message, and removes it when it has arrived.\n")
    began = time.monotonic()
    with _Submission(settings.hostname, settings.submission) as client:
        client.starttls(context=context)
        client.login(user, password)
        client.send_message(message)
    if not settings.imap:
        return f"{user} sent a message by submission"
    with _Mailbox(settings.hostname, settings.imap) as mailbox:
        mailbox.starttls(context)
        mailbox.login(user, password)
        while time.monotonic() < began + ARRIVAL:
            for folder in ("INBOX", "Junk"):
                if mailbox.select(folder)[0] != "OK":
                    continue
                _, found = mailbox.search(None, "HEADER", "Message-ID", mark)
                if numbers := (found[0] or b"").decode().split():
                    for number in numbers:
                        mailbox.store(number, "+FLAGS", r"(\Deleted)")
                    mailbox.expunge()
                    passed = time.monotonic() - began
                    return f"a message of {user} to itself is in {folder} after {passed:.1f} s"
            time.sleep(1)
    raise CheckError(f"the message to {user} did not arrive within {ARRIVAL} s")


def checks(settings: Settings) -> list[partial[str]]:
    """The checks for the servers that there are, in their order."""
    found = [partial(greet, settings), partial(ask_through_postfix, settings)]
    for kind, address in (("milter", settings.milter), ("policy", settings.policy)):
        if address:
            found.append(partial(shake_hands, kind, address))
    if settings.login and settings.submission:
        found.append(partial(send_and_find, settings, settings.login))
    return found


def _tell(result: str, what: object) -> None:
    sys.stdout.write(f"{result} {what}\n")
    sys.stdout.flush()


def main() -> int:
    """Run the checks; returns the exit status."""
    failed = 0
    for check in checks(Settings.read(os.environ)):
        try:
            _tell("ok  ", check())
        except (CheckError, OSError, imaplib.IMAP4.error, subprocess.SubprocessError) as error:
            _tell("FAIL", error)
            failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
