"""Who the client is: with PROXY protocol, and when a load balancer hides it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.stack.stack import (
    ALICE,
    BALANCER,
    FRIEND,
    LISTED,
    SMTP_PROXY,
    STRANGER,
    SUBMISSION_PROXY,
    SUBMISSIONS_PROXY,
    Stack,
)


def proxy(version: int, client: str) -> Sequence[str]:
    """What swaks says in front of the session, as a load balancer does."""
    return (
        f"--proxy-version={version}",
        f"--proxy-family={'TCP4' if version == 1 else 'AF_INET'}",
        f"--proxy-source={client}",
        "--proxy-source-port=40000",
        "--proxy-dest=192.0.2.1",
        "--proxy-dest-port=25",
    )


@pytest.mark.parametrize("version", [1, 2])
def test_the_port_with_proxy_protocol_sees_the_client(stack: Stack, version: int) -> None:
    subject = f"through a balancer, version {version}"
    sent = stack.send(subject, client=BALANCER, port=SMTP_PROXY, options=proxy(version, FRIEND))
    assert sent.accepted, sent.transcript
    arrived = stack.sink.wait_for_subject(subject)
    received = arrived.fields("Received")[0]
    assert f"[{FRIEND}]" in received
    assert BALANCER not in arrived.octets.decode()
    (results,) = arrived.fields("Authentication-Results")
    assert "spf=pass" in results
    (line,) = stack.container("milters").log_entries(queue_id=sent.queue_id, event="message")
    assert line["client"] == FRIEND


@pytest.mark.parametrize(
    ("port", "tls"), [(SUBMISSION_PROXY, "--tls"), (SUBMISSIONS_PROXY, "--tls-on-connect")]
)
def test_a_login_through_the_balancer_is_one_of_us(stack: Stack, port: int, tls: str) -> None:
    subject = f"submission through a balancer, {port}"
    sent = stack.send(
        subject,
        client=BALANCER,
        port=port,
        login=ALICE,
        sender=ALICE,
        recipients=("carol@remote.example",),
        options=(*proxy(2, STRANGER), tls),
    )
    assert sent.accepted, sent.transcript
    arrived = stack.remote.wait_for_subject(subject)
    assert len(arrived.fields("DKIM-Signature")) == 2
    assert f"[{STRANGER}]" in arrived.fields("Received")[0]


def test_a_client_behind_the_balancer_is_judged_by_its_own_address(stack: Stack) -> None:
    listed = stack.send(
        "listed, through a balancer",
        client=BALANCER,
        port=SMTP_PROXY,
        sender="spam@plain.example",
        options=proxy(1, LISTED),
    )
    assert listed.reply.code == 554
    assert listed.reply.text.endswith("[dnslist]")
    greylisted = stack.send(
        "new, through a balancer",
        client=BALANCER,
        port=SMTP_PROXY,
        sender="new@plain.example",
        options=proxy(2, STRANGER),
    )
    assert greylisted.reply.text.endswith("[greylist-new]")


def test_the_balancers_address_on_the_plain_port_trips_the_guard(stack: Stack) -> None:
    hidden = stack.metric("milters", "gatepost_milters_proxied_total")
    proxied = stack.metric("policyd", "gatepost_policyd_proxied_total")
    sent = stack.send("hidden client", client=BALANCER, sender="a@plain.example")
    # not delayed: all the world would be one client
    assert sent.accepted, sent.transcript
    arrived = stack.sink.wait_for_subject("hidden client")
    (results,) = arrived.fields("Authentication-Results")
    assert "spf=pass" not in results
    assert "spf=fail" not in results
    assert stack.metric("milters", "gatepost_milters_proxied_total") == hidden + 1
    assert stack.metric("policyd", "gatepost_policyd_proxied_total") > proxied
    (warning,) = stack.container("milters").log_entries(
        queue_id=sent.queue_id, level="warning", client=BALANCER
    )
    assert "address is that of a proxy" in warning["event"]


def test_behind_the_balancer_nobody_is_one_of_us(stack: Stack) -> None:
    relayed = stack.send("relay", client=BALANCER, recipients=("bob@remote.example",))
    assert relayed.reply.code == 554
    ours = stack.send("in our name, hidden", client=BALANCER, sender="alice@example.org")
    if ours.accepted:
        arrived = stack.sink.wait_for_subject("in our name, hidden")
        assert arrived.fields("DKIM-Signature") == []
    else:
        assert ours.reply.code in (451, 550)
