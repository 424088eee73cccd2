"""The mail system on the machine, and the programs with which its users reach it."""

from __future__ import annotations

import contextlib
import imaplib
import re
import ssl
from collections.abc import Sequence
from typing import Self

from tests.stack.debian.machine import DebianMachine
from tests.stack.everyday import CAROL, deliver
from tests.stack.mailboxes import any_certificate, hang_up
from tests.stack.stack import DOMAIN, FRIEND, World
from tests.testbed import swaks
from tests.testbed.managesieve import ManageSieve
from tests.testbed.smtp import RawClient, Reply
from tests.testbed.swaks import Client, Exchange
from tests.testbed.waiting import wait_until


class Site:
    """A machine on which docs/debian.md was followed."""

    def __init__(self, machine: DebianMachine, world: World) -> None:
        self.machine = machine
        self.world = world
        self.told: dict[str, str] = {}
        """The output of the commands, by the heading of the page."""
        self.passwords: dict[str, str] = {}
        self._sessions = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sessions.close()

    def read_passwords(self, *names: str) -> None:
        """Read the passwords that the page has made."""
        for name in names:
            self.passwords[f"{name}@{DOMAIN}"] = self.machine.run(
                f"cat /root/{name}.password"
            ).strip()

    def publish_key(self, selector: str) -> None:
        key = self.machine.run(f"gatepost dkim show {DOMAIN} {selector} --json")
        found = re.search(r'"public_record": *"([^"]+)"', key)
        assert found is not None, key
        self.world.dns.add(f"{selector}._domainkey.{DOMAIN}", "TXT", found[1])

    def restart(self) -> None:
        """Restart all of userspace, as after a change of the kernel."""
        before = self.machine.run("systemctl show -p UserspaceTimestampMonotonic").strip()
        self.machine.run("systemctl soft-reboot --no-block")

        def is_another() -> bool:
            with contextlib.suppress(AssertionError):
                now = self.machine.run("systemctl show -p UserspaceTimestampMonotonic").strip()
                return now not in ("", before)
            return False

        wait_until(is_another, "the machine to begin anew", deadline=90, pause=0.5)
        self.machine.wait_booted()

    def deliver(
        self,
        subject: str,
        recipient: str,
        client: str = FRIEND,
        sender: str = CAROL,
        *,
        body: str = "Hello.\r\n",
    ) -> Exchange:
        """Send mail from outside; see `everyday.deliver`."""
        return deliver(self.machine.address, subject, recipient, client, sender, body=body)

    def submit(
        self,
        subject: str,
        login: str,
        recipients: Sequence[str],
        *,
        port: int = 587,
        option: str = "--tls",
        sender: str = "",
        password: str = "",
    ) -> Exchange:
        """Send mail as a mail program does."""
        return swaks.send(
            port,
            host=self.machine.address,
            sender=sender or login,
            recipients=recipients,
            subject=subject,
            client=Client(login=login, password=password or self.passwords[login]),
            options=[option],
        )

    def rcpt(self, recipient: str, size: int) -> Reply:
        with RawClient(25, host=self.machine.address, interface=FRIEND) as client:
            client.hello()
            assert client.command(f"MAIL FROM:<{CAROL}> SIZE={size}").code == 250
            return client.command(f"RCPT TO:<{recipient}>")

    def imap(self, login: str, password: str = "") -> imaplib.IMAP4:
        trust: ssl.SSLContext = any_certificate()
        client = imaplib.IMAP4_SSL(self.machine.address, 993, ssl_context=trust, timeout=60)
        self._sessions.callback(hang_up, client)
        client.login(login, password or self.passwords[login])
        return client

    def sieve(self, login: str, script: str) -> None:
        client = ManageSieve(self.machine.address, 4190)
        try:
            client.login(login, self.passwords[login])
            client.put("mine", script)
        finally:
            client.close()

    def wait_for(self, subject: str, login: str, folder: str = "INBOX") -> bytes:
        """Wait until the message is in the folder, and return its header."""

        def found() -> bytes:
            line = f"\r\nSubject: {subject}\r\n".encode()
            client = self.imap(login)
            try:
                status, count = client.select(f'"{folder}"', readonly=True)
                if status != "OK" or count == [b"0"]:
                    return b""
                _, answer = client.fetch("1:*", "(BODY.PEEK[HEADER])")
                headers = [one[1] for one in answer if isinstance(one, tuple)]
                return next((one for one in headers if line in b"\r\n" + one), b"")
            finally:
                client.logout()

        return wait_until(found, f"{subject!r} in {folder} of {login}", deadline=40, pause=0.3)
