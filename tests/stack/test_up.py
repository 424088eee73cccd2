"""The whole system of `make up`, as its users and other sites see it."""

from __future__ import annotations

import imaplib
import io
import json
import poplib
import re
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack.everyday import CAROL, EVE, INVOICES_RULE, wait_for_end
from tests.stack.greylist import wait_out_the_delay
from tests.stack.stack import DOMAIN, FRIEND, STRANGER, World
from tests.stack.up import WholeSystem
from tests.testbed.oracles import dkimpy_verdicts
from tests.testbed.pod import Network
from tests.testbed.podman import exists, podman
from tests.testbed.smtp import RawClient
from tests.testbed.smtp_load import Journey, Load
from tests.testbed.waiting import wait_until
from tests.testbed.webmail import Browser
from tools.steps import Steps
from tools.up.lifecycle import UpError, end, start, told
from tools.up.people import ADMINISTRATOR, ANNA, BERT, People
from tools.up.place import HOST, SETTINGS, Place

CARL = f"carl@{DOMAIN}"
MESSAGES, ENDLESS = 2000, 100_000
"""Messages of the load at least, and more than can be sent before it is told to end."""
COLUMNS = 80
LOOK = """
from pathlib import Path
from gatepost.postfix_watch.queue_watcher import read_queue
print(read_queue(Path("/var/spool/postfix/queue/public/showq")).mails)
"""


def test_it_says_what_it_did_and_what_to_try(up: WholeSystem) -> None:
    steps = up.printed.getvalue().splitlines()
    for short in up.containers:
        assert [line for line in steps if line.startswith(f"  ok {short} ")], steps
    assert "delivered after" in up.printed.getvalue()
    people = People({name: up.password(name) for name in (ANNA, BERT, ADMINISTRATOR)})
    text = told(up.system, people)
    usual = text.replace(up.place.name, Place().name)
    assert max(map(len, (*steps, *usual.splitlines()))) <= COLUMNS
    for name, password in people.passwords.items():
        assert f"{name:<20} {password}" in text
    kept = [each.read_text() for each in up.place.state.rglob("*") if each.is_file()]
    assert kept
    assert not [one for one in kept for password in people.passwords.values() if password in one]


def test_mail_from_outside_waits_once_and_is_in_the_mailbox(up: WholeSystem) -> None:
    wait_out_the_delay(lambda: up.deliver("from a stranger", ANNA, STRANGER))
    header = up.wait_for("from a stranger", ANNA)
    assert b"\r\nAuthentication-Results: mail.example.org;" in header


def test_nobody_is_refused_and_nothing_relayed(up: WholeSystem) -> None:
    unknown = up.deliver("to nobody", f"nobody@{DOMAIN}")
    assert unknown.reply.code == 550, unknown.transcript
    relayed = up.deliver("to others", EVE)
    assert relayed.reply.code == 554, relayed.transcript
    assert "Relay access denied" in relayed.reply.text


@pytest.mark.parametrize("service", ["submission", "submissions"])
def test_a_user_writes_to_the_world_with_a_signature(up: WholeSystem, service: str) -> None:
    sent = up.submit(f"by {service}", ANNA, [CAROL, f"info@{DOMAIN}"], service=service)
    assert sent.accepted, sent.transcript
    up.wait_for(f"by {service}", ANNA)  # info is an alias of Anna
    arrived = up.world.remote.wait_for_subject(f"by {service}")
    assert arrived.sender == ANNA
    assert {each for _, each in dkimpy_verdicts(arrived.octets, up.world.dns)} == {"pass"}


def test_the_watch_sees_what_postfix_does(up: WholeSystem) -> None:
    assert up.submit("watched", ANNA, [CAROL]).accepted
    up.world.remote.wait_for_subject("watched")

    def told() -> bool:
        stories = json.loads(up.command("trace", CAROL, ANNA, "--json"))
        return bool(stories) and stories[0]["state"] == "sent"

    wait_until(told, "the delivery in the trace", pause=0.5)
    # without root, it may list the queue, and change neither queue nor log
    watch = up.containers["postfixwatch"]
    looked = watch.execute("/opt/gatepost/bin/python", "-c", LOOK)
    assert "'deferred':" in looked
    for folder in ("/var/spool/postfix", "/var/log/postfix"):
        assert "Read-only" in watch.attempt("touch", f"{folder}/x").stderr
    # the log is on standard output as well
    assert "status=sent" in up.containers["postfix"].log()


def test_a_wrong_password_and_a_forged_sender_are_refused(up: WholeSystem) -> None:
    wrong = up.submit("wrong", ANNA, [BERT], password="not this one, never")
    assert wrong.reply.code == 535, wrong.transcript
    forged = up.submit("forged", ANNA, [CAROL], sender=BERT)
    assert forged.reply.code == 553, forged.transcript
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        up.imap(ANNA, "not this one, never")


def test_an_own_script_and_a_rule_file_mail(up: WholeSystem) -> None:
    # other systems write to the same people
    up.world.remote.clear()
    up.sieve(
        BERT,
        'require ["fileinto", "mailbox", "copy", "vacation"];\n'
        'if header :contains "subject" "list" { fileinto :create "Lists"; }\n'
        f'if header :is "subject" "to redirect" {{ redirect :copy "{EVE}"; }}\n'
        'if header :is "subject" "to answer" { vacation "On vacation."; }\n',
    )
    up.command("rule", "add", BERT, "-", stdin=INVOICES_RULE)
    for subject, recipient in (
        ("the list", BERT),
        ("an invoice", BERT),
        ("with extension", f"bert+Lists@{DOMAIN}"),
        ("to redirect", BERT),
        ("to answer", BERT),
    ):
        sent = up.deliver(subject, recipient)
        assert sent.accepted, sent.transcript
    up.wait_for("an invoice", BERT, "Invoices")
    up.wait_for("the list", BERT, "Lists")
    up.wait_for("with extension", BERT, "Lists")
    up.wait_for("to redirect", BERT)
    sent_on = up.world.remote.wait_for_subject("to redirect")
    assert sent_on.recipients == (EVE,)
    assert sent_on.sender.startswith("SRS0=")
    assert sent_on.sender.endswith("=remote.example=carol@mail.example.org")
    (answer,) = up.world.remote.wait_for(
        lambda one: "On vacation." in one.body.decode() and one.recipients == (CAROL,), "the reply"
    )
    assert answer.sender == "<>"


def test_pop3_and_an_app_password(up: WholeSystem) -> None:
    added = up.command("app-password", "add", ANNA, "phone", "--protocol", "pop3", "--json")
    password = json.loads(added)["new_password"]
    assert up.deliver("by POP3", ANNA).accepted
    up.wait_for("by POP3", ANNA)
    client = up.pop3(ANNA, password)
    count = len(client.list()[1])
    assert b"Subject: by POP3" in client.top(count, 0)[1]
    client.quit()
    with pytest.raises(imaplib.IMAP4.error):
        up.imap(ANNA, password)
    with pytest.raises(poplib.error_proto):
        up.pop3(ANNA, "not this one, never")


def test_a_full_mailbox_and_one_that_is_disabled(up: WholeSystem) -> None:
    up.add_user(CARL, "--quota", "1M")
    assert up.rcpt(CARL, 1000).code == 250
    assert up.rcpt(CARL, 20_000_000).code == 552
    session = up.imap(CARL)
    session.select()
    up.command("user", "set", CARL, "--enabled", "no")
    wait_for_end(session)
    with pytest.raises(imaplib.IMAP4.error):
        up.imap(CARL)
    assert up.submit("disabled", CARL, [ANNA]).reply.code == 535


def test_webmail_shows_the_mailbox(up: WholeSystem) -> None:
    assert up.deliver("seen in the browser", ANNA).accepted
    up.wait_for("seen in the browser", ANNA)
    browser = Browser(HOST, port=up.place.ports["webmail"])
    page = browser.get("/?_task=login")
    assert 'name="_user"' in page.text
    form = {"_token": page.token(), "_task": "login", "_action": "login", "_user": ANNA}
    refused = browser.post("/?_task=login", {**form, "_pass": "not this one, never"})
    assert refused.status == 401
    form["_token"] = browser.get("/?_task=login").token()
    entered = browser.post("/?_task=login", {**form, "_pass": up.password(ANNA)})
    assert (entered.status, "_task=mail" in entered.fields["location"]) == (302, True)
    assert browser.get("/?_task=mail").status == 200
    listed = browser.get("/?_task=mail&_action=list&_mbox=INBOX&_remote=1")
    assert "seen in the browser" in listed.text


@pytest.mark.timeout(1800)
def test_a_container_that_is_killed_takes_no_mail_with_it(up: WholeSystem) -> None:
    """Each message is in the mailbox once, unless its sender heard no reply to the last dot and
    sent it again (RFC 5321 section 6.1: better twice than never). None is there without a scan."""
    shorts = (
        *("accounts", "milters", "policyd", "dovecot", "delivery", "spamassassin"),
        *("postfix", "webmail", "delivery", "dovecot"),
    )
    journey = Journey(up.address, FRIEND, CAROL, ANNA, "kill", helo="mail.remote.example")
    with Load(journey, ENDLESS, sessions=8) as load:
        for number, short in enumerate(shorts):
            load.wait_for(50 + MESSAGES * number // (len(shorts) + 1), deadline=400)
            up.containers[short].kill_and_wait_ready()
        load.wait_for(max(MESSAGES, load.done + 50), deadline=400)
        sent = load.enough()
    assert sent.refused == {}
    wait_until(
        lambda: sent.accepted <= up.copies(ANNA, "kill").keys(),
        "every message that got 250",
        deadline=900,
        pause=2,
    )
    arrived = [one for one in up.headers(ANNA) if b"\r\nSubject: kill " in one]
    assert all(re.search(rb"(?m)^X-Spam-Status: No, score=", one) for one in arrived), "unscanned"
    for number, ids in up.copies(ANNA, "kill").items():
        assert len(ids) <= 1 + sent.unanswered[number], f"message {number} was taken as {ids}"
        assert set(ids.values()) == {1}, f"message {number} was delivered again: {ids}"


def test_a_demonstration_becomes_a_system_with_its_data(up: WholeSystem) -> None:
    with pytest.raises(UpError, match="it is up already"):
        start(up.system, Steps(io.StringIO()))
    up.end(keep=True)
    up.settle('hostname = "mail.example.net"\n[ports]\nsmtp = 2526\n')
    assert up.start() is None, "new users were made"
    up.wait_for("from a stranger", ANNA)
    up.wait_for("an invoice", BERT, "Invoices")
    sent = up.submit("after the pause", ANNA, [BERT])
    assert sent.accepted, sent.transcript
    up.wait_for("after the pause", BERT)
    with RawClient(2526, host=HOST) as client:
        assert client.greeting.text.startswith("mail.example.net ESMTP")
    up.end(keep=False)
    assert "The data are kept" in up.printed.getvalue()
    assert f"{up.place.name}-mail" in podman("volume", "ls", "--format={{.Name}}").split()
    (up.place.state / SETTINGS).unlink()
    up.end(keep=False)
    assert not up.place.state.exists()
    assert up.place.name not in podman("volume", "ls", "--format={{.Name}}")
    up.end(keep=False)
    assert "nothing was there" in up.printed.getvalue()


@pytest.fixture
def another(network: Network, world: World) -> Iterator[WholeSystem]:
    """A system that is not started."""
    with tempfile.TemporaryDirectory(prefix="gatepost-test-", dir="/tmp") as folder:
        whole = WholeSystem(network, world, Path(folder) / "state")
        yield whole
        whole.close()


class Interrupted(io.StringIO):
    """Presses Ctrl-C when a step has been written."""

    def __init__(self, step: str) -> None:
        super().__init__()
        self._step = step

    def write(self, text: str) -> int:
        written = super().write(text)
        if text.startswith(f"  ok {self._step} "):
            raise KeyboardInterrupt
        return written


def test_an_interrupted_start_leaves_nothing(another: WholeSystem) -> None:
    stream = Interrupted("start")
    with pytest.raises(KeyboardInterrupt):
        start(another.system, Steps(stream))
    assert "removed, with its data" in stream.getvalue()
    assert not another.system.is_up
    assert another.system.is_new
    assert not another.place.state.exists()


def test_a_start_that_did_not_end_is_not_taken_for_a_system(another: WholeSystem) -> None:
    podman("volume", "create", f"{another.place.name}-accounts")
    with pytest.raises(UpError, match="`make down` removes what is left"):
        another.start()
    assert exists("volume", f"{another.place.name}-accounts"), "data were removed unasked"
    end(another.system, Steps(io.StringIO()), keep=False)
    assert another.system.is_new


def test_what_is_in_the_way_is_named(another: WholeSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = r"taken by other programs: 2080 \(webmail\)"
    with (
        socket.create_server((HOST, another.place.ports["webmail"])),
        pytest.raises(UpError, match=taken),
    ):
        another.start()
    assert another.system.is_new
    with monkeypatch.context() as patch:
        patch.setenv("PATH", "/nowhere")
        with pytest.raises(UpError, match="apt-get install podman"):
            start(another.system, Steps(io.StringIO()))
