"""`gatepost trace` with the decisions of three daemons."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from accounts.directory import aliases, daemon_states, domains, mailboxes, tokens
from accounts.journal.journal import MailJournal
from accounts.journal.question import JournalQuestion
from accounts.journal.settings import JournalSettings
from accounts.journal.story import MailStory
from accounts.store.transaction import Write
from gatepost.reports.report import COMPONENTS
from tests.daemon.accounts_process import AccountsDaemon
from tests.daemon.delivery_site import DeliverySite
from tests.daemon.milters import OUTSIDE, Milters
from tests.daemon.policyd_process import PolicyDaemon
from tests.testbed.daemon import gatepost_command
from tests.testbed.dns import DnsServer
from tests.testbed.waiting import wait_until

ANN = "ann@example.org"
MESSAGE_ID = "<a1@example.com>"
MAIL = (
    b"From: Sender <sender@example.com>\r\nTo: ann@example.org\r\nSubject: our secret\r\n"
    b"Message-ID: <a1@example.com>\r\n\r\nHow are you?\r\n"
)
RECEIVED = (
    b"Received: from out.example.com (out.example.com [192.0.2.1])\r\n"
    b"\tby mx.example.org (Postfix) with ESMTPS id %b\r\n"
    b"\tfor <ann@example.org>; Wed, 26 Nov 2026 10:00:00 +0000\r\n"
)


def people(write: Write) -> None:
    domains.add(write, "example.org")
    domains.add(write, "other.example")
    for name in ("ann@example.org", "bob@example.org", "eve@other.example"):
        mailboxes.add(write, name)
    aliases.add(write, "info@example.org", targets=["ann@example.org"])


class TracedSite:
    """Accounts, the policy server, the milter and the proxy."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "snapshots.sock"
        self.accounts = AccountsDaemon(folder / "accounts")
        self.configure()
        self.accounts.change(people)
        source = {"url": f"unix:{self.socket}", "folder": str(folder / "state")}
        self.dns = DnsServer()
        self.dns.add("strict.example", "A", "192.0.2.99")
        self.dns.add("_dmarc.strict.example", "TXT", "v=DMARC1; p=reject")
        self.policyd = PolicyDaemon(
            folder / "policyd",
            {"accounts": source, "greylist": {"delay": "1s"}},
            dns=self.dns.address,
        )
        (folder / "milter").mkdir()
        self.milters = Milters(folder / "milter", self.dns)
        self.milters.configure(
            '[milters.policy.dmarc]\nfail_reject = "reject"\n[milters.accounts]\n'
            f'url = "{source["url"]}"\nfolder = "{source["folder"]}"\n'
        )
        (folder / "delivery").mkdir()
        self.delivery = DeliverySite(folder / "delivery", {"accounts": source})

    def configure(self, **more: Any) -> None:
        """Configure accounts."""
        self.accounts.write(
            {
                "snapshot_listen": f"unix:{self.socket}",
                "http_listen": f"unix:{self.folder}/api.sock",
                **more,
            }
        )

    def start(self) -> None:
        """Start all daemons."""
        self.accounts.daemon.start()
        self.policyd.daemon.start()
        self.milters.start()
        self.delivery.daemon.start()

    def ask(self, sender: str, recipient: str = ANN) -> str:
        """Ask the policy server, as Postfix does at RCPT."""
        return self.policyd.ask(
            client_address=OUTSIDE, client_name="unknown", sender=sender, recipient=recipient
        )

    def receive(self, sender: str, queue_id: str, *recipients: str, message: bytes = MAIL) -> int:
        """Hand a message to the milter; returns the code of its reply."""
        with self.milters.client(OUTSIDE) as client:
            result = client.message(
                message, sender=sender, recipients=recipients or (ANN,), queue_id=queue_id
            )
        return result.code

    def deliver(self, sender: str, queue_id: str) -> None:
        """Hand a message to the proxy."""
        (answer,) = self.delivery.send(RECEIVED % queue_id.encode() + MAIL, ANN, sender=sender)
        assert answer.startswith("250 "), answer

    def trace(self, *words: str) -> list[MailStory]:
        """Search in the journal."""
        settings = self.accounts.database

        async def search() -> list[MailStory]:
            journal = MailJournal(JournalSettings, settings, lambda: "+")
            try:
                return (await journal.search(JournalQuestion(words))).stories
            finally:
                await journal.close()

        return asyncio.run(search())

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [str(gatepost_command()), "trace", *words, "--config", str(self.accounts.config)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def wait_for(self, state: str | tuple[str, ...], *words: str, mails: int = 1) -> MailStory:
        """Wait until the latest mail has this state, or one of these."""
        found: list[MailStory] = []

        def is_there() -> bool:
            found[:] = self.trace(*words)
            return len(found) == mails and found[0].state in (
                (state,) if isinstance(state, str) else state
            )

        wait_until(is_there, f"a mail in the state {state}: {found}")
        return found[0]

    def close(self) -> None:
        """Stop everything."""
        self.policyd.__exit__()
        self.milters.stop()
        self.delivery.__exit__()
        self.accounts.close()
        self.dns.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TracedSite]:
    """Return the daemons, which run for all tests: each has senders of its own."""
    site = TracedSite(tmp_path_factory.mktemp("site"))
    try:
        site.start()
        yield site
    finally:
        site.close()


def test_each_daemon_reports_its_state(site: TracedSite) -> None:
    def states() -> dict[str, tuple[str, ...]]:
        found = site.accounts.read(lambda c: daemon_states.find(c, 0))
        return {one.component: one.problems for one in found}

    well: dict[str, tuple[str, ...]] = dict.fromkeys(COMPONENTS[:4], ())
    wait_until(lambda: states() == well, f"all daemons to be well: {states()}")
    # one that ends says so, and one that comes back is there again
    site.milters.stop()
    wait_until(lambda: "milters" not in states(), "the milter to be gone")
    site.milters.start()
    wait_until(lambda: states() == well, "the milter to be back")


def test_a_greylisted_message_that_is_delivered_later(site: TracedSite) -> None:
    sender, queue_id = "first@example.com", "4XyzAb12CdZ1"
    assert "[greylist-new]" in site.ask(sender)
    story = site.wait_for("greylisted", sender)
    assert story.sentence.startswith("Not accepted yet: greylisted. There was one attempt, on ")
    assert "An attempt after" in story.advice
    assert f"gatepost greylist allow {OUTSIDE}`" in story.advice

    time.sleep(1.1)  # the delay of the greylist
    assert not site.ask(sender).startswith("DEFER")
    assert site.receive(sender, queue_id) == 250
    site.wait_for("accepted", queue_id)
    site.deliver(sender, queue_id)
    story = site.wait_for("delivered", queue_id)
    assert story.sentence.startswith("Delivered on ")
    assert [(event.daemon, event.reason) for event in story.events] == [
        ("policy server", "greylist-new"),
        ("policy server", ""),
        ("milter", ""),
        ("delivery", ""),
    ]
    assert "it came back after" in story.events[1].text
    assert (story.sender, story.recipient, story.message_id) == (sender, ANN, MESSAGE_ID)
    # by each of its names it is the same mail
    for word in (ANN, "a1@example.com", "greylist-new", OUTSIDE):
        assert site.trace(word, sender) == [story], word
    assert site.trace("nobody@example.org") == []

    run = site.command("nobody@example.org")
    assert (run.returncode, run.stderr[:21]) == (1, "No record in 14 days:")
    text = site.command(MESSAGE_ID, sender).stdout
    assert text.startswith("result      Delivered on ")
    assert max(map(len, text.splitlines())) <= 80
    (shown,) = json.loads(site.command(f"[{queue_id}]", "--json").stdout)
    assert shown["state"] == "delivered"
    assert "secret" not in json.dumps(shown)

    line = next(one for one in site.milters.log.read_text().splitlines() if queue_id in one)
    logged = json.loads(line)
    assert (logged["message_id"], logged["to"], logged["recipients"]) == (MESSAGE_ID, [ANN], 1)
    assert logged["size"] == len(MAIL)


def test_a_message_that_dmarc_refuses(site: TracedSite) -> None:
    message = MAIL.replace(b"sender@example.com>\r\nTo", b"boss@strict.example>\r\nTo")
    assert site.receive("second@example.com", "4XyzAb12CdZ2", message=message) == 550
    story = site.wait_for("refused", "dmarc-fail-reject")
    assert "forbids mail that it does not vouch for" in story.sentence
    assert story.advice.startswith("The sender has to send through a server of that domain")


def test_hostile_fields_stay_short_and_printable(site: TracedSite) -> None:
    evil = b"<\x1b[31m\xe2\x80\xae" + b"x" * 10_000 + b"@example.com>"
    message = MAIL.replace(MESSAGE_ID.encode(), evil)
    assert site.receive("third@example.com", "4XyzAb12CdZ3", message=message) == 250
    story = site.wait_for("accepted", "third@example.com")
    assert 200 < len(story.message_id) <= 250
    assert story.message_id.isprintable()
    shown = site.command("third@example.com").stdout
    assert "xxx" in shown
    assert shown.replace("\n", "").isprintable()


def test_the_owner_sees_only_own_mail(site: TracedSite) -> None:
    sender = "fourth@example.com"
    recipients = (ANN, "bob@example.org", "info@example.org", "eve@other.example")
    assert site.receive(sender, "4XyzAb12CdZ4", *recipients) == 250
    site.wait_for("accepted", sender, mails=4)
    _, text = site.accounts.change(
        lambda write: tokens.add(write, "ann", scopes=["all:read"], mailbox=ANN)
    )
    token = site.folder / "token"
    token.write_text(text)
    token.chmod(0o600)
    options = ("--api", f"unix:{site.folder}/api.sock", "--token-file", str(token))
    found = json.loads(site.command(sender, "--json", *options).stdout)
    assert sorted(one["recipient"] for one in found) == [ANN, "info@example.org"]
    assert "bob" not in json.dumps(found)


def test_mail_does_not_wait_for_accounts(site: TracedSite) -> None:
    sender, queue_id = "fifth@example.com", "4XyzAb12CdZ5"
    site.accounts.daemon.kill()
    began = time.monotonic()
    site.ask(sender)
    assert site.receive(sender, queue_id) == 250
    site.deliver(sender, queue_id)
    assert time.monotonic() - began < 5
    # a restart loses nothing
    site.accounts.daemon.start()
    assert len(site.wait_for("delivered", sender).events) == 3


def test_the_file_may_be_lost_or_damaged(site: TracedSite) -> None:
    file = site.accounts.file.with_name("journal.sqlite3")
    for damage in (b"", b"no database at all " * 400):
        aside = file.with_name("damaged")
        aside.write_bytes(damage)
        aside.chmod(0o640)
        for suffix in ("-wal", "-shm"):
            Path(f"{file}{suffix}").unlink(missing_ok=True)
        aside.rename(file)
        sender = f"sixth{len(damage)}@example.com"
        site.ask(sender)
        site.wait_for(("greylisted", "unfinished"), sender)
    assert file.with_name("journal.sqlite3.damaged").exists()


def test_an_address_is_erased(site: TracedSite) -> None:
    sender = "seventh@example.com"
    site.ask(sender)
    site.wait_for(("greylisted", "unfinished"), sender)
    run = site.command("--erase", sender, "--yes")
    assert run.returncode == 0, run.stderr
    assert site.trace(sender) == []


def test_without_days_nothing_is_kept(site: TracedSite) -> None:
    site.configure(journal={"days": 0})
    assert "There is no journal" in site.command(ANN).stderr
    wait_until(lambda: "keeps no journal" in asked(site), "the policy server to hear that")


def asked(site: TracedSite) -> str:
    """Return the log of the policy server after another question."""
    site.ask("eighth@example.com")
    return site.policyd.daemon.log.read_text()
