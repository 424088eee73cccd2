"""Postfix, accounts and Dovecot together: a message on its whole way, there and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from tests.stack import mailboxes as pod_of_mailboxes
from tests.stack.accounts import GATEPOST
from tests.stack.mailboxes import ANNA, BOB, LMTP, PASSWORDS, QUOTA, SMALL, Mailboxes
from tests.stack.stack import DOMAIN, FRIEND, STRANGER, SUBMISSION, Stack, World
from tests.testbed import swaks
from tests.testbed.oracles import dkimpy_verdicts
from tests.testbed.pod import Network
from tests.testbed.podman import podman
from tests.testbed.smtp import Reply
from tests.testbed.swaks import Client, Exchange
from tests.testbed.waiting import wait_until

CAROL, EVE = "carol@remote.example", "eve@far.example"
REDIRECTS = 10025
CONFIG = pod_of_mailboxes.CONFIG.replace(
    'listen = "inet:10030@127.0.0.1"', 'listen = "inet:10030"\nsasl_listen = "inet:12345"'
) + (f'[accounts.srs]\ndomain = "{DOMAIN}"\nsecret_file = "/etc/gatepost/token"\n')
REDIRECT = f"""require ["copy", "vacation", "envelope"];
if header :is "subject" "to send on" {{ redirect :copy "{EVE}"; }}
if header :is "subject" "to be answered" {{ vacation "On vacation."; }}
"""


class Whole:
    """The pod of Postfix and the one of the mailboxes, which know each other."""

    def __init__(self, stack: Stack, mailboxes: Mailboxes) -> None:
        self.stack = stack
        self.mailboxes = mailboxes
        self.remote = stack.remote

    def deliver(self, subject: str, recipient: str) -> Exchange:
        message = (
            f"From: {CAROL}\r\nTo: {recipient}\r\nSubject: {subject}\r\n"
            f"Message-ID: <{subject.replace(' ', '-')}@remote.example>\r\n\r\nHi\r\n"
        )
        return self.stack.send(
            subject, sender=CAROL, recipients=[recipient], message=message.encode()
        )

    def submit(self, subject: str, login: str, recipients: Sequence[str]) -> Exchange:
        return swaks.send(
            SUBMISSION,
            host=self.stack.address,
            sender=login,
            recipients=recipients,
            subject=subject,
            client=Client(interface=STRANGER, login=login, password=PASSWORDS[login]),
            options=["--tls"],
        )

    def rcpt(self, recipient: str, size: int) -> Reply:
        with self.stack.client(FRIEND) as client:
            client.hello()
            assert client.command(f"MAIL FROM:<{CAROL}> SIZE={size}").code == 250
            return client.command(f"RCPT TO:<{recipient}>")


@pytest.fixture(scope="module")
def whole(network: Network, world: World) -> Iterator[Whole]:
    world.dns.add("far.example", "MX", "10 mx.remote.example")
    mailboxes = Mailboxes(network)
    mailboxes.gatepost.update({"gatepost.toml": CONFIG})
    stack: Stack | None = None
    try:
        mailboxes.start()
        there = mailboxes.address
        postfix = {
            "POSTFIX_ACCOUNTS": f"inet:{there}:10030",
            "POSTFIX_SASL": f"inet:{there}:12345",
            "POSTFIX_DOMAINS": "",
            "POSTFIX_NEXT_HOP": f"lmtp:inet:{there}:{LMTP}",
            "POSTFIX_QUOTA": f"inet:{there}:{QUOTA}",
            "POSTFIX_REDIRECT_NETWORKS": f"{there}/32",
        }
        stack = Stack(network, world, gatepost=GATEPOST, postfix=postfix)
        stack.start()
        reloads = mailboxes.dovecot.log().count("run: configuration reloaded")
        mailboxes.config.update({"DOVECOT_SUBMISSION": f"{stack.address}:{REDIRECTS}"})
        mailboxes.dovecot.wait_for_log("run: configuration reloaded", count=reloads + 1)
        # other systems write to the same people
        world.remote.clear()
        yield Whole(stack, mailboxes)
    finally:
        if stack is not None:
            stack.remove()
        mailboxes.remove()


def in_mailbox(whole: Whole, user: str, subject: str) -> None:
    wait_until(lambda: subject in whole.mailboxes.subjects(user), f"{subject!r} for {user}")


def test_mail_from_outside_is_in_the_mailbox(whole: Whole) -> None:
    sent = whole.deliver("from outside", "anna+lists@example.com")
    assert sent.accepted, sent.transcript
    wait_until(
        lambda: any(
            "from outside" in whole.mailboxes.subjects(ANNA, folder)
            for folder in ("INBOX", "lists")
        ),
        "the message",
    )


def test_a_colleague_writes_and_the_world_gets_signed_mail(whole: Whole) -> None:
    sent = whole.submit("to all", ANNA, [BOB, CAROL])
    assert sent.accepted, sent.transcript
    in_mailbox(whole, BOB, "to all")
    signed = whole.remote.wait_for_subject("to all")
    assert {verdict for _, verdict in dkimpy_verdicts(signed.octets, whole.stack.dns)} == {"pass"}


def test_a_redirect_of_sieve_is_sealed_and_rewritten(whole: Whole) -> None:
    whole.mailboxes.sieve(ANNA, REDIRECT)
    sent = whole.deliver("to send on", ANNA)
    assert sent.accepted, sent.transcript
    arrived = whole.remote.wait_for_subject("to send on")
    assert arrived.recipients == (EVE,)
    assert arrived.sender.startswith("SRS0=")
    assert arrived.sender.endswith(f"=remote.example=carol@{DOMAIN}")
    assert arrived.fields("DKIM-Signature") == []
    assert len(arrived.fields("ARC-Seal")) >= 1
    in_mailbox(whole, ANNA, "to send on")
    back = whole.stack.send("bounce", sender="<>", recipients=[arrived.sender])
    assert back.accepted, back.transcript
    bounce = whole.remote.wait_for_subject("bounce")
    assert bounce.recipients == (CAROL,)


def test_a_vacation_reply_is_signed(whole: Whole) -> None:
    whole.mailboxes.sieve(ANNA, REDIRECT)
    sent = whole.deliver("to be answered", ANNA)
    assert sent.accepted, sent.transcript
    (reply,) = whole.remote.wait_for(
        lambda one: "On vacation." in one.body.decode() and one.recipients == (CAROL,), "the reply"
    )
    assert reply.sender == "<>"
    assert {verdict for _, verdict in dkimpy_verdicts(reply.octets, whole.stack.dns)} == {"pass"}


def test_a_message_that_does_not_fit_is_refused_at_once(whole: Whole) -> None:
    assert whole.rcpt(SMALL, 1000).code == 250
    assert whole.rcpt(SMALL, 20_000_000).code == 552
    assert whole.rcpt(ANNA, 20_000_000).code == 250


def test_an_outage_of_dovecot_makes_nobody_unknown(whole: Whole) -> None:
    dovecot = whole.mailboxes.dovecot
    podman("stop", "--time=2", dovecot.name)
    try:
        for recipient in (BOB, f"new+{SMALL}"):
            known = recipient == BOB
            assert whole.rcpt(recipient, 1000).code == (250 if known else 550)
        assert whole.deliver("in an outage", BOB).accepted
        assert whole.submit("sent in an outage", ANNA, [CAROL]).accepted
    finally:
        podman("start", dovecot.name)
    dovecot.wait_ready()
    assert whole.rcpt(BOB, 1000).code == 250

    def arrives() -> bool:
        whole.stack.container("postfix").execute("postqueue", "-f")
        return "in an outage" in whole.mailboxes.subjects(BOB)

    wait_until(arrives, "the message that waits", pause=2)
    assert whole.mailboxes.subjects(BOB).count("in an outage") == 1
