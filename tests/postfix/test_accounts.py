"""A real Postfix that asks ``gatepost accounts``: every map, delivered mail, and logins."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from accounts.directory import aliases, domains, mailboxes, sender_rights
from accounts.store.migrate import upgrade
from accounts.store.settings import DatabaseSettings
from accounts.store.transaction import Write
from tests.daemon.accounts_process import SECRET, AccountsDaemon, quick_hash
from tests.postfix.conftest import StartPostfix
from tests.testbed import swaks
from tests.testbed.postfix import PrivatePostfix, Service
from tests.testbed.postfix_files import MX_RESTRICTIONS, SUBMISSION_RESTRICTIONS
from tests.testbed.postgres import PostgresServer
from tests.testbed.sink import Sink
from tests.testbed.smtp import RawClient, Reply
from tests.testbed.swaks import Client, Exchange
from tests.testbed.waiting import wait_until

ANNA, BOB = "anna@example.org", "bob@example.org"


def people(write: Write) -> None:
    domains.add(write, "example.org")
    domains.add(write, "example.net", alias_of="example.org")
    domains.add(write, "strict.example", transport="smtp:[127.0.0.1]:1")
    domains.add(write, "relayed.example", is_relay=True)
    mailboxes.add(write, ANNA, password=quick_hash())
    mailboxes.add(write, BOB, password=quick_hash(), forwards=["bob@far.example"])
    mailboxes.add(write, "off@example.org", password=quick_hash(), enabled=False)
    mailboxes.add(write, "machine@strict.example", password=quick_hash(), may_send=False)
    mailboxes.add(write, "box@strict.example")
    aliases.add(write, "info@example.org", targets=[ANNA, "eve@far.example"])
    aliases.add(write, "sales-*@example.org", targets=[BOB])
    domains.change(write, "example.org", None, catch_all=ANNA)
    sender_rights.add(write, ANNA, "boss@example.org")


class Place:
    """A Postfix, the daemon that it asks, and the database server; None for SQLite."""

    def __init__(
        self, gate: AccountsDaemon, postfix: PrivatePostfix, server: PostgresServer | None
    ) -> None:
        self.gate = gate
        self.postfix = postfix
        self._server = server

    def postmap(self, table: str, key: str) -> str | None:
        """Return what ``postmap -q`` prints; None where it finds nothing."""
        done = subprocess.run(
            ["postmap", "-c", self.postfix.configuration, "-q", key, self.address(table)],
            env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.stderr == ""
        assert done.returncode == (0 if done.stdout else 1)
        return done.stdout.removesuffix("\n") or None

    def address(self, table: str) -> str:
        return f"socketmap:unix:{self.gate.socket}:{table}"

    def send(self, subject: str, *recipients: str) -> Exchange:
        return swaks.send(
            self.postfix.port("mx"),
            sender="someone@far.example",
            recipients=list(recipients),
            subject=subject,
            client=Client("203.0.113.5"),
        )

    def rcpt(self, recipient: str) -> Reply:
        """Return the reply to RCPT TO, without a message."""
        with RawClient(self.postfix.port("mx")) as client:
            client.hello(address="203.0.113.5")
            assert client.command("MAIL FROM:<someone@far.example>").code == 250
            return client.command(f"RCPT TO:<{recipient}>")

    def submit(
        self, password: str, login: str = ANNA, sender: str = "", mechanism: str = "PLAIN"
    ) -> Exchange:
        options = ["--auth", mechanism, "--auth-user", login, "--auth-password", password]
        return swaks.send(
            self.postfix.port("submission"),
            sender=sender or login,
            recipients=["friend@far.example"],
            subject="submitted",
            client=Client("203.0.113.9"),
            options=options,
        )

    def away(self) -> None:
        """Take the database away and wait until the daemon has noticed."""
        if self._server is not None:
            self._server.kill()
        else:
            self.gate.file.rename(self.gate.file.with_suffix(".away"))
        wait_until(
            lambda: self.gate.daemon.metric("gatepost_accounts_database_up") == 0, "it to be away"
        )

    def back(self) -> None:
        if self._server is not None:
            self._server.start()
        else:
            self.gate.file.with_suffix(".away").rename(self.gate.file)
        wait_until(lambda: self.gate.probe() == (200, "ok\n"), "the database to be back")


@pytest.fixture(params=["sqlite", "postgres"])
def place(
    request: pytest.FixtureRequest, directory: Path, start_postfix: StartPostfix, sink: Sink
) -> Iterator[Place]:
    server = PostgresServer() if request.param == "postgres" else None
    url = ""
    if server is not None:
        server.__enter__()
        url = server.new_database()
        upgrade(DatabaseSettings(url=url))
    gate = AccountsDaemon(directory / "accounts", url=url)
    gate.change(people)
    (directory / "accounts").chmod(0o711)
    try:
        with gate:
            yield Place(gate, start_postfix(*_site(gate, sink)), server)
    finally:
        if server is not None:
            server.__exit__()


def _site(gate: AccountsDaemon, sink: Sink) -> tuple[list[Service], dict[str, str]]:
    def socketmap(table: str) -> str:
        return f"socketmap:unix:{gate.socket}:{table}"

    submission = {
        **SUBMISSION_RESTRICTIONS,
        "smtpd_sender_restrictions": "reject_authenticated_sender_login_mismatch",
    }
    settings = {
        "virtual_mailbox_domains": socketmap("domains"),
        "virtual_mailbox_maps": socketmap("mailboxes"),
        "virtual_alias_maps": socketmap("aliases"),
        "transport_maps": socketmap("transport"),
        "relay_domains": socketmap("relay"),
        "relay_recipient_maps": socketmap("relay"),
        "smtpd_sender_login_maps": socketmap("senders"),
        "virtual_transport": sink.postfix,
        "recipient_delimiter": "+",
        "smtpd_sasl_path": str(gate.sasl),
    }
    return [Service("mx", MX_RESTRICTIONS), Service("submission", submission)], settings


def test_postmap_resolves_every_map(place: Place) -> None:
    expected = {
        ("domains", "example.org"): "example.org",
        ("domains", "Example.NET"): "example.net",
        ("domains", "relayed.example"): None,
        ("domains", "far.example"): None,
        ("mailboxes", ANNA): ANNA,
        ("mailboxes", "anna+lists@example.net"): ANNA,
        ("mailboxes", "off@example.org"): None,
        ("mailboxes", "nobody@strict.example"): None,
        ("aliases", ANNA): None,
        ("aliases", "info+x@example.org"): "anna+x@example.org, eve@far.example",
        ("aliases", "sales-7@example.net"): f"{BOB}, bob@far.example",
        ("aliases", "anything@example.org"): ANNA,
        ("aliases", BOB): f"{BOB}, bob@far.example",
        ("senders", "boss@example.org"): ANNA,
        ("senders", "off@example.org"): None,
        ("transport", "box@strict.example"): "smtp:[127.0.0.1]:1",
        ("transport", ANNA): None,
        ("relay", "relayed.example"): "relayed.example",
        ("relay", "anyone@relayed.example"): "relayed.example",
        ("relay", "example.org"): None,
    }
    for (table, key), value in expected.items():
        assert place.postmap(table, key) == value, (table, key)


def test_mail_is_delivered_to_whom_it_is_meant_for(place: Place, sink: Sink) -> None:
    expected = {
        "extension": ("anna+lists@example.org", {"anna+lists@example.org"}),
        "catch-all": ("no.such.name@example.org", {ANNA}),
        "alias-domain": ("anna@example.net", {"anna@example.net", ANNA}),
        "wildcard": ("sales-3@example.org", {BOB, "bob@far.example"}),
        "forwarding": (BOB, {BOB, "bob@far.example"}),
        "alias": ("info@example.org", {ANNA, "eve@far.example"}),
        "relay": ("who@relayed.example", {"who@relayed.example"}),
    }
    for subject, (recipient, _) in expected.items():
        sent = place.send(subject, recipient)
        assert sent.accepted, (subject, sent.transcript)
    place.postfix.wait_for_empty_queue()
    for subject, (_, recipients) in expected.items():
        arrived = [one for one in sink.deliveries if one.fields("Subject") == [subject]]
        found = {name for one in arrived for name in one.recipients}
        assert found <= recipients, subject
        assert len(found) == (1 if subject == "alias-domain" else len(recipients)), subject
    refused = place.rcpt("nobody@strict.example")
    assert refused.code == 550
    assert "User unknown" in refused.text
    assert place.rcpt("off@example.org").code == 550
    assert place.rcpt("who@far.example").code == 554


def test_submission(place: Place, sink: Sink) -> None:
    for mechanism in ("PLAIN", "LOGIN"):
        assert place.submit(SECRET, mechanism=mechanism).accepted
    assert place.submit(SECRET, sender="boss@example.org").accepted
    assert place.submit(SECRET, sender=BOB).reply.code == 553
    assert place.submit("wrong").reply.code == 535
    assert place.submit("wrong", login="nobody@example.org").reply.code == 535
    for login in ("off@example.org", "machine@strict.example"):
        refused = place.submit(SECRET, login=login).reply
        assert refused.code == 535
        assert "this account" in refused.text
    sink.wait_for_subject("submitted")
    place.away()
    for password in (SECRET, "wrong"):
        failed = place.submit(password).reply
        assert (failed.code, failed.text[:5]) == (454, "4.7.0")
    place.back()
    assert wait_until(lambda: place.submit(SECRET).accepted, "logins to be back")
    assert SECRET not in place.gate.daemon.log.read_text()


def test_without_the_database_nothing_bounces_and_nobody_is_unknown(
    place: Place, sink: Sink
) -> None:
    """Mail for known and never seen addresses arrives all the time; it is known, or it waits."""
    known = [ANNA, "info@example.org", "anna+known@example.org", "sales-1@example.org"]
    for address in known:
        assert place.rcpt(address).code == 250
    codes: dict[str, set[int]] = {}
    stop = threading.Event()

    def load(kind: str) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            address = known[number % len(known)] if kind == "known" else f"new{number}@example.org"
            codes.setdefault(kind, set()).add(place.rcpt(address).code)

    threads = [threading.Thread(target=load, args=(kind,)) for kind in ("known", "new")]
    for thread in threads:
        thread.start()
    try:
        for round_ in range(2):
            subject = f"during {round_}"
            place.away()
            sent = place.send(subject, *known)
            assert sent.accepted, sent.transcript
            assert place.rcpt(f"never{round_}@strict.example").code == 451
            place.back()
            sink.wait_for_subject(subject)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    place.postfix.flush()
    place.postfix.wait_for_empty_queue()
    assert codes["known"] == {250}
    assert codes["new"] <= {250, 451}
    log = place.postfix.log_text()
    assert "status=bounced" not in log
    assert "User unknown" not in log
    assert place.rcpt("never0@strict.example").code == 550
