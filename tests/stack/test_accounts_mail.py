"""Mail through a Postfix that asks accounts: who receives, who sends, what is forwarded."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import pytest

from tests.daemon.accounts_process import SECRET, AccountsDaemon
from tests.stack import accounts
from tests.stack.accounts import ANNA, BEN, OTHER, STORE_HOST, QuotaStatus
from tests.stack.stack import (
    DOMAIN,
    FRIEND,
    STRANGER,
    SUBMISSION,
    SUBMISSIONS,
    Stack,
    World,
)
from tests.testbed import swaks
from tests.testbed.oracles import dkimpy_verdicts
from tests.testbed.pod import Network
from tests.testbed.sink import Delivery, Sink
from tests.testbed.smtp import Reply
from tests.testbed.swaks import Client, Exchange, SwaksError
from tests.testbed.waiting import wait_until

CAROL = "carol@remote.example"
"""Somebody elsewhere, whose mail arrives at `Stack.remote`; and so does that of Eve."""
EVE = "eve@far.example"
REDIRECTS = 10025


class Post:
    """A pod, the service that its Postfix asks, and the mail store."""

    def __init__(
        self, stack: Stack, service: AccountsDaemon, store: Sink, quota: QuotaStatus
    ) -> None:
        self.stack = stack
        self.quota = quota
        self.service = service
        self.store = store
        self.remote = stack.remote

    def submit(
        self,
        subject: str,
        *,
        login: str = ANNA,
        password: str = SECRET,
        sender: str = "",
        recipients: Sequence[str] = (CAROL,),
        port: int = SUBMISSION,
        options: Sequence[str] = (),
        message: bytes | None = None,
    ) -> Exchange:
        tls = "--tls-on-connect" if port == SUBMISSIONS else "--tls"
        return swaks.send(
            port,
            host=self.stack.address,
            sender=sender or login,
            recipients=recipients,
            subject=subject,
            message=message,
            client=Client(interface=STRANGER, login=login, password=password),
            options=(tls, *options),
        )

    def deliver(self, subject: str, *recipients: str, sender: str = CAROL) -> Exchange:
        return self.stack.send(subject, sender=sender, recipients=recipients)

    def rcpt(self, recipient: str, sender: str = CAROL) -> Reply:
        with self.stack.client(FRIEND) as client:
            client.hello()
            assert client.command(f"MAIL FROM:<{sender}>").code == 250
            return client.command(f"RCPT TO:<{recipient}>")

    def redirect(self, message: bytes, recipient: str, sender: str) -> Exchange:
        """Hand in a message as Sieve's redirect does."""
        return swaks.send(
            REDIRECTS,
            host=self.stack.address,
            sender=sender,
            recipients=[recipient],
            message=message,
            client=Client(interface=STORE_HOST, helo="dovecot.example.org"),
        )


@pytest.fixture(scope="module")
def post(
    network: Network, world: World, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Post]:
    world.dns.add("far.example", "MX", "10 mx.remote.example")
    service = accounts.new_service(tmp_path_factory.mktemp("accounts"))
    stack = Stack(network, world, gatepost=accounts.GATEPOST, postfix=accounts.POSTFIX)
    store = Sink(host=STORE_HOST, port=accounts.STORE_PORT, lmtp=True)
    with service, store, QuotaStatus() as quota:
        try:
            stack.start()
            yield Post(stack, service, store, quota)
        finally:
            stack.remove()


def arrived_for(sink: Sink, subject: str, recipients: set[str]) -> list[Delivery]:
    """Wait until all of them have the message, and return its deliveries."""

    def probe() -> list[Delivery]:
        found = sink.matching(lambda one: one.message["Subject"] == subject)
        return found if {name for one in found for name in one.recipients} >= recipients else []

    found = wait_until(probe, f"{subject!r} to arrive for {recipients}")
    assert {name for one in found for name in one.recipients} == recipients
    return found


@pytest.mark.parametrize(
    ("recipient", "mailboxes"),
    [
        (ANNA, {ANNA}),
        (f"anna+lists@{DOMAIN}", {f"anna+lists@{DOMAIN}"}),
        (f"info@{DOMAIN}", {ANNA, BEN}),
        (f"info+q3@{DOMAIN}", {f"anna+q3@{DOMAIN}", f"ben+q3@{DOMAIN}"}),
        ("anybody@catch.example", {ANNA}),
        (OTHER, {OTHER}),
    ],
)
def test_mail_reaches_the_mailboxes_that_an_address_means(
    post: Post, recipient: str, mailboxes: set[str]
) -> None:
    sent = post.deliver(f"to {recipient}", recipient)
    assert sent.accepted, sent.transcript
    for one in arrived_for(post.store, f"to {recipient}", mailboxes):
        # a mailbox sees who sent its mail
        assert one.sender == CAROL
        assert one.fields("Authentication-Results")


@pytest.mark.parametrize("recipient", [f"nobody@{DOMAIN}", "nobody@second.example"])
def test_an_unknown_recipient_is_refused_at_once(post: Post, recipient: str) -> None:
    refused = post.rcpt(recipient)
    assert refused.code == 550
    assert "User unknown" in refused.text


def test_strangers_cannot_relay(post: Post) -> None:
    assert post.rcpt(CAROL).code == 554


@pytest.mark.parametrize("port", [SUBMISSION, SUBMISSIONS])
def test_a_login_sends_and_its_mail_is_signed(post: Post, port: int) -> None:
    sent = post.submit(f"signed {port}", port=port)
    assert sent.accepted, sent.transcript
    signed = post.remote.wait_for_subject(f"signed {port}")
    assert signed.sender == ANNA
    assert sorted(dkimpy_verdicts(signed.octets, post.stack.dns)) == [
        ("ed25519-sha256", "pass"),
        ("rsa-sha256", "pass"),
    ]


def test_a_wrong_password_is_wrong(post: Post) -> None:
    assert post.submit("wrong password", password="not hers").reply.code == 535
    assert post.submit("nobody", login=f"nobody@{DOMAIN}").reply.code == 535


@pytest.mark.parametrize("sender", [BEN, f"nobody@{DOMAIN}", CAROL])
def test_a_login_cannot_send_as_somebody_else(post: Post, sender: str) -> None:
    refused = post.submit("forged", sender=sender)
    assert refused.reply.code == 553
    assert "not owned by user" in refused.reply.text


def test_submission_says_nothing_of_client_and_program(post: Post) -> None:
    attached = "User-Agent: of somebody else"
    fields = (
        f"From: {ANNA}",
        "Subject: clean",
        "User-Agent: Wanderbird 1.0",
        "X-Mailer: Wanderbird",
        "X-Originating-IP: [10.9.8.7]",
        "Received: from 10.9.8.7 by webmail.example.org with HTTP; Thu, 26 Nov 2026 20:00:00 +0000",
        "Received: from desk.example.org by mx.example.org with ESMTP id 1; Thu, 26 Nov 2026 19:59",
        "MIME-Version: 1.0",
        'Content-Type: multipart/mixed; boundary="b"',
    )
    body = (
        f"--b\r\nContent-Type: message/rfc822\r\n\r\n{attached}\r\nSubject: in\r\n\r\nHi\r\n--b--"
    )
    text = "\r\n".join((*fields, "", body, ""))
    sent = post.submit("clean", message=text.encode())
    assert sent.accepted, sent.transcript
    arrived = post.remote.wait_for_subject("clean")
    assert arrived.fields("User-Agent") == []
    assert arrived.fields("X-Mailer") == []
    assert arrived.fields("X-Originating-IP") == []
    ours, before = arrived.fields("Received")
    assert before.startswith("from desk.example.org")
    assert ours.startswith("by mail.example.org (Postfix) id ")
    header = arrived.octets.partition(b"\r\n\r\n")[0].decode()
    for private in (STRANGER, "10.9.8.7", "Wanderbird", "client.example.net"):
        assert private not in header
    assert attached in arrived.body.decode()
    assert {verdict for _, verdict in dkimpy_verdicts(arrived.octets, post.stack.dns)} == {"pass"}


def test_mail_from_outside_keeps_its_fields(post: Post) -> None:
    message = f"From: {CAROL}\r\nSubject: kept\r\nUser-Agent: Wanderbird 1.0\r\n\r\nHi\r\n"
    sent = post.stack.send("kept", sender=CAROL, recipients=[ANNA], message=message.encode())
    assert sent.accepted, sent.transcript
    arrived = post.store.wait_for_subject("kept")
    assert arrived.fields("User-Agent") == ["Wanderbird 1.0"]
    assert f"[{FRIEND}]" in arrived.fields("Received")[0]


def forwarded(post: Post, subject: str, recipient: str) -> Delivery:
    sent = post.deliver(subject, recipient)
    assert sent.accepted, sent.transcript
    (arrived,) = arrived_for(post.remote, subject, {EVE})
    return arrived


def arc_result(post: Post, delivery: Delivery) -> str:
    """The verdict on the ARC chain of the host that receives the message."""
    post.store.clear()
    subject = str(delivery.message["Subject"])
    sent = post.stack.send(
        subject, sender=delivery.sender, recipients=[BEN], message=delivery.octets
    )
    assert sent.accepted, sent.transcript
    (results,) = post.store.wait_for_subject(subject).fields("Authentication-Results")
    return next(word for word in results.split() if word.startswith("arc=")).rstrip(";")


def test_forwarded_mail_has_a_bounce_address_of_ours_and_a_seal(post: Post) -> None:
    arrived = forwarded(post, "forwarded", f"away@{DOMAIN}")
    assert arrived.sender.startswith("SRS0=")
    assert arrived.sender.endswith(f"=remote.example=carol@{DOMAIN}")
    assert len(arrived.fields("ARC-Seal")) == 1
    assert arrived.fields("From") == [CAROL]
    assert arrived.fields("DKIM-Signature") == []
    assert arc_result(post, arrived) == "arc=pass"


def test_only_the_copy_that_leaves_has_another_sender(post: Post) -> None:
    arrived = forwarded(post, "both", f"both@{DOMAIN}")
    assert arrived.sender.startswith("SRS0=")
    (kept,) = arrived_for(post.store, "both", {ANNA})
    assert kept.sender == CAROL


def test_a_bounce_from_elsewhere_finds_the_sender(post: Post) -> None:
    address = forwarded(post, "to bounce", f"away@{DOMAIN}").sender
    post.remote.clear()
    bounced = post.deliver("a bounce", address, sender="<>")
    assert bounced.accepted, bounced.transcript
    (arrived,) = arrived_for(post.remote, "a bounce", {CAROL})
    assert arrived.sender == "<>"
    # Postfix asks in lower case, and so may others
    assert post.rcpt(address.lower(), sender="").code == 250


def test_a_bounce_of_ours_finds_the_sender(post: Post) -> None:
    post.remote.clear()
    post.remote.refuse_recipients(EVE)
    try:
        assert post.deliver("refused there", f"away@{DOMAIN}").accepted
        (bounce,) = post.remote.wait_for(lambda one: one.recipients == (CAROL,), "the bounce")
    finally:
        post.remote.refuse_recipients()
    assert bounce.sender == "<>"
    assert "550 5.1.1 no such user here" in bounce.octets.decode()


def test_nobody_can_make_up_a_bounce_address(post: Post) -> None:
    address = forwarded(post, "to forge", f"away@{DOMAIN}").sender
    for forged in (
        address.replace("=carol@", "=victim@"),
        f"SRS0=aaaaaa=aa=remote.example=carol@{DOMAIN}",
        f"SRS1=aaaaaa=remote.example==x=y=z@{DOMAIN}",
    ):
        assert post.rcpt(forged, sender="").code == 550, forged


def test_a_bounce_address_is_for_bounces(post: Post) -> None:
    """Nobody writes to others through us; old systems and sender verification have a sender."""
    address = forwarded(post, "to abuse", f"away@{DOMAIN}").sender
    for recipient in (address, address.upper()):
        refused = post.rcpt(recipient, sender=EVE)
        assert refused.code == 550
        assert "for bounces only" in refused.text
    for sender in ("", "MAILER-DAEMON@remote.example", "double-bounce@remote.example"):
        assert post.rcpt(address, sender=sender).code == 250, sender
    # the address of somebody else's forwarder, in a domain that is none of ours
    assert "for bounces only" not in post.rcpt("SRS0=a=b=c.example=d@far.example", sender=EVE).text


def test_own_mail_keeps_its_sender(post: Post) -> None:
    sent = post.submit("own sender", recipients=[EVE, f"away@{DOMAIN}"])
    assert sent.accepted, sent.transcript
    arrived = arrived_for(post.remote, "own sender", {EVE})
    assert {one.sender for one in arrived} == {ANNA}


def test_a_redirect_is_sealed_and_rewritten_and_not_signed(post: Post) -> None:
    assert post.deliver("redirected", ANNA).accepted
    stored = post.store.wait_for_subject("redirected")
    handed = post.redirect(stored.octets, EVE, stored.sender)
    assert handed.accepted, handed.transcript
    (arrived,) = arrived_for(post.remote, "redirected", {EVE})
    assert arrived.sender.startswith("SRS0=")
    assert arrived.fields("DKIM-Signature") == []
    assert len(arrived.fields("ARC-Seal")) == 1
    assert arc_result(post, arrived) == "arc=pass"


def test_a_vacation_reply_is_signed(post: Post) -> None:
    text = f"From: {ANNA}\r\nSubject: on vacation\r\nAuto-Submitted: auto-replied\r\n\r\nHi\r\n"
    handed = post.redirect(text.encode(), CAROL, "<>")
    assert handed.accepted, handed.transcript
    arrived = post.remote.wait_for_subject("on vacation")
    assert arrived.sender == "<>"
    assert {verdict for _, verdict in dkimpy_verdicts(arrived.octets, post.stack.dns)} == {"pass"}


def test_only_the_mail_store_hands_in_redirects(post: Post) -> None:
    with post.stack.client(STRANGER, port=REDIRECTS) as client:
        client.hello()
        assert client.begin(CAROL, EVE).code == 554


def test_a_full_mailbox_is_refused_at_once(post: Post) -> None:
    post.quota.full.add(BEN)
    try:
        full = post.rcpt(f"ben+lists@{DOMAIN}")
        assert (
            str(full)
            == f"552 5.2.2 <ben+lists@{DOMAIN}>: Recipient address rejected: Mailbox is full"
        )
        assert post.submit("to a full one", recipients=[BEN]).reply.code == 552
        # nobody but mailboxes has a quota: aliases and other sites are not asked about
        for recipient in (ANNA, f"info@{DOMAIN}", "anybody@catch.example"):
            assert post.rcpt(recipient).code == 250
        assert post.submit("to another site").accepted
    finally:
        post.quota.full.clear()


def test_mail_is_taken_while_the_quota_is_not_known(post: Post) -> None:
    post.quota.close()
    try:
        assert post.rcpt(BEN).code == 250
    finally:
        post.quota.start()


def hangs_up(post: Post) -> bool:
    """Return whether Postfix ends a session without a reply, instead of a temporary failure."""
    try:
        reply = post.submit("during the outage").reply
    except SwaksError as error:
        transcript = str(error)
    else:
        assert reply.code == 454
        return False
    assert "Remote host closed connection" in transcript
    assert not re.search(r"^ *<[-~*]+ +5", transcript, re.MULTILINE)
    return True


def test_nothing_is_refused_for_good_while_accounts_is_away(post: Post) -> None:
    ports = (SUBMISSION, SUBMISSIONS)
    for port in ports:
        assert post.submit("before the outage", port=port).accepted
    post.service.daemon.stop()
    try:
        assert post.rcpt(f"never.seen@{DOMAIN}").code == 451
        assert post.rcpt(ANNA).code == 451
        for port in ports:
            failed = post.submit("during the outage", port=port)
            assert (failed.reply.code, failed.reply.text[:5]) == (454, "4.7.0"), failed.transcript
        # A process that starts now has never reached the service: it hangs up.
        post.stack.container("postfix").execute("postfix", "reload")
        wait_until(lambda: hangs_up(post), "a new process")
    finally:
        post.service.daemon.start()

    def back() -> bool:
        try:
            return post.submit("after the outage").accepted
        except SwaksError:
            return False

    wait_until(back, "logins to work again", pause=1)
    wait_until(lambda: post.deliver("in again", ANNA).accepted, "mail to be taken again", pause=1)
    post.store.wait_for_subject("in again")
    assert (
        "status=bounced"
        not in post.stack.container("postfix").log().partition("before the outage")[2]
    )


def test_the_mail_store_away_makes_nobody_unknown(post: Post) -> None:
    post.store.refuse_with("451 4.3.0 not now")
    try:
        assert post.deliver("waits", ANNA).accepted
        assert post.rcpt(ANNA).code == 250
    finally:
        post.store.refuse_with("")
    post.stack.container("postfix").execute("postqueue", "-f")
    wait_until(
        lambda: (
            post.stack.container("postfix").attempt("postqueue", "-f").returncode == 0
            and post.store.matching(lambda one: one.message["Subject"] == "waits")
        ),
        "the message that waits",
        pause=2,
    )
