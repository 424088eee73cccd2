"""Preferences from accounts in `gatepost delivery`, with a real spamd."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from email import message_from_bytes
from email.header import decode_header, make_header
from pathlib import Path
from typing import NamedTuple

import pytest

from accounts.directory import domain_preferences, domains, listed_senders, mailboxes, preferences
from accounts.store.transaction import Write
from tests.daemon.accounts_process import AccountsDaemon
from tests.daemon.delivery_site import HAM, HEAD, DeliverySite, StoredMessage
from tests.daemon.spamd_server import SpamdServer
from tests.testbed.waiting import wait_until

PEOPLE = ("ann", "bob", "carl", "dora", "eve", "fred")
GERMAN = (
    HEAD
    + b"\r\n"
    + (
        b"Sehr geehrte Damen und Herren, wir bitten Sie, die beigefuegte Rechnung bis zum Ende des "
        b"Monats zu bezahlen. Wenn Sie Fragen haben, koennen Sie uns jederzeit schreiben. "
        b"Unsere Mitarbeiter werden Ihnen gerne helfen und Ihre Fragen so bald wie moeglich "
        b"beantworten.\r\nMit freundlichen Gruessen, Ihre Buchhaltung\r\n"
    )
)
BAYES = """
use_bayes 1
bayes_min_ham_num 1
bayes_min_spam_num 1
"""


def people(write: Write) -> None:
    for domain in ("example.org", "example.net"):
        domains.add(write, domain)
    for name in PEOPLE:
        mailboxes.add(write, f"{name}@example.org")
    mailboxes.add(write, "gina@example.net")
    mailboxes.add(write, "hans@example.net")
    for name in ("ann", "carl", "dora"):
        preferences.change(
            write, f"{name}@example.org", None, rule_scores={"T_HELLO": 9}, subject_tag="[Müll]"
        )
    domain_preferences.change(write, "example.net", None, languages=("en",), subject_tag="[D]")
    preferences.change(write, "hans@example.net", None, languages=("de",))
    listed_senders.OF_DOMAIN.add(write, "example.net", "block", "@blocked.example")


class Site(NamedTuple):
    accounts: AccountsDaemon
    spamd: SpamdServer
    delivery: DeliverySite

    def score(self, message: bytes, address: str) -> tuple[float, set[str], StoredMessage]:
        """Send a message; return the score, the rules that hit and the stored message."""
        (answer,) = self.delivery.send(message, address)
        assert answer.startswith("250 "), answer
        stored = self.delivery.store.of(address)[-1]
        rules = stored.fields("X-Spam-Status")[0].partition("tests=")[2]
        score = float(stored.fields("X-Spam-Score")[0])
        return score, set("".join(rules.split()).split(",")), stored

    @property
    def shared(self) -> list[Path]:
        return sorted((self.spamd.users / "site").glob("prefs-*"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    # spamd runs as nobody, who cannot enter the folders of pytest
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        spamd = SpamdServer(Path(name), ("Bayes", "TextCat"), BAYES)
        spamd.learn("site@site", "spam", HEAD + b"\r\ncheap pills offer casino winner\r\n" * 3)
        spamd.learn("site@site", "ham", HEAD + b"\r\nminutes of the meeting on tuesday\r\n" * 3)
        accounts = AccountsDaemon(folder / "accounts")
        accounts.write({"snapshot_listen": f"unix:{folder}/snapshots.sock"})
        accounts.change(people)
        (folder / "delivery").mkdir()
        with spamd:
            delivery = DeliverySite(
                folder / "delivery",
                {
                    "spam": {
                        "address": spamd.address,
                        "users_folder": str(spamd.users),
                        "timeout": 60,
                        "share_for": 0,
                    },
                    "accounts": {
                        "url": f"unix:{folder}/snapshots.sock",
                        "preferences": True,
                        "folder": str(folder / "state"),
                    },
                },
            )
            try:
                accounts.daemon.start()
                delivery.daemon.start()
                yield Site(accounts, spamd, delivery)
            finally:
                delivery.__exit__()
                accounts.close()


def subject_of(stored: StoredMessage) -> str:
    return str(make_header(decode_header(message_from_bytes(stored.data)["Subject"])))


def test_the_scores_of_rules_are_those_of_the_mailbox(site: Site) -> None:
    plain, _, stored = site.score(HAM, "bob@example.org")
    assert subject_of(stored) == "hello"
    score, _, stored = site.score(HAM, "ann@example.org")
    assert score == pytest.approx(plain + 8)
    assert subject_of(stored) == "[Müll] hello"
    assert stored.data.endswith(HAM.partition(b"\r\n\r\n")[2])
    # three mailboxes with the same preferences, and two without, are two scans
    names = [f"{name}@example.org" for name in ("ann", "bob", "carl", "dora", "eve")]
    before = scans(site)
    assert [one[:3] for one in site.delivery.send(HAM, *names)] == ["250"] * 5
    assert scans(site) == before + 2
    words = [site.delivery.store.of(name)[-1].status for name in names]
    assert words == ["Yes", "No", "Yes", "Yes", "No"]
    assert len(site.shared) == 1


def scans(site: Site) -> float:
    return site.delivery.daemon.metric(
        "gatepost_delivery_scans_total", scanner="spam", outcome="done"
    )


def test_mailboxes_that_share_preferences_have_the_bayes_data_of_the_site(site: Site) -> None:
    spam = HEAD + b"\r\ncheap pills offer casino winner\r\n"
    data = site.spamd.users / "site" / "site" / "bayes_toks"
    before = data.read_bytes()
    _, rules, _ = site.score(spam, "ann@example.org")
    assert any(rule.startswith("BAYES_") for rule in rules), rules
    assert data.read_bytes() == before
    for folder in site.shared:
        assert (folder / "bayes_toks").is_symlink()


def test_languages_of_the_domain_and_of_the_mailbox(site: Site) -> None:
    score, rules, stored = site.score(GERMAN, "gina@example.net")
    assert "UNWANTED_LANGUAGE_BODY" in rules
    other, rules, _ = site.score(GERMAN, "hans@example.net")
    assert "UNWANTED_LANGUAGE_BODY" not in rules
    assert score > other
    assert "UNWANTED_LANGUAGE_BODY" not in site.score(GERMAN, "bob@example.org")[1]
    blocked = GERMAN.replace(b"sender@example.com", b"x@blocked.example")
    site.delivery.send(blocked, "gina@example.net")
    stored = site.delivery.store.of("gina@example.net")[-1]
    assert stored.status == "Yes"
    assert subject_of(stored) == "[D] hello"


def test_a_mailbox_with_bayes_data_of_its_own(site: Site) -> None:
    address = "fred@example.org"
    for kind, text in (("spam", b"newsletter of the club"), ("ham", b"cheap pills offer")):
        site.spamd.learn(address, kind, HEAD + b"\r\n" + text * 3 + b"\r\n")
    plain, _, _ = site.score(HAM, address)
    file = site.spamd.users / "example.org" / "fred" / "user_prefs"
    assert not file.exists()
    shared = site.shared

    def prefer(**values: object) -> None:
        site.accounts.change(
            lambda write: preferences.change(write, address, None, **values)  # type: ignore[arg-type]
        )

    prefer(rule_scores={"T_HELLO": 3})
    # without a restart of anything
    wait_until(
        lambda: site.score(HAM, address)[0] == pytest.approx(plain + 2), "the change to be used"
    )
    assert b"score T_HELLO 3.000\n" in file.read_bytes()
    assert site.shared == shared
    prefer(rule_scores={})
    wait_until(lambda: site.score(HAM, address)[0] == pytest.approx(plain), "the default")
    assert not file.exists()


def test_preferences_that_cannot_be_written_delay_no_mail(site: Site) -> None:
    folder = site.spamd.users / "site"
    (away := site.spamd.users / "away").mkdir()
    moved = folder.rename(site.spamd.users / "moved")
    try:
        folder.symlink_to(away)
        score, _, _ = site.score(HAM, "ann@example.org")
        assert score == site.score(HAM, "bob@example.org")[0]
        assert list(away.iterdir()) == []
        site.delivery.daemon.wait_for_log(event="preferences not written")
    finally:
        folder.unlink()
        moved.rename(folder)
    assert site.score(HAM, "ann@example.org")[2].status == "Yes"
