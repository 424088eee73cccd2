"""The system of `make up`, and the programs with which its users reach it."""

from __future__ import annotations

import contextlib
import imaplib
import io
import poplib
import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.stack.everyday import CAROL, deliver
from tests.stack.mailboxes import any_certificate, hang_up
from tests.stack.stack import DELAY, DNS_HOST, DOMAIN, FRIEND, GREET_WAIT, KNOWN, World
from tests.testbed import swaks, toml
from tests.testbed.container import Container
from tests.testbed.managesieve import ManageSieve
from tests.testbed.manifest import overlaid
from tests.testbed.mounted import MountedFolder
from tests.testbed.pod import Network
from tests.testbed.podman import inspect
from tests.testbed.retries import QUICK_RETRIES_CF
from tests.testbed.smtp import RawClient, Reply
from tests.testbed.swaks import Client, Exchange
from tests.testbed.waiting import wait_until
from tools.steps import Steps
from tools.up.lifecycle import end, start
from tools.up.people import SELECTOR, People
from tools.up.place import HOST, PORTS, SETTINGS, Place
from tools.up.system import System

_QUEUED = re.compile(rb"\(Postfix\) with E?SMTPS?A? id (\w+)")
_POSTFIX = f"postscreen_greet_wait = {GREET_WAIT}s\n{QUICK_RETRIES_CF}"


class WholeSystem:
    """A system in the network of the tests; `start()` does what `make up` does.

    `manifest` is the text of the rendered chart, if it is not that of `make up`.
    """

    def __init__(
        self,
        network: Network,
        world: World,
        state: Path,
        *,
        manifest: str = "",
        ports: Mapping[str, int] = PORTS,
    ) -> None:
        self.network = network
        self.world = world
        self.place = Place(
            name=network.new_name(),
            state=state,
            ports=ports,
            network=network.name,
            nameserver=DNS_HOST,
        )
        self.system = System(self.place, manifest)
        self.printed = io.StringIO()
        self.containers: dict[str, Container] = {}
        self._passwords: dict[str, str] = {}
        self._sessions = contextlib.ExitStack()

    def close(self) -> None:
        """End all sessions and remove everything of it."""
        self._sessions.close()
        self.network.remove(self.place.name)

    def start(self) -> People | None:
        people = start(self.system, Steps(self.printed))
        self.containers = {one.short: one for one in self.system.containers()}
        self._passwords.update(people.passwords if people else {})
        return people

    def settle(self, settings: str) -> None:
        """Make it somebody's own system, with these settings from the next start on."""
        (self.place.state / SETTINGS).write_text(settings)
        self.place = self.place.with_settings()
        self.system = System(self.place)

    def end(self, *, keep: bool) -> None:
        end(self.system, Steps(self.printed), keep=keep)

    def hurry(self) -> None:
        """Publish the DKIM key, and shorten the waits of Postfix and the greylist."""
        key = self.command("dkim", "show", DOMAIN, SELECTOR, "--json")
        found = re.search(r'"public_record": *"([^"]+)"', key)
        assert found is not None, key
        self.world.dns.add(f"{SELECTOR}._domainkey.{DOMAIN}", "TXT", found[1])
        self._folder("postfix").update({"tests.cf": _POSTFIX})
        self.configure({"policyd": {"greylist": {"delay": f"{DELAY}s", "allow_clients": [KNOWN]}}})
        self.containers["postfix"].wait_for_log("run: configuration reloaded")
        self.containers["policyd"].wait_for_log("reloaded")
        # it has seen that there was no record, and looks again in a minute; or when it starts
        self.containers["milters"].kill_and_wait_ready()

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Lay keys over gatepost.toml; the daemons read it again soon."""
        self.replace_configuration(overlaid(self.configuration(), settings))

    def configuration(self) -> dict[str, Any]:
        """Return gatepost.toml as it is now."""
        return tomllib.loads(self._folder("gatepost").files()["gatepost.toml"])

    def replace_configuration(self, settings: Mapping[str, Any]) -> None:
        """Write another gatepost.toml; the daemons read it again soon."""
        self._folder("gatepost").update({"gatepost.toml": toml.document(settings)})

    def _folder(self, name: str) -> MountedFolder:
        return MountedFolder(Path(inspect("volume", f"{self.place.name}-{name}")["Mountpoint"]))

    @property
    def address(self) -> str:
        """The pod itself: there the address of a client is its own."""
        infra = inspect("container", self.containers["postfix"].name)
        return str(infra["NetworkSettings"]["Networks"][self.network.name]["IPAddress"])

    def command(self, *words: str, stdin: str = "") -> str:
        return self.containers["accounts"].execute("gatepost", *words, stdin=stdin)

    def password(self, login: str) -> str:
        return self._passwords[login]

    def remember(self, login: str, password: str) -> None:
        """Log in with this password from now on: somebody else has made the user."""
        self._passwords[login] = password

    def add_user(self, address: str, *options: str) -> None:
        self._passwords[address] = "a horse that nobody has seen"
        self.command("user", "add", address, *options, stdin=self._passwords[address])

    def deliver(
        self,
        subject: str,
        recipient: str,
        client: str = FRIEND,
        sender: str = CAROL,
        *,
        fields: str = "",
        body: str = "Hello.\r\n",
    ) -> Exchange:
        """Send mail from outside; see `everyday.deliver`."""
        return deliver(self.address, subject, recipient, client, sender, fields=fields, body=body)

    def submit(
        self,
        subject: str,
        login: str,
        recipients: Sequence[str],
        *,
        service: str = "submission",
        sender: str = "",
        password: str = "",
    ) -> Exchange:
        """Send mail as a mail program does, by a port of this machine."""
        return swaks.send(
            self.place.ports[service],
            host=HOST,
            sender=sender or login,
            recipients=recipients,
            subject=subject,
            client=Client(login=login, password=password or self.password(login)),
            options=["--tls-on-connect" if service == "submissions" else "--tls"],
        )

    def rcpt(self, recipient: str, size: int) -> Reply:
        with RawClient(25, host=self.address, interface=FRIEND) as client:
            client.hello()
            assert client.command(f"MAIL FROM:<{CAROL}> SIZE={size}").code == 250
            return client.command(f"RCPT TO:<{recipient}>")

    def imap(self, login: str, password: str = "") -> imaplib.IMAP4:
        port = self.place.ports["imaps"]
        client = imaplib.IMAP4_SSL(HOST, port, ssl_context=any_certificate(), timeout=60)
        self._sessions.callback(hang_up, client)
        client.login(login, password or self.password(login))
        return client

    def pop3(self, login: str, password: str = "") -> poplib.POP3:
        port = self.place.ports["pop3s"]
        client = poplib.POP3_SSL(HOST, port, context=any_certificate(), timeout=60)
        self._sessions.callback(client.close)
        client.user(login)
        client.pass_(password or self.password(login))
        return client

    def sieve(self, login: str, script: str) -> None:
        client = ManageSieve(HOST, self.place.ports["sieve"])
        try:
            client.login(login, self.password(login))
            client.put("mine", script)
        finally:
            client.close()

    def headers(self, login: str, folder: str = "INBOX") -> list[bytes]:
        """Return the headers of the messages in a folder; none if it is not there."""
        client = self.imap(login)
        try:
            status, count = client.select(f'"{folder}"', readonly=True)
            if status != "OK" or count == [b"0"]:
                return []
            _, found = client.fetch("1:*", "(BODY.PEEK[HEADER])")
            return [one[1] for one in found if isinstance(one, tuple)]
        finally:
            client.logout()

    def wait_for(self, subject: str, login: str, folder: str = "INBOX") -> bytes:
        """Wait until the message is in the folder, and return its header."""

        def found() -> bytes:
            line = f"\r\nSubject: {subject}\r\n".encode()
            return next((one for one in self.headers(login, folder) if line in one), b"")

        return wait_until(found, f"{subject!r} in {folder} of {login}", deadline=40, pause=0.3)

    def copies(self, login: str, name: str) -> dict[int, Counter[str]]:
        """Return the queue ids of the messages ``NAME NUMBER`` in the inbox, by their number."""
        found: dict[int, Counter[str]] = {}
        for one in self.headers(login):
            number = re.search(rb"\r\nSubject: %s (\d+)\r\n" % name.encode(), one)
            queued = _QUEUED.search(re.sub(rb"\r\n[ \t]+", b" ", one))
            if number and queued:
                found.setdefault(int(number[1]), Counter())[queued[1].decode()] += 1
        return found
