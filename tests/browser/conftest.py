"""The accounts service with its pages, and one browser for all tests."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from accounts.directory import (
    administrators,
    app_passwords,
    daemon_states,
    domain_checks,
    domains,
    greylist_exceptions,
    mailboxes,
    personal_aliases,
    sender_rights,
    sieve_rules,
    tokens,
)
from accounts.dnscheck import DomainReport, FindingLevel
from accounts.dnscheck.finding import DnsFinding
from accounts.journal.journal import MailJournal
from accounts.journal.settings import JournalSettings
from accounts.store.settings import DatabaseSettings
from accounts.store.transaction import Write
from gatepost.journal.record import JournalRecord
from gatepost.listen import Inet
from gatepost.reports.queue_state import QueueDestination, QueueState
from gatepost.reports.report import StateReport
from tests.daemon.accounts_process import AccountsDaemon, people, quick_hash
from tests.daemon.test_delivery_quarantine import QuarantineSite
from tests.testbed.chromium import Chromium
from tests.testbed.ports import LOOPBACK, free_port

RULE = {
    "match": "any",
    "conditions": [
        {"kind": "header", "names": ["List-Id"], "match": "contains", "values": ["postfix-users"]},
        {"kind": "size", "compare": "over", "octets": 500_000},
    ],
    "actions": [{"kind": "fileinto", "mailbox": "Lists/Postfix"}, {"kind": "stop"}],
}


@dataclass
class PagesServer:
    """The running service."""

    daemon: AccountsDaemon
    origin: str
    held: str
    """The path of a mail in quarantine."""


def _more_people(write: Write) -> None:
    administrators.add(write, "root", role="global", password=quick_hash())
    administrators.add(write, "ada", domains=["example.org"], password=quick_hash())
    sender_rights.add(write, "anna@example.org", "info@example.org")
    app_passwords.add(write, "anna@example.org", name="Phone", password=quick_hash())
    sieve_rules.add(write, "anna@example.org", "Postfix list", rule=RULE)
    personal_aliases.add(write, "anna@example.org", description="A shop")
    tokens.add(write, "backup", scopes=["all:read"], administrator="root")
    mailboxes.add(write, "gone@example.org")
    mailboxes.remove(write, "gone@example.org")
    domains.change(write, "example.org", None, named_aliases=3, named_alias_pattern="{name}-*")
    greylist_exceptions.add(write, "client", "2001:db8::/32", domain="example.org", note="A bank")
    now = int(time.time())
    states = (
        StateReport("milters", "mx1.example.org", "0.1.0", now - 5000),
        StateReport("postfix", "mx1.example.org", "0.1.0", now - 5000, queue=_queue(now)),
        StateReport("delivery", "mx2", "0.1.0", now, ("loop: blocked",), ("spam scanner: away",)),
    )
    for state in states:
        daemon_states.note(write.connection, state, now)
    finding = DnsFinding("MX", "example.org", "MX", FindingLevel.ERROR, "example.org has no MX.")
    domain_checks.note(write.connection, DomainReport("example.org", (finding,)), now)
    for number in range(60):
        mailboxes.add(write, f"person{number:02}@example.org", display_name=f"Person {number}")


def _queue(now: int) -> QueueState:
    """Return a queue in which mail has waited for long."""
    reason = f"connect to mx.{'a' * 60}.example[192.0.2.5]:25: Connection timed out"
    waits = QueueDestination(f"{'a' * 60}.example", 38, now - 90_000, reason)
    return QueueState(now, {"active": 2, "deferred": 40, "hold": 5}, waits.oldest, (waits,))


async def _keep_mail(database: DatabaseSettings) -> None:
    """Keep the decisions about a mail that was delayed, accepted and delivered."""
    journal = MailJournal(JournalSettings, database, lambda: "+")
    queue_id, message_id = "4XyzAb12CdZ1", f"<{'a' * 60}@news.example>"

    def record(daemon: str, action: str, reason: str = "", **details: str) -> JournalRecord:
        is_message = daemon != "policyd"
        return JournalRecord(
            # the mailbox was made in this second
            time.time() + 1,
            daemon,
            action,
            reason,
            queue_id if is_message else "",
            message_id=message_id if is_message else "",
            client="2001:db8::1",
            sender=f"news@{'long-' * 8}name.example",
            recipients=("anna@example.org",),
            total=1,
            details=details,
        )

    records = [
        record("policyd", "defer", "greylist-new", reply="450 4.7.1 Try again in 5 minutes"),
        record("policyd", "pass", findings="greylist: passed (after 464 s)"),
        record("milters", "accept", spf="pass", dkim="fail (a body that was changed)"),
        record("delivery", "deliver", verdict="junk", score="7.1", reply="250 2.0.0 Saved"),
    ]
    try:
        await journal.add(records)
    finally:
        await journal.close()


@pytest.fixture(scope="module")
def quarantine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QuarantineSite]:
    """A proxy with a mail in quarantine, which is hard to show."""
    with QuarantineSite(tmp_path_factory.mktemp("quarantine")) as site:
        body = b"<p>a virus <a href='https://" + b"long-" * 60 + b".example/'>click</a></p>\r\n"
        fields = b"Subject: " + b"invoice" * 40 + b"\r\nContent-Type: text/html\r\n\r\n"
        site.send(b"From: x@example.com\r\n" + fields + body, "anna@example.org")
        yield site


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, quarantine: QuarantineSite
) -> Iterator[PagesServer]:
    folder = tmp_path_factory.mktemp("pages")
    key = folder / "accounts.key"
    key.write_bytes(base64.b64encode(b"k" * 32))
    key.chmod(0o600)
    port = free_port()
    daemon = AccountsDaemon(folder)
    daemon.write(
        {
            "database": {"url": daemon.database.url, "key_file": str(key)},
            "http_listen": f"inet:{port}@{LOOPBACK}",
            "pages": {"enabled": True, "host": "localhost"},
            "quarantine": {
                # the second one is always away
                "holders": [f"inet:{quarantine.client.port}@{LOOPBACK}", f"unix:{folder}/none"],
                "token_file": str(quarantine.client.token_file),
            },
            "autoconfig": {
                "imaps": "imap.example.org:993",
                "submissions": "smtp.example.org:465",
                "web_host": "mail.example.org",
            },
        }
    )
    # before the browser starts: afterwards this thread has a loop already
    daemon.change(people)
    daemon.change(_more_people)
    asyncio.run(_keep_mail(daemon.database))
    with daemon:
        listed = quarantine.client.ask("/list", limit=1)
        held = f"/quarantine/{listed['holder']}/{listed['mails'][0]['id']}"
        yield PagesServer(daemon, f"http://{Inet(LOOPBACK, port).host}:{port}", held)


@pytest.fixture(scope="module")
def chromium(server: PagesServer) -> Iterator[Chromium]:
    with Chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def axe() -> str:
    return (Path(__file__).with_name("axe") / "axe.min.js").read_text()
