"""The spam filter of the whole system: a real SpamAssassin between Postfix and Dovecot."""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import dkim
import pytest

from gatepost.key_pair import new_key
from tests.stack.everyday import CAROL
from tests.stack.spam import GTUBE
from tests.stack.stack import DOMAIN, FRIEND
from tests.stack.up import WholeSystem
from tests.testbed import swaks
from tests.testbed.dns import Behaviour
from tests.testbed.metrics import MetricsPort
from tests.testbed.swaks import Client
from tests.testbed.waiting import WaitError, wait_until
from tools.up.people import ANNA, BERT

RECIPIENTS = 50
DORA = f"dora@{DOMAIN}"
pytestmark = pytest.mark.timeout(900)
IDLE = 400
"""MiB of the idle system, with SpamAssassin and webmail."""
OWN_NAME = "mail.example.org"
DUE = "/tmp/daily.due"  # noqa: S108  # in the container
LMTP = """
import smtplib, sys
client = smtplib.LMTP("127.0.0.1", 10028)
client.ehlo_or_helo_if_needed()
client.docmd("MAIL", "FROM:<carol@remote.example>")
if [name for name in sys.argv[1:] if client.docmd("RCPT", f"TO:{name}")[0] == 250]:
    print(client.data(b"Subject: by LMTP\\r\\n\\r\\nHello.\\r\\n"))
"""


def status(header: bytes) -> str:
    """Return X-Spam-Status of a message; there is only one."""
    (found,) = re.findall(rb"\r\nX-Spam-Status: ([^\r]*(?:\r\n[ \t][^\r]*)*)", b"\r\n" + header)
    return re.sub(r"\s+", " ", found.decode())


def score(header: bytes) -> str:
    (found,) = re.findall(rb"\r\nX-Spam-Score: ([^\r]*)", b"\r\n" + header)
    return str(found.decode())


def spam_fields(header: bytes) -> Counter[bytes]:
    return Counter(re.findall(rb"(?im)^x-(?:spam|virus)-[^:]*:", header))


def symbols(header: bytes) -> set[str]:
    return set(status(header).partition("tests=")[2].replace(" ", "").split(","))


def scans(up: WholeSystem) -> float:
    port = MetricsPort(up.address, 9105)
    return port.metric("gatepost_delivery_scans_total", scanner="spam", outcome="done")


def delivered(
    up: WholeSystem, subject: str, *, fields: str = "", body: str = "Hello.\r\n"
) -> bytes:
    """Return the header of a message as Anna has it in her inbox."""
    assert up.deliver(subject, ANNA, fields=fields, body=body).accepted
    return up.wait_for(subject, ANNA)


def test_the_idle_system_needs_less_than_400_mib(up: WholeSystem) -> None:
    # other tests have used the system before, and programs keep memory
    for each in up.containers.values():
        each.kill_and_wait_ready()
    used = {name: each.memory() >> 20 for name, each in up.containers.items()}
    assert sum(used.values()) < IDLE, used
    assert used["delivery"] > 0
    assert used["spamassassin"] > 0


def test_spam_is_in_junk_and_other_mail_in_the_inbox(up: WholeSystem) -> None:
    header = delivered(up, "no spam")
    assert status(header).startswith("No, score=")
    assert b"\r\nX-Spam-Flag:" not in header
    # the milter has asked DNS, and the filter has heard of it
    assert "GP_NO_RESULTS" not in symbols(header)
    assert up.deliver("spam", ANNA, body=GTUBE).accepted
    header = up.wait_for("spam", ANNA, "Junk")
    assert status(header).startswith("Yes, score=")
    assert "GTUBE" in symbols(header)
    assert b"\r\nX-Spam-Flag: YES\r\n" in header
    # mail that was only spam is not read: it counts for its owner in no other place
    assert b"\r\nSubject: spam\r\n" not in b"".join(up.headers(ANNA))


def test_spam_of_our_own_users_is_filed_like_that_of_others(up: WholeSystem) -> None:
    message = f"From: {BERT}\r\nTo: {ANNA}\r\nSubject: from Bert\r\n\r\n{GTUBE}".encode()
    sent = swaks.send(
        up.place.ports["submission"],
        sender=BERT,
        recipients=[ANNA],
        message=message,
        client=Client(login=BERT, password=up.password(BERT)),
        options=["--tls"],
    )
    assert sent.accepted, sent.transcript
    up.wait_for("from Bert", ANNA, "Junk")


def test_nothing_that_a_sender_writes_changes_the_score(up: WholeSystem) -> None:
    """The same message with fields of filters and of our own name: none reaches the scanner."""
    plain = delivered(up, "nothing forged")
    assert set(spam_fields(plain)) <= {b"X-Spam-Status:", b"X-Spam-Score:", b"X-Spam-Level:"}
    results = "spf=pass smtp.mailfrom=remote.example; dmarc=pass header.from=remote.example"
    forged = {
        "the flag": "X-Spam-Flag: YES\r\nX-Spam-Status: Yes, score=99\r\nX-Spam-Level: *****\r\n",
        "the flag in odd cases": "x-SPAM-flag : YES\r\nX-Spam-Score: -100\r\n",
        "our results": f"Authentication-Results: {OWN_NAME}; {results}\r\n",
        "our results in a chain": f"ARC-Authentication-Results: i=1; {OWN_NAME}; {results}\r\n",
        "results of others": f"Authentication-Results: gate.example.net; {results}\r\n",
    }
    for name, fields in forged.items():
        header = delivered(up, name, fields=fields)
        assert score(header) == score(plain), name
        assert symbols(header) == symbols(plain), name
        assert spam_fields(header) == spam_fields(plain), name


def test_a_flag_of_a_sender_brings_nothing_to_junk(up: WholeSystem) -> None:
    for name in ("the flag", "the flag in odd cases"):
        assert not [one for one in up.headers(ANNA, "Junk") if f"Subject: {name}".encode() in one]


def test_a_chain_that_cannot_be_verified_hides_no_result(up: WholeSystem) -> None:
    """`arc=temperror` is a word that SpamAssassin does not know: alone, it makes it drop all."""
    message = (
        f"Authentication-Results: broken.example; spf=none\r\nFrom: {CAROL}\r\nTo: {ANNA}\r\n"
        "Subject: a chain\r\nDate: Thu, 26 Nov 2026 12:00:00 +0000\r\n"
        "Message-ID: <chain@broken.example>\r\n\r\nHello.\r\n"
    ).encode()
    sealed = dkim.arc_sign(message, b"s", b"broken.example", new_key("rsa"), b"broken.example")
    name = "s._domainkey.broken.example"
    up.world.dns.add(name, "TXT", "v=DKIM1; p=")
    up.world.dns.misbehave(name, Behaviour.SERVFAIL)
    sent = swaks.send(
        25,
        host=up.address,
        sender=CAROL,
        recipients=[ANNA],
        message=b"".join(sealed) + message,
        client=Client(interface=FRIEND, helo="mail.remote.example"),
    )
    assert sent.accepted, sent.transcript
    header = up.wait_for("a chain", ANNA)
    assert b"arc=temperror" in header
    assert "GP_NO_RESULTS" not in symbols(header)


def test_fifty_recipients_get_it_once_each(up: WholeSystem) -> None:
    """Not more than 20 for one user, because Dovecot takes no more at a time."""
    up.add_user(DORA)
    names = [each.partition("@")[0] for each in (ANNA, BERT, DORA)]
    recipients = [f"{names[number % 3]}+{number}@{DOMAIN}" for number in range(RECIPIENTS)]
    message = f"From: {CAROL}\r\nTo: all\r\nSubject: to fifty\r\n\r\nHello.\r\n".encode()
    sent = swaks.send(
        25,
        host=up.address,
        sender=CAROL,
        recipients=recipients,
        message=message,
        client=Client(interface=FRIEND, helo="mail.remote.example"),
    )
    assert sent.accepted, sent.transcript

    def to() -> Counter[str]:
        found = [
            one
            for user in (ANNA, BERT, DORA)
            for one in up.headers(user)
            if b"\r\nSubject: to fifty\r\n" in one
        ]
        assert all(status(one).startswith("No, ") for one in found)
        return Counter(
            each.decode()
            for one in found
            for each in re.findall(rb"(?m)^Delivered-To: <?(.*?)>?\r", one)
        )

    wait_until(lambda: sum(to().values()) >= RECIPIENTS, "fifty copies", deadline=60, pause=1)
    assert to() == Counter(recipients)


def test_recipients_of_one_transaction_share_one_scan(up: WholeSystem) -> None:
    before = scans(up)
    recipients = [f"<anna+{number}@{DOMAIN}>" for number in range(3)] + [f"<{BERT}>"]
    up.containers["delivery"].execute("/opt/gatepost/bin/python", "-c", LMTP, *recipients)
    assert scans(up) == before + 1
    up.wait_for("by LMTP", BERT)


def test_no_name_leaves_the_folder_of_the_users(up: WholeSystem) -> None:
    spam, delivery = up.containers["spamassassin"], up.containers["delivery"]

    def folders() -> str:
        return spam.execute(
            *("find", "/var/lib/spamassassin", "-type", "d", "-not", "-path", "*/rules*")
        )

    before = folders()
    for name in (
        f"a/../../b@{DOMAIN}",
        f"../../rules@{DOMAIN}",
        f"anna+/../..@{DOMAIN}",
        "x@../..",
    ):
        delivery.execute("/opt/gatepost/bin/python", "-c", LMTP, f"<{name}>")
    assert folders() == before


@contextmanager
def asleep(up: WholeSystem, scanner: str = "spamassassin") -> Iterator[None]:
    """Stop all processes of a scanner, so that it accepts and never answers."""
    pids = up.containers[scanner].processes()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def test_a_scanner_that_dies_during_a_scan_loses_nothing(up: WholeSystem) -> None:
    with asleep(up):
        assert up.deliver("during the scan", ANNA).accepted
        up.containers["postfix"].wait_for_log("to=<anna@example.org>")
        up.containers["spamassassin"].kill_and_wait_ready()
    header = up.wait_for("during the scan", ANNA)
    assert status(header).startswith("No, score="), "nobody has scanned it"
    copies = [one for one in up.headers(ANNA) if b"\r\nSubject: during the scan\r\n" in one]
    assert len(copies) == 1


def limit(up: WholeSystem, **spam: str) -> None:
    """Set keys of `[delivery.spam]`, and wait until they are in use."""
    delivery, told = up.containers["delivery"], "configuration reloaded"
    before = delivery.log().count(told)
    up.configure({"delivery": {"spam": spam}})
    delivery.wait_for_log(told, count=before + 1)


def test_after_a_long_outage_mail_is_marked_and_not_held_back(up: WholeSystem) -> None:
    """The owner has configured that it waits for two seconds, in place of an hour."""
    limit(up, unchecked_after="2s", timeout="2s")
    try:
        with asleep(up):
            assert up.deliver("unchecked", ANNA, body=GTUBE).accepted
            try:
                header = up.wait_for("unchecked", ANNA)
            except WaitError as error:
                for short in ("postfix", "delivery"):
                    error.add_note(up.containers[short].log()[-4000:])
                raise
        assert status(header) == "Unchecked, reason=scanner-away"
        metrics = MetricsPort(up.address, 9105)
        assert metrics.metric("gatepost_delivery_unchecked_total", scanner="spam") >= 1
        assert up.containers["delivery"].log_entries(event="scanner failed")
        wait_until(up.containers["spamassassin"].is_ready, "spamd to be back", pause=0.2)
        delivered(up, "checked again")
        assert metrics.metric("gatepost_delivery_scanner_outage", scanner="spam") == 0
    finally:
        limit(up, unchecked_after="1h", timeout="60s")


def test_the_nightly_jobs_wait_for_their_time(up: WholeSystem) -> None:
    assert "gatepost spam train is next run at" in up.containers["training"].log()
    assert "update-rules is next run at" in up.containers["spamrules"].log()
    due = up.containers["spamrules"].execute("cat", DUE)
    up.containers["spamrules"].execute("sh", "-c", f"echo 1 > {DUE}")
    assert "it was due at 1970" in up.containers["spamrules"].attempt("daily", "--check").stderr
    up.containers["spamrules"].execute("sh", "-c", f"echo {due.strip()} > {DUE}")
    assert up.containers["spamrules"].is_ready()


def test_what_a_user_moves_to_junk_teaches_the_filter(up: WholeSystem) -> None:
    delivered(up, "to move")
    client = up.imap(ANNA)
    client.select()
    _, found = client.search(None, "SUBJECT", '"to move"')
    assert client._simple_command("MOVE", found[0].decode().split()[-1], "Junk")[0] == "OK"
    client.logout()
    told = up.containers["delivery"].execute("gatepost", "spam", "stats", ANNA)
    assert "1 message as spam" in told
    up.containers["training"].execute("gatepost", "spam", "train")


def test_the_users_of_the_containers_share_the_data(up: WholeSystem) -> None:
    """Delivery writes the preferences of a user where spamd reads them."""
    folder = f"/var/lib/spamassassin/users/{DOMAIN}/anna"
    write = f"mkdir -p -m 2770 {folder} && echo 'required_score 90' > {folder}/user_prefs"
    up.containers["delivery"].execute("sh", "-c", write)
    try:
        assert "required=90.0" in status(delivered(up, "with a threshold"))
        assert up.deliver("for Bert", BERT).accepted
        assert "required=5.0" in status(up.wait_for("for Bert", BERT))
    finally:
        up.containers["delivery"].execute("rm", f"{folder}/user_prefs")


@pytest.mark.parametrize("recipient", [f"info@{DOMAIN}", f"Anna@{DOMAIN}", f"anna+list@{DOMAIN}"])
def test_every_address_of_a_mailbox_is_filtered(up: WholeSystem, recipient: str) -> None:
    assert up.deliver(f"spam for {recipient}", recipient, body=GTUBE).accepted
    up.wait_for(f"spam for {recipient}", ANNA, "Junk")
