"""Mail from outside through the pod: what is delayed, refused, judged and delivered."""

from __future__ import annotations

import re

import pytest

from tests.stack.stack import FRIEND, LISTED, STRANGER, Stack
from tests.testbed.swaks import Exchange
from tests.testbed.waiting import wait_until


def mail(subject: str, *fields: str, author: str = "alice@example.net") -> bytes:
    lines = [
        *fields,
        f"From: Somebody <{author}>",
        f"Subject: {subject}",
        "Date: Sat, 21 Nov 2026 06:56:50 +0000",
        f"Message-ID: <{subject.replace(' ', '-')}@example.net>",
        "",
        "Hello",
        "",
    ]
    return "\r\n".join(lines).encode()


def never_arrived(stack: Stack, subject: str) -> bool:
    """To be asked when something that was sent later has arrived."""
    return not stack.sink.matching(lambda one: one.message["Subject"] == subject)


def test_mail_of_somebody_known_arrives(stack: Stack) -> None:
    sent = stack.send("known")
    assert sent.accepted, sent.transcript
    arrived = stack.sink.wait_for_subject("known")
    (results,) = arrived.fields("Authentication-Results")
    assert results.startswith("mail.example.org;")
    assert "spf=pass" in results
    assert "dmarc=pass" in results
    assert arrived.fields("X-Greylist") == []
    # the address is the client's own, not that of a bridge or a node
    assert f"[{FRIEND}]" in arrived.fields("Received")[0]


def test_a_stranger_is_greylisted_and_then_accepted(stack: Stack) -> None:
    first = stack.send("stranger, first", client=STRANGER)
    assert first.reply.code == 450
    assert first.reply.text.endswith("[greylist-new]")

    def again() -> Exchange | None:
        sent = stack.send("stranger, again", client=STRANGER)
        assert sent.accepted or sent.reply.text.endswith("[greylist-early]"), sent.transcript
        return sent if sent.accepted else None

    wait_until(again, "the delay to be over")
    arrived = stack.sink.wait_for_subject("stranger, again")
    (header,) = arrived.fields("X-Greylist")
    assert re.match(r"delayed \d+ seconds by gatepost at mail\.example\.org; ", header)
    assert never_arrived(stack, "stranger, first")
    (line,) = stack.container("policyd").log_entries(
        reason="greylist-new", client=STRANGER, sender="alice@example.net"
    )
    assert line["recipient"] == "bob@example.org"


def test_a_listed_client_is_refused(stack: Stack) -> None:
    refused = stack.send("listed", client=LISTED, sender="spam@plain.example")
    assert refused.reply.code == 554
    assert f"[{LISTED}]" in refused.reply.text
    assert refused.reply.text.endswith("[dnslist]")


def test_a_client_that_speaks_before_it_is_spoken_to_is_refused(stack: Stack) -> None:
    with stack.client("203.0.113.77", early=b"EHLO robot.example\r\n") as robot:
        # what it has been told by now is the beginning of a greeting, and the reply to its EHLO
        reply = robot.begin("spam@plain.example", "bob@example.org")
    assert str(reply) == "550 5.5.1 Protocol error"


def test_strangers_cannot_relay(stack: Stack) -> None:
    sent = stack.send("relay", client=STRANGER, recipients=("bob@remote.example",))
    assert sent.reply.code == 554
    assert "Relay access denied" in sent.reply.text


def test_an_unknown_recipient_is_refused_while_the_sender_is_there(stack: Stack) -> None:
    stack.sink.refuse_recipients("nobody@example.org")
    try:
        sent = stack.send("unknown", recipients=("nobody@example.org",))
        # a first question may still be under way: then Postfix defers
        if sent.reply.code == 450:
            sent = stack.send("unknown", recipients=("nobody@example.org",))
    finally:
        stack.sink.refuse_recipients()
    assert sent.reply.code == 550
    assert "Recipient address is not known" in sent.reply.text


def test_results_in_our_name_are_removed(stack: Stack) -> None:
    forged = "mail.example.org; dmarc=pass header.from=bank.example"
    sent = stack.send(
        "forged results",
        message=mail(
            "forged results",
            f"Authentication-Results: {forged}",
            f"AUTHENTICATION-RESULTS:\r\n\t(comment) {forged.upper()}",
            "Authentication-Results: other.example; dkim=pass",
        ),
    )
    assert sent.accepted, sent.transcript
    arrived = stack.sink.wait_for_subject("forged results")
    ours, theirs = arrived.fields("Authentication-Results")
    assert "bank.example" not in ours
    assert "spf=pass" in ours
    assert theirs == "other.example; dkim=pass"
    (line,) = stack.container("milters").log_entries(queue_id=sent.queue_id, event="message")
    assert line["forged_fields"] == 2


def test_a_forgery_is_rejected_where_its_domain_says_so(stack: Stack) -> None:
    forged = stack.send(
        "rejected", sender="x@plain.example", message=mail("rejected", author="ceo@example.net")
    )
    assert str(forged.reply) == (
        "550 5.7.1 rejected by the DMARC policy of example.net [dmarc-fail-reject]"
    )
    assert stack.send("after the forgery").accepted
    stack.sink.wait_for_subject("after the forgery")
    assert never_arrived(stack, "rejected")


def test_a_forgery_is_quarantined_where_its_domain_says_so(stack: Stack) -> None:
    forged = stack.send(
        "quarantined",
        sender="x@plain.example",
        message=mail("quarantined", author="a@wary.example"),
    )
    assert forged.accepted, forged.transcript
    arrived = stack.sink.wait_for_subject("quarantined")
    assert arrived.fields("X-Gatepost-Verdict") == ["quarantine; reason=dmarc-fail-quarantine"]
    (results,) = arrived.fields("Authentication-Results")
    assert "dmarc=fail" in results


@pytest.mark.parametrize("nothing", ["milters", "policyd"])
def test_the_log_has_no_error(stack: Stack, nothing: str) -> None:
    entries = stack.container(nothing).log_entries(level="error")
    # said once for each start: a test sends mail from a load balancer's address
    known = "the client's address is that of a proxy: client checks are skipped"
    assert [one for one in entries if one["event"] != known] == []
