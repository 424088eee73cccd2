"""Mail of our own users: by address or login, signed, and good to everybody who looks."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.stack.stack import (
    ALICE,
    COLLEAGUE,
    FRIEND,
    MALLORY,
    SIZE_LIMIT,
    SMTP,
    STRANGER,
    SUBMISSION,
    SUBMISSIONS,
    Stack,
)
from tests.testbed.oracles import dkimpy_verdicts
from tests.testbed.smtp import Reply

REMOTE = ("carol@remote.example",)


@pytest.mark.parametrize(
    ("how", "client", "port", "login", "options"),
    [
        ("by address", COLLEAGUE, SMTP, "", ()),
        ("by login, 587", STRANGER, SUBMISSION, ALICE, ("--tls",)),
        ("by login, 465", STRANGER, SUBMISSIONS, ALICE, ("--tls-on-connect",)),
    ],
)
def test_own_mail_is_signed(
    stack: Stack, how: str, client: str, port: int, login: str, options: Sequence[str]
) -> None:
    subject = f"own, {how}"
    sent = stack.send(
        subject,
        client=client,
        port=port,
        login=login,
        options=options,
        sender=ALICE,
        recipients=REMOTE,
    )
    assert sent.accepted, sent.transcript
    signed = stack.remote.wait_for_subject(subject)
    assert sorted(dkimpy_verdicts(signed.octets, stack.dns)) == [
        ("ed25519-sha256", "pass"),
        ("rsa-sha256", "pass"),
    ]
    assert signed.fields("Authentication-Results") == []


def test_signed_mail_that_comes_back_passes(stack: Stack) -> None:
    sent = stack.send("round trip", client=COLLEAGUE, sender=ALICE, recipients=REMOTE)
    assert sent.accepted, sent.transcript
    stack.remote.wait_for_subject("round trip")
    message = stack.remote.wait_for_subject("round trip").without_received
    back = stack.send("round trip", client=FRIEND, sender="bounce@plain.example", message=message)
    assert back.accepted, back.transcript
    (results,) = stack.sink.wait_for_subject("round trip").fields("Authentication-Results")
    assert results.count("dkim=pass") == 2
    assert "dmarc=pass" in results


def test_strangers_are_not_signed_in_our_name(stack: Stack) -> None:
    """A stranger with one of our addresses in From, whatever our domain's policy says of that."""
    sent = stack.send("in our name", client=FRIEND, sender=ALICE)
    assert sent.accepted, sent.transcript
    arrived = stack.sink.wait_for_subject("in our name")
    assert arrived.fields("DKIM-Signature") == []


def test_a_wrong_password_is_not_taken(stack: Stack) -> None:
    wrong = ("--auth", "PLAIN", "--auth-user", ALICE, "--auth-password", "wrong")
    sent = stack.send(
        "wrong password",
        client=STRANGER,
        port=SUBMISSION,
        sender=ALICE,
        recipients=REMOTE,
        options=("--tls", *wrong),
    )
    assert sent.reply.code == 535


def submit(stack: Stack, subject: str, login: str, size: int = 0) -> Reply:
    lines = [f"From: {login}", f"Subject: {subject}", "", *(["x" * 70] * (size // 72)), ""]
    sent = stack.send(
        subject,
        client=STRANGER,
        port=SUBMISSION,
        login=login,
        sender=login,
        recipients=REMOTE,
        message="\r\n".join(lines).encode(),
        options=("--tls",),
    )
    return sent.reply


def test_a_login_has_its_limits(stack: Stack) -> None:
    assert submit(stack, "the first of today", MALLORY).code == 250
    second = submit(stack, "the second of today", MALLORY)
    assert second.code == 450
    assert second.text.endswith("[limit-day]")
    big = submit(stack, "too big", ALICE, SIZE_LIMIT + 1000)
    assert big.code == 450
    assert big.text.endswith("[limit-size]")
    assert submit(stack, "small enough", ALICE).code == 250


@pytest.mark.parametrize("port", [SMTP, SUBMISSION])
def test_no_password_goes_in_clear(stack: Stack, port: int) -> None:
    with stack.client(FRIEND, port=port) as client:
        offered = client.hello().text
        assert "AUTH" not in offered
        assert "STARTTLS" in offered
        assert client.command("AUTH PLAIN AGEAYg==").code >= 500
