"""A whole system with ClamAV and small disks: viruses, full disks, and a scanner that was away."""

from __future__ import annotations

import base64
import itertools
import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.stack import filtered
from tests.stack.everyday import CAROL
from tests.stack.spam import EICAR, GTUBE
from tests.stack.stack import DOMAIN, FRIEND, World
from tests.stack.test_spam import asleep, delivered, limit, status
from tests.stack.up import WholeSystem
from tests.testbed import disk, swaks
from tests.testbed.metrics import MetricsPort
from tests.testbed.pod import Network
from tests.testbed.swaks import Client, Exchange
from tests.testbed.waiting import wait_until
from tests.testbed.web_folder import WebFolder
from tools.up.people import ANNA, BERT

MIRROR = "192.0.2.91"
SIGNATURE = f"Test.Eicar:0:*:{EICAR.strip().encode().hex()}\n"
NAME = "Test.Eicar.UNOFFICIAL"
QUARANTINE, DORA = f"quarantine@{DOMAIN}", f"dora@{DOMAIN}"
VALUES = f"""
virus: {{enabled: true}}
clamav:
  files:
    CLAMAV_OFFICIAL: "no"
    CLAMAV_URLS: http://{MIRROR}/site.ndb
"""
MAIL_SIZE, SPAM_SIZE = 16 << 20, 32 << 20
ATTACHED = f"""--b\r
Content-Type: text/plain\r
\r
See the invoice.\r
--b\r
Content-Type: application/octet-stream; name=invoice.pdf\r
Content-Transfer-Encoding: base64\r
\r
{base64.b64encode(EICAR.strip().encode()).decode()}\r
--b--\r
"""
MIME = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def disks() -> Iterator[dict[str, Path]]:
    """The small disks of the system, by the names of its volumes."""
    with (
        tempfile.TemporaryDirectory(prefix="gatepost-test-", dir="/tmp") as name,
        ExitStack() as on,
    ):
        folder = Path(name)
        folder.chmod(0o755)
        yield {
            volume: on.enter_context(disk.mounted(folder / volume, size))
            for volume, size in (("mail", MAIL_SIZE), ("spam", SPAM_SIZE))
        }


@pytest.fixture(scope="module")
def guarded(network: Network, world: World, disks: dict[str, Path]) -> Iterator[WholeSystem]:
    with tempfile.TemporaryDirectory() as name, WebFolder(MIRROR, Path(name)) as mirror:
        (mirror.folder / "site.ndb").write_text(SIGNATURE)
        world.remote.clear()  # what other systems sent is no bounce of this one
        with filtered.running(network, world, VALUES, disks) as whole:
            yield whole


def send(guarded: WholeSystem, subject: str, *recipients: str) -> Exchange:
    """Send a message from outside, with the test virus as its attachment."""
    head = f"From: {CAROL}\r\nTo: you\r\nSubject: {subject}\r\n{MIME}\r\n"
    return swaks.send(
        25,
        host=guarded.address,
        sender=CAROL,
        recipients=recipients,
        message=(head + ATTACHED).encode(),
        client=Client(interface=FRIEND, helo="mail.remote.example"),
    )


def queue(guarded: WholeSystem) -> list[dict[str, Any]]:
    """Return the queue of Postfix."""
    lines = guarded.containers["postfix"].execute("postqueue", "-j").splitlines()
    return [json.loads(line) for line in lines]


def subjects(guarded: WholeSystem, user: str) -> bytes:
    """Return the headers of all messages of a user."""
    return b"".join(one for each in ("INBOX", "Junk") for one in guarded.headers(user, each))


def story(guarded: WholeSystem, recipient: str) -> dict[str, Any]:
    """Return the latest story that the administrator is told about mail to a recipient."""
    told: list[dict[str, Any]] = json.loads(guarded.command("trace", recipient, "--json"))
    return told[0]


def nobody_got_a_bounce(guarded: WholeSystem) -> bool:
    """Return whether nothing came for the author of all mail from outside, or will come."""
    wait_until(lambda: not queue(guarded), "the queue to be empty", pause=0.5)
    return not guarded.world.remote.matching(lambda one: CAROL in one.recipients)


def move(guarded: WholeSystem, user: str, subject: str, source: str, target: str) -> bool:
    """Move a message; return whether Dovecot did it."""
    client = guarded.imap(user)
    client.select(source)
    _, found = client.search(None, "SUBJECT", f'"{subject}"')
    answer, _ = client._simple_command("MOVE", found[0].decode(), target)
    client.logout()
    return bool(answer == "OK")


def metric(guarded: WholeSystem, name: str, **labels: str) -> float:
    return MetricsPort(guarded.address, 9105).metric(name, **labels)


def test_a_virus_is_refused_while_its_sender_is_connected(guarded: WholeSystem) -> None:
    assert b"\r\nX-Virus-Status: Clean\r\n" in delivered(guarded, "no virus")
    sent = send(guarded, "a virus", ANNA, BERT)
    assert sent.reply.code == 550, sent.transcript
    assert f"the message has a virus: {NAME} [virus]" in sent.reply.text
    (entry,) = guarded.containers["milters"].log_entries(virus=NAME)
    assert entry["virus_scan"] == "found"
    told = wait_until(
        lambda: next((one for one in [story(guarded, ANNA)] if one["state"] == "refused"), None),
        "the refusal in the journal",
        pause=0.3,
    )
    assert NAME in json.dumps(told)
    # our own users are told as well, by their mail programs
    sent = swaks.send(
        guarded.place.ports["submission"],
        sender=ANNA,
        recipients=[BERT, CAROL],
        message=f"From: {ANNA}\r\nSubject: a virus\r\n\r\n{EICAR}".encode(),
        client=Client(login=ANNA, password=guarded.password(ANNA)),
        options=["--tls"],
    )
    assert sent.reply.code == 550, sent.transcript
    assert nobody_got_a_bounce(guarded)
    for user in (ANNA, BERT):
        assert b"Subject: a virus" not in subjects(guarded, user)


@pytest.fixture
def quarantined(guarded: WholeSystem) -> Iterator[WholeSystem]:
    """The system as it is with a quarantine: the milter does not ask ClamAV."""
    before = guarded.configuration()
    values = f"virus: {{enabled: true, quarantine: {QUARANTINE}}}\n"
    other = filtered.configuration(filtered.render(values))
    if QUARANTINE not in guarded.command("user", "list"):
        guarded.add_user(QUARANTINE)
    _replace(guarded, {**before, **{name: other[name] for name in ("milters", "delivery")}})
    yield guarded
    _replace(guarded, before)


def _replace(guarded: WholeSystem, configuration: dict[str, Any]) -> None:
    told = "configuration reloaded"
    users = [guarded.containers[name] for name in ("milters", "delivery")]
    counts = [one.log().count(told) for one in users]
    guarded.replace_configuration(configuration)
    for one, count in zip(users, counts, strict=True):
        one.wait_for_log(told, count=count + 1)


def test_a_virus_that_nobody_refused_is_in_the_quarantine(quarantined: WholeSystem) -> None:
    sent = send(quarantined, "to the quarantine", ANNA, BERT)
    assert sent.accepted, sent.transcript

    def kept() -> list[bytes]:
        found = quarantined.headers(QUARANTINE)
        return [one for one in found if b"\r\nSubject: to the quarantine\r\n" in one]

    # Postfix hands over one recipient at a time
    wait_until(lambda: len(kept()) == 2, "two copies in the quarantine", pause=0.5)
    for one in kept():
        assert f"\r\nX-Virus-Status: Infected ({NAME})\r\n".encode() in b"\r\n" + one
    for user in (ANNA, BERT):
        assert sum(f"X-Envelope-To: <{user}>\r\n".encode() in one for one in kept()) == 1
        assert b"Subject: to the quarantine" not in subjects(quarantined, user)
    assert nobody_got_a_bounce(quarantined)
    assert metric(quarantined, "gatepost_delivery_quarantined_total") == 2
    entries = quarantined.containers["delivery"].log_entries(verdict="quarantined")
    assert [entry["virus"] for entry in entries] == [NAME] * 2
    wait_until(lambda: story(quarantined, BERT)["state"] == "quarantined", "the journal", pause=0.3)
    assert b"\r\nX-Virus-Status: Clean\r\n" in delivered(quarantined, "no virus for delivery")


def test_a_virus_waits_while_the_quarantine_is_not_there(quarantined: WholeSystem) -> None:
    quarantined.command("user", "remove", QUARANTINE, "--yes")
    try:
        assert send(quarantined, "without a quarantine", BERT).accepted
        quarantined.containers["postfix"].wait_for_log("[quarantine-failed]")
        (waiting,) = queue(quarantined)
        assert [one["address"] for one in waiting["recipients"]] == [BERT]
    finally:
        quarantined.command("user", "restore", QUARANTINE)
    quarantined.wait_for("without a quarantine", QUARANTINE)
    assert b"Subject: without a quarantine" not in subjects(quarantined, BERT)
    assert nobody_got_a_bounce(quarantined)


def test_mail_waits_while_the_mail_store_is_full(
    guarded: WholeSystem, disks: dict[str, Path]
) -> None:
    delivered(guarded, "before the disk was full")
    postfix = guarded.containers["postfix"]
    disk.fill(disks["mail"])
    try:
        for number, body in enumerate(("Hello.\r\n", GTUBE, "Hello.\r\n" * 2000)):
            sent = guarded.deliver(f"on a full disk {number}", ANNA, body=body)
            assert sent.accepted, sent.transcript
        wait_until(
            lambda: sum("delay_reason" in json.dumps(one) for one in queue(guarded)) == 3,
            "three messages that wait",
            pause=0.5,
        )
        # what is there can be read, and what cannot be moved stays where it is
        guarded.wait_for("before the disk was full", ANNA)
        assert not move(guarded, ANNA, "before the disk was full", "INBOX", "Archive")
        assert b"Subject: on a full disk" not in subjects(guarded, ANNA)
        wait_until(lambda: story(guarded, ANNA)["state"] == "queued", "the journal", pause=0.3)
    finally:
        disk.make_room(disks["mail"])
    for number, folder in enumerate(("INBOX", "Junk", "INBOX")):
        guarded.wait_for(f"on a full disk {number}", ANNA, folder)
    guarded.wait_for("before the disk was full", ANNA)
    assert subjects(guarded, ANNA).count(b"\r\nSubject: on a full disk") == 3
    assert "status=bounced" not in postfix.log()
    assert nobody_got_a_bounce(guarded)


def train(guarded: WholeSystem, user: str) -> tuple[int, str]:
    """Run the nightly job for one user; return its exit status and its output."""
    command = ("gatepost", "spam", "train", "--user", user, "--min-age", "0")
    done = guarded.containers["training"].attempt(*command)
    return done.returncode, done.stdout + done.stderr


def lessons(guarded: WholeSystem, user: str) -> str:
    return guarded.containers["delivery"].execute("gatepost", "spam", "stats", user)


def test_training_says_what_failed_while_its_disk_is_full(
    guarded: WholeSystem, disks: dict[str, Path]
) -> None:
    guarded.add_user(DORA)
    for subject in ("learned before", "learned in vain"):
        assert guarded.deliver(subject, DORA).accepted
        guarded.wait_for(subject, DORA)
    assert move(guarded, DORA, "learned before", "INBOX", "Junk")
    assert "1 message as spam" in lessons(guarded, DORA)
    delivery = guarded.containers["delivery"]
    disk.fill(disks["spam"])
    try:
        # mail is scanned all the same
        guarded.command("user", "set", DORA, "--rule-scores", "HTML_MESSAGE=0")
        numbers = itertools.count()

        def is_told() -> bool:
            subject = f"scanned on a full disk {next(numbers)}"
            assert guarded.deliver(subject, DORA).accepted
            assert status(guarded.wait_for(subject, DORA)).startswith("No, score=")
            return bool(delivery.log_entries(event="preferences not written"))

        # delivery hears of the preferences a moment later
        wait_until(is_told, "preferences that cannot be written", pause=0.5)
        assert move(guarded, DORA, "learned in vain", "INBOX", "Junk")
        (entry,) = delivery.log_entries(event="lesson", user=DORA, outcome="failed")
        assert entry["kind"] == "spam"
        assert "disk is full" in entry["why"]
        client = guarded.imap(DORA)
        client.select("Junk")
        client.store("1:*", "+FLAGS", "\\Seen")
        client.logout()
        code, output = train(guarded, DORA)
        assert code == 1, output
        assert "disk is full" in output
    finally:
        disk.make_room(disks["spam"])
    code, output = train(guarded, DORA)
    assert (code, "1 as spam" in output) == (0, True), output
    assert "2 messages as spam" in lessons(guarded, DORA)
    assert train(guarded, DORA)[1].splitlines()[0].startswith("1 user: 0 as spam")


def test_the_night_finds_what_nobody_has_scanned(guarded: WholeSystem) -> None:
    """Mail is held back for two seconds, as configured here, in place of an hour: the clock of a
    container cannot be set."""
    limit(guarded, unchecked_after="2s", timeout="2s")
    try:
        with asleep(guarded):
            for subject, body in (("spam at night", GTUBE), ("ham at night", "Hello.\r\n")):
                assert guarded.deliver(subject, BERT, body=body).accepted
                header = guarded.wait_for(subject, BERT)
                assert status(header) == "Unchecked, reason=scanner-away"
        assert metric(guarded, "gatepost_delivery_unchecked_total", scanner="spam") >= 2
    finally:
        limit(guarded, unchecked_after="1h", timeout="60s")
    wait_until(guarded.containers["spamassassin"].is_ready, "spamd to be back", pause=0.2)
    code, output = train(guarded, BERT)
    assert code == 0, output
    assert "2 scanned again, 1 moved to Junk" in output
    guarded.wait_for("spam at night", BERT, "Junk")
    guarded.wait_for("ham at night", BERT)
    # the second night finds nothing, and neither was a lesson
    assert "0 scanned again, 0 moved to Junk" in train(guarded, BERT)[1]
    assert "0 messages as spam, 0 as ham" in lessons(guarded, BERT)
