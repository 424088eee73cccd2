"""`gatepost delivery` with the preferences and stores of accounts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from accounts.directory import domains, listed_senders, mailboxes, preferences
from accounts.store.transaction import Write
from tests.daemon.accounts_process import AccountsDaemon
from tests.daemon.delivery_site import HAM, SPAM, DeliverySite, StubStore
from tests.testbed.waiting import wait_until

VOUCHED = b"Authentication-Results: mx.example.org; dmarc=pass header.from=example.com\r\n"


def people(write: Write) -> None:
    domains.add(write, "example.org")
    domains.add(write, "alias.example", alias_of="example.org")
    for name in ("ann", "bob", "carl", "dora", "eve"):
        mailboxes.add(write, f"{name}@example.org")
    mailboxes.add(write, "far@example.org", store="shard2")
    mailboxes.add(write, "lost@example.org", store="shard9")
    preferences.change(write, "ann@example.org", None, spam_junk_score=1000.0)
    preferences.change(write, "bob@example.org", None, spam_junk_score=0.1)
    preferences.change(write, "carl@example.org", None, spam_check=False)
    listed_senders.add(write, "dora@example.org", "block", "sender@example.com")
    listed_senders.add(write, "eve@example.org", "allow", "@example.com")


class AccountsSite:
    """Accounts, two stores and the proxy."""

    def __init__(self, folder: Path) -> None:
        self.accounts = AccountsDaemon(folder / "accounts")
        self.accounts.write({"snapshot_listen": f"unix:{folder}/snapshots.sock"})
        self.accounts.change(people)
        self.shard = StubStore()
        self.folder = folder
        (folder / "site").mkdir()
        self.site = DeliverySite(
            folder / "site",
            {
                "accounts": {
                    "url": f"unix:{folder}/snapshots.sock",
                    "preferences": True,
                    "stores": True,
                    "folder": str(folder / "state"),
                },
                "stores": {"named": {"shard2": self.shard.address}},
            },
        )

    def close(self) -> None:
        self.site.__exit__()
        self.accounts.close()
        self.shard.close()


@pytest.fixture
def both(tmp_path: Path) -> Iterator[AccountsSite]:
    both = AccountsSite(tmp_path)
    try:
        yield both
    finally:
        both.close()


def status(site: DeliverySite, message: bytes, address: str) -> str:
    (answer,) = site.send(message, address)
    assert answer.startswith("250 "), answer
    return site.store.messages[-1].fields("X-Spam-Status")[0].partition(" tests=")[0]


def test_preferences_and_stores_of_accounts(both: AccountsSite) -> None:
    site = both.site
    both.accounts.daemon.start()
    site.daemon.start()
    for domain in ("example.org", "alias.example", "EXAMPLE.org"):
        assert status(site, SPAM, f"ann@{domain}") == "No, score=900.0 required=1000.0"
        assert status(site, HAM, f"Bob+news@{domain}") == "Yes, score=0.5 required=0.1"
    scans = len(site.spamd.requests)
    assert status(site, SPAM, "carl@example.org") == "Skipped, reason=preference"
    assert status(site, HAM, "dora@example.org") == "Yes, reason=blocked-sender"
    assert len(site.spamd.requests) == scans
    # an author is only allowed if DMARC vouches for it
    assert status(site, SPAM, "eve@example.org") == "Yes, score=900.0 required=5.0"
    allowed = "No, score=900.0 required=5.0 reason=allowed-sender"
    assert status(site, VOUCHED + SPAM, "eve@example.org") == allowed
    forged = SPAM.replace(b"From: ", VOUCHED + b"From: ", 1)
    assert status(site, forged, "eve@example.org") == "Yes, score=900.0 required=5.0"
    # one message for all of them
    names = [f"{name}@example.org" for name in ("ann", "bob", "carl", "dora", "eve")]
    scans = len(site.spamd.requests)
    assert [one[:3] for one in site.send(SPAM, *names)] == ["250"] * 5
    assert len(site.spamd.requests) == scans + 1
    words = [site.store.of(name)[-1].status for name in names]
    assert words == ["No", "Yes", "Skipped", "Yes", "Yes"]
    # the stores
    answers = site.send(HAM, "ann@example.org", "far@alias.example", "lost@example.org")
    assert [one[:3] for one in answers] == ["250", "250", "451"]
    assert answers[2].endswith("[store-unknown]")
    assert [one.recipients for one in both.shard.messages] == [("far@alias.example",)]
    assert site.store.of("far@alias.example") == []
    # a change is used without a restart
    both.accounts.change(
        lambda write: preferences.change(write, "ann@example.org", None, spam_junk_score=3.0)
    )
    wait_until(
        lambda: "required=3.0" in status(site, HAM, "ann@example.org"), "the change to be used"
    )


def test_without_accounts_mail_waits_until_the_first_data(both: AccountsSite) -> None:
    site = both.site
    site.daemon.launch()
    site.daemon.wait_for_log(event="ready")
    assert not site.daemon.ready()
    (answer,) = site.send(HAM, "far@example.org")
    assert answer.startswith("451 4.3.0 ")
    assert answer.endswith("[accounts-away]")
    both.accounts.daemon.start()
    wait_until(site.daemon.ready, "the data to be used")
    assert site.send(HAM, "far@example.org")[0].startswith("250 ")
    # later they are on disk
    both.accounts.daemon.stop()
    site.daemon.restart()
    assert site.send(HAM, "far@example.org")[0].startswith("250 ")
    assert len(both.shard.messages) == 2


def test_a_store_that_is_away_defers_its_own_recipients_alone(both: AccountsSite) -> None:
    site = both.site
    both.accounts.daemon.start()
    site.daemon.start()
    both.shard.close()
    answers = site.send(HAM, "ann@example.org", "far@example.org", "bob@example.org")
    assert [one[:3] for one in answers] == ["250", "451", "250"]
    assert answers[1].endswith("[store-away]")
    assert site.store.of("far@example.org") == []
