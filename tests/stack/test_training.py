"""Training of a real spamd by what users do in a real Dovecot, and by the nightly job."""

from __future__ import annotations

import imaplib
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon import corpus
from tests.daemon.delivery_site import GTUBE, DeliveryDaemon
from tests.daemon.spamd_server import SpamdServer
from tests.daemon.test_delivery_learning import Teacher
from tests.stack.mailboxes import ANNA, BOB, DOVEADM, IMAP, KEY, LMTP, TOKEN, Mailboxes, hang_up
from tests.testbed.daemon import gatepost_command
from tests.testbed.pod import Network
from tests.testbed.ports import free_port
from tests.testbed.waiting import wait_until

SERVICE = "192.0.2.27"
"""Where the pod reaches the service that teaches."""
DATE = imaplib.Time2Internaldate(time.time())


class Training:
    """Dovecot in its pod; spamd and the proxy on this machine."""

    def __init__(self, mailboxes: Mailboxes, network: Network, folder: Path) -> None:
        self.mailboxes = mailboxes
        self.spamd = SpamdServer(folder / "spamd", learns_from=6)
        self.port = free_port()
        for name, secret in (("token", TOKEN), ("key", KEY)):
            (folder / name).write_text(secret)
            (folder / name).chmod(0o600)
        self.daemon = DeliveryDaemon(
            folder,
            {
                "spam": {
                    "address": self.spamd.address,
                    "users_folder": str(self.spamd.users),
                    "timeout": 30,
                    "min_learned": 6,
                    "unchecked_after": "1s",
                },
                "stores": {"default": f"inet:{LMTP}@{mailboxes.address}"},
                "learning": {
                    "listen": f"inet:{self.port}@{SERVICE}",
                    "token_file": str(folder / "token"),
                },
                "night": {
                    "imap": f"inet:{IMAP}@{mailboxes.address}",
                    "doveadm_url": f"http://{mailboxes.address}:{DOVEADM}",
                    "key_file": str(folder / "key"),
                },
            },
        )
        self.teacher = Teacher(self.port, TOKEN, SERVICE)
        mailboxes.config.update(
            {
                "DOVECOT_LEARNING": f"{SERVICE}:{self.port}",
                "DOVECOT_LEARNING_TOKEN_FILE": "/secrets/token",
                "DOVECOT_MASTER_NETWORKS": network.subnet,
                "DOVECOT_TRUSTED_NETWORKS": network.subnet,
            }
        )
        wait_until(self.is_configured, "the configuration of Dovecot", deadline=60)

    def is_configured(self) -> bool:
        return "learn-spam" in self.mailboxes.dovecot.execute("doveconf") and self.may_enter()

    def may_enter(self, user: str = ANNA, key: str = KEY) -> bool:
        """Return whether the master user is let in."""
        client = imaplib.IMAP4(self.mailboxes.address, IMAP, timeout=30)
        try:
            client.authenticate("PLAIN", lambda _: f"{user}\0doveadm\0{key}".encode())
        except imaplib.IMAP4.error:
            return False
        finally:
            hang_up(client)
        return True

    def learned(self, user: str) -> tuple[int, int]:
        """Return what a user has taught: spam and ham."""
        stats = self.teacher.stats(user)
        return stats["spam"], stats["ham"]

    def train(self, *options: str) -> tuple[int, str]:
        """Run the nightly job; return its exit status and its output."""
        done = subprocess.run(
            [gatepost_command(), "spam", "train", "--config", self.daemon.config, *options],
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def training(mailboxes: Mailboxes, network: Network) -> Iterator[Training]:
    before = mailboxes.config.files()
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        training = Training(mailboxes, network, Path(name))
        try:
            with training.spamd:
                training.daemon.start()
                yield training
        finally:
            training.daemon.stop()
            mailboxes.config.replace(before)


@pytest.fixture
def bob(training: Training) -> Iterator[imaplib.IMAP4]:
    """A session of a user without mail and without lessons."""
    yield from session(training, BOB)


@pytest.fixture
def anna(training: Training) -> Iterator[imaplib.IMAP4]:
    yield from session(training, ANNA)


def session(training: Training, user: str) -> Iterator[imaplib.IMAP4]:
    client = training.mailboxes.imap(user)
    for folder in ("INBOX", "Junk", "Trash", "Drafts", "Sent", "Archive"):
        if client.select(folder)[1] != [b"0"]:
            client.store("1:*", "+FLAGS", "\\Deleted")
            client.expunge()
    assert training.teacher.ask("/reset", user=user)[0] == 200
    yield client


def put(client: imaplib.IMAP4, folder: str, message: bytes, flags: str = "") -> None:
    status, answer = client.append(folder, f"({flags})", DATE, message)
    assert status == "OK", answer


def keywords(client: imaplib.IMAP4, folder: str) -> list[set[str]]:
    """Return the flags of the messages in a folder, without \\Recent."""
    if client.select(folder)[1] == [b"0"]:
        return []
    _, lines = client.fetch("1:*", "(FLAGS)")
    found = [imaplib.ParseFlags(line) for line in lines if isinstance(line, bytes)]
    return [{flag.decode() for flag in flags} - {"\\Recent"} for flags in found]


def test_what_a_user_moves_is_learned_at_once(training: Training, bob: imaplib.IMAP4) -> None:
    message = next(corpus.spam(1, seed=20))
    (answer,) = training.daemon.send(message, BOB)
    assert answer.startswith("250 "), answer
    bob.select("INBOX")
    assert bob._simple_command("MOVE", "1", "Junk")[0] == "OK"
    assert training.learned(BOB) == (1, 0)
    assert training.teacher.stats(BOB)["sources"] == {"imap": 1}
    assert keywords(bob, "Junk") == [{"$LearnedSpam"}]
    # it was a mistake
    assert bob._simple_command("MOVE", "1", "INBOX")[0] == "OK"
    assert training.learned(BOB) == (0, 1)
    assert keywords(bob, "INBOX") == [{"$LearnedHam"}]
    # the message that was sent is the one that was learned
    assert training.teacher.ask("/forget", message, user=BOB) == (200, {"forgotten": True})
    assert training.learned(BOB) == (0, 0)
    # copied, and put there by a mail program; octets that are no UTF-8 arrive as they are
    bob.copy("1", "Junk")
    put(bob, "Junk", b"Subject: caf\xe9\r\n\r\n\xff\xfe\x80 nothing\r\n")
    assert training.learned(BOB) == (2, 0)
    octets = b"Subject: caf\xe9\r\n\r\n\xff\xfe\x80 nothing\r\n"
    assert training.teacher.ask("/forget", octets, user=BOB) == (200, {"forgotten": True})
    # into Trash teaches nothing
    bob.select("Junk")
    assert bob._simple_command("MOVE", "1:*", "Trash")[0] == "OK"
    assert training.learned(BOB) == (1, 0)
    # nor does what is delivered or moved elsewhere
    training.daemon.send(message, BOB)
    bob.select("INBOX")
    bob.copy("1:*", "Archive")
    assert training.learned(BOB) == (1, 0)


def test_a_service_that_is_away_disturbs_nobody(training: Training, bob: imaplib.IMAP4) -> None:
    put(bob, "INBOX", next(corpus.spam(1, seed=21)), "\\Seen")
    bob.select("INBOX")
    training.daemon.stop()
    try:
        assert bob._simple_command("MOVE", "1", "Junk")[0] == "OK"
        assert keywords(bob, "Junk") == [{"\\Seen"}]
        assert training.mailboxes.subjects(BOB, "INBOX") == []
        status, output = training.train("--user", BOB)
        assert status == 1
        assert "ended early" in output
    finally:
        training.daemon.start()
    # a hanging spamd holds the user up for a few seconds
    put(bob, "INBOX", next(corpus.spam(1, seed=22)), "\\Seen")
    bob.select("INBOX")
    training.spamd.pause()
    begun = time.monotonic()
    try:
        assert bob._simple_command("MOVE", "1", "Junk")[0] == "OK"
        assert time.monotonic() - begun < 20
    finally:
        training.spamd.kill()
        training.spamd.start()
    assert keywords(bob, "Junk") == [{"\\Seen"}, {"\\Seen"}]
    # the nightly job does what is missing
    status, output = training.train("--user", BOB, "--min-age", "0")
    assert (status, "2 as spam" in output) == (0, True), output
    assert keywords(bob, "Junk") == [{"\\Seen", "$LearnedSpam"}] * 2


def test_the_night(training: Training, bob: imaplib.IMAP4, anna: imaplib.IMAP4) -> None:
    mail = iter([*corpus.spam(6, seed=30), *corpus.ham(9, seed=30)])
    dovecot = training.mailboxes.dovecot

    def deliver(folder: str, flags: str = "") -> None:
        """By doveadm, which runs no Sieve."""
        dovecot.execute("doveadm", "save", "-u", BOB, "-m", folder, stdin=next(mail).decode())
        if flags:
            bob.select(folder)
            bob.store("*", "+FLAGS", f"({flags})")

    deliver("Junk")  # the filter filed it, and nobody has looked
    deliver("Junk", "\\Seen")
    deliver("Junk", "\\Seen")
    deliver("Junk", "\\Seen \\Deleted")
    deliver("Junk", "\\Seen $NotJunk")
    deliver("Junk", "\\Seen $LearnedSpam")
    deliver("INBOX")
    deliver("INBOX", "\\Seen")
    deliver("INBOX", "\\Seen $Junk")
    for folder in ("Trash", "Sent", "Drafts"):
        deliver(folder, "\\Seen")
    deliver("Archive", "\\Seen")
    # mail of today is not learned yet, but for what a user has marked
    status, output = training.train("--user", BOB)
    assert (status, output.splitlines()[0]) == (
        0,
        f"{BOB}: 0 as spam, 1 as ham, 0 scanned again, 0 moved to Junk",
    )
    status, output = training.train("--min-age", "0")
    assert status == 0, output
    assert f"{BOB}: 2 as spam, 2 as ham, 0 scanned again, 0 moved to Junk" in output.splitlines()
    assert training.learned(BOB) == (2, 3)
    assert training.learned(ANNA) == (0, 0)
    assert training.teacher.stats(BOB)["sources"] == {"night": 5}
    marks = [flags & {"$LearnedSpam", "$LearnedHam", "\\Seen"} for flags in keywords(bob, "Junk")]
    spam, ham = {"\\Seen", "$LearnedSpam"}, {"\\Seen", "$LearnedHam"}
    assert marks == [set(), spam, spam, {"\\Seen"}, ham, spam]
    assert keywords(bob, "INBOX") == [set(), ham, {"\\Seen", "$Junk"}]
    # the second night does nothing
    status, output = training.train("--min-age", "0")
    assert status == 0
    assert BOB not in output
    status, output = training.train("--min-age", "0", "--user", BOB)
    assert status == 0
    assert ": 0 as spam, 0 as ham, 0 scanned again, 0 moved" in output
    assert training.learned(BOB) == (2, 3)


def test_mail_without_a_scan_is_scanned_at_night(training: Training, bob: imaplib.IMAP4) -> None:
    training.spamd.kill()
    sent = [next(corpus.ham(1, seed=40)), next(corpus.ham(1, seed=41))]
    sent[1] += GTUBE.encode() + b"\r\n"
    # with the same queue id, Dovecot takes them for one message that comes again
    sent = [one.replace(b"4XyzAb12", b"4XyzAb%d" % (40 + n)) for n, one in enumerate(sent)]
    try:
        training.daemon.send(sent[0], BOB)
        time.sleep(1.5)
        for message in sent:
            assert training.daemon.send(message, BOB)[0].startswith("250 ")
    finally:
        training.spamd.start()
    assert training.train("--user", BOB)[1].splitlines()[0] == (
        f"{BOB}: 0 as spam, 0 as ham, 2 scanned again, 1 moved to Junk"
    )
    assert keywords(bob, "INBOX") == [{"$SpamChecked"}]
    assert keywords(bob, "Junk") == [{"$SpamChecked"}]
    # this was no lesson
    assert training.learned(BOB) == (0, 0)
    # who takes it out again has decided
    assert bob._simple_command("MOVE", "1", "INBOX")[0] == "OK"
    assert training.learned(BOB) == (0, 1)
    assert "1 user: 0 as spam, 0 as ham, 0 scanned" in training.train("--user", BOB)[1]
    assert len(keywords(bob, "INBOX")) == 2


def test_a_failure_with_one_user_keeps_no_other_from_the_night(
    training: Training, bob: imaplib.IMAP4
) -> None:
    put(bob, "INBOX", next(corpus.ham(1, seed=50)), "\\Seen")
    users = ("--user", "nobody@example.org", "--user", BOB, "--user", "a/../b@example.org")
    status, output = training.train(*users, "--min-age", "0")
    assert status == 1
    assert f"{BOB}: 0 as spam, 1 as ham" in output
    assert "failed: 2 users" in output
    # there is no time for anything
    status, output = training.train("--min-age", "0", "--limit-time", "1ms")
    assert (status, "left for another night" in output) == (0, True), output


def test_the_master_user_needs_the_key_and_the_network(training: Training) -> None:
    assert training.may_enter()
    assert not training.may_enter(key=KEY + "x")
    assert not training.may_enter("nobody@example.org")
    training.mailboxes.config.update({"DOVECOT_MASTER_NETWORKS": "203.0.113.0/24"})
    wait_until(lambda: not training.may_enter(), "the master user to be refused", deadline=60)
