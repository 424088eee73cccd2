"""A whole system with Rspamd in the place of SpamAssassin (`spam.engine: rspamd` of the chart)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stack import filtered
from tests.stack.spam import GTUBE
from tests.stack.stack import World
from tests.stack.test_spam import asleep, delivered, limit, score, spam_fields, status, symbols
from tests.stack.up import WholeSystem
from tests.testbed.metrics import MetricsPort
from tests.testbed.pod import Network
from tests.testbed.waiting import wait_until
from tools.up.people import ANNA, BERT

VALUES = """
spam: {engine: rspamd}
rspamd: {files: {RSPAMD_MIN_LEARNED: "1"}}
"""
PILLS = "cheap watches and pills for everybody who reads this wonderful offer today\r\n" * 8
GARDEN = "the minutes of our meeting about the garden and the new fence by the river\r\n" * 8
pytestmark = pytest.mark.timeout(900)
"""At its first start, Rspamd compiles patterns for half a minute or more."""


@pytest.fixture(scope="module")
def other(network: Network, world: World) -> Iterator[WholeSystem]:
    with filtered.running(network, world, VALUES) as whole:
        yield whole


def test_no_container_is_there_that_the_engine_does_not_need(other: WholeSystem) -> None:
    assert {"rspamd", "bayes", "delivery", "training"} <= other.containers.keys()
    assert not {"spamassassin", "spamrules"} & other.containers.keys()


def test_spam_is_in_junk_and_other_mail_in_the_inbox(other: WholeSystem) -> None:
    header = delivered(other, "no spam")
    assert status(header).startswith("No, score=")
    assert b"\r\nX-Spam-Flag:" not in header
    assert other.deliver("spam", ANNA, body=GTUBE).accepted
    header = other.wait_for("spam", ANNA, "Junk")
    assert status(header).startswith("Yes, score=")
    assert "GTUBE" in symbols(header)
    assert b"\r\nX-Spam-Flag: YES\r\n" in header
    assert b"\r\nSubject: spam\r\n" not in b"".join(other.headers(ANNA))


def test_nothing_that_a_sender_writes_changes_the_score(other: WholeSystem) -> None:
    plain = delivered(other, "nothing forged")
    assert set(spam_fields(plain)) <= {b"X-Spam-Status:", b"X-Spam-Score:", b"X-Spam-Level:"}
    forged = {
        "the flag": "X-Spam-Flag: YES\r\nX-Spam-Status: Yes, score=99\r\nX-Spam-Level: *****\r\n",
        "the fields of Rspamd": "X-Spamd-Result: default: True [99.00 / 1.00]\r\nX-Spam: Yes\r\n",
        "in odd cases": "x-SPAM-flag : YES\r\nX-Spam-Score: -100\r\n",
    }
    for name, fields in forged.items():
        header = delivered(other, name, fields=fields)
        assert score(header) == score(plain), name
        assert symbols(header) == symbols(plain), name
        assert spam_fields(header) == spam_fields(plain), name


def move(other: WholeSystem, user: str, subject: str, source: str, target: str) -> None:
    client = other.imap(user)
    client.select(source)
    _, found = client.search(None, "SUBJECT", f'"{subject}"')
    assert client._simple_command("MOVE", found[0].decode(), target)[0] == "OK"
    client.logout()


def stats(other: WholeSystem, user: str) -> str:
    return other.containers["delivery"].execute("gatepost", "spam", "stats", user)


def test_what_a_user_moves_teaches_rspamd_for_this_user_alone(other: WholeSystem) -> None:
    for subject, body in (("pills", PILLS), ("garden", GARDEN)):
        delivered(other, subject, body=body)
        move(other, ANNA, subject, "INBOX", "Junk")
    assert "2 messages as spam, 0 as ham" in stats(other, ANNA)
    # that was a mistake
    move(other, ANNA, "garden", "Junk", "INBOX")
    assert "1 message as spam, 1 as ham" in stats(other, ANNA)
    assert "0 messages as spam, 0 as ham" in stats(other, BERT)
    # her own lessons alone make it spam
    assert other.deliver("more pills", ANNA, body=PILLS).accepted
    assert "BAYES_SPAM" in symbols(other.wait_for("more pills", ANNA, "Junk"))
    assert "BAYES_HAM" in symbols(delivered(other, "more garden", body=GARDEN))
    assert other.deliver("pills for Bert", BERT, body=PILLS).accepted
    header = other.wait_for("pills for Bert", BERT)
    assert not {"BAYES_SPAM", "BAYES_HAM"} & symbols(header)


def read_junk(other: WholeSystem) -> None:
    """Mark all mail in Bert's Junk as read."""
    client = other.imap(BERT)
    client.select("Junk")
    client.store("1:*", "+FLAGS", "\\Seen")
    client.logout()


def train(other: WholeSystem) -> str:
    """Run the nightly job for Bert; return its output."""
    command = ("gatepost", "spam", "train", "--user", BERT, "--min-age", "0")
    return other.containers["training"].execute(*command)


def test_the_night_learns_what_a_user_has_read(other: WholeSystem) -> None:
    assert other.deliver("spam to read", BERT, body=f"{GTUBE}{PILLS}").accepted
    other.wait_for("spam to read", BERT, "Junk")
    read_junk(other)
    assert f"{BERT}: 1 as spam, 0 as ham" in train(other)
    assert "1 message as spam, 0 as ham" in stats(other, BERT)
    assert ": 0 as spam, 0 as ham" in train(other)


def test_mail_waits_while_rspamd_does_not_answer(other: WholeSystem) -> None:
    limit(other, timeout="2s")
    try:
        with asleep(other, "rspamd"):
            assert other.deliver("while it is silent", ANNA).accepted
            other.containers["postfix"].wait_for_log("[scanner-away]")
            assert "451 4." in other.containers["postfix"].log()
            assert MetricsPort(other.address, 9105).metric(
                "gatepost_delivery_scanner_outage", scanner="spam"
            )
            other.containers["rspamd"].kill_and_wait_ready()
        header = other.wait_for("while it is silent", ANNA)
        assert status(header).startswith("No, score="), "nobody has scanned it"
    finally:
        limit(other, timeout="60s")
    copies = [one for one in other.headers(ANNA) if b"\r\nSubject: while it is silent\r\n" in one]
    assert len(copies) == 1


def test_while_its_database_is_silent_mail_is_scanned_and_nothing_is_called_learned(
    other: WholeSystem,
) -> None:
    with asleep(other, "bayes"):
        assert other.deliver("without a database", BERT, body=GARDEN).accepted
        assert status(other.wait_for("without a database", BERT)).startswith("No, score=")
        before = stats(other, BERT)
        move(other, BERT, "without a database", "INBOX", "Junk")
        assert other.containers["delivery"].log_entries(event="lesson", outcome="failed", user=BERT)
        assert stats(other, BERT) == before
    # nobody has read it
    assert ": 0 as spam" in train(other)
    read_junk(other)
    assert f"{BERT}: 1 as spam" in train(other)


def test_what_was_learned_outlives_a_restart(other: WholeSystem) -> None:
    for name in ("bayes", "delivery"):
        other.containers[name].kill_and_wait_ready()
    wait_until(other.containers["rspamd"].is_ready, "Rspamd to be ready", pause=0.5)
    assert other.deliver("pills again", ANNA, body=PILLS).accepted
    assert "BAYES_SPAM" in symbols(other.wait_for("pills again", ANNA, "Junk"))
