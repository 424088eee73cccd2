"""The ground the other tests of this layer stand on holds."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.postfix.conftest import StartPostfix
from tests.testbed import swaks
from tests.testbed.ports import LOOPBACK
from tests.testbed.postfix import LOGINS, PostfixError, PrivatePostfix, Service, default_services
from tests.testbed.recorders import MilterRecorder, PolicyRecorder
from tests.testbed.sink import Sink
from tests.testbed.smtp import RawClient
from tests.testbed.swaks import Client

STRANGER = Client("192.0.2.77", "mail.example.net", "helo.example.net")
MESSAGE = b"Subject: dots\r\nFrom: a@example.net\r\n\r\n.\r\n..two\r\n%TO_ADDRESS%\r\nna\xefve\r\n"


def test_mail_arrives_octet_for_octet(postfix: PrivatePostfix, sink: Sink) -> None:
    sent = swaks.send(
        postfix.port(), sender="a@example.net", recipients=["b@gatepost.test"], message=MESSAGE
    )
    assert sent.accepted, sent.transcript
    assert sent.queue_id in postfix.log_text()
    arrived = sink.wait_for_subject("dots")
    assert arrived.body == MESSAGE.partition(b"\r\n\r\n")[2]
    assert (arrived.sender, arrived.recipients) == ("a@example.net", ("b@gatepost.test",))


def test_a_stranger_cannot_relay_and_a_login_can(postfix: PrivatePostfix, sink: Sink) -> None:
    name, password = next(iter(LOGINS.items()))
    logged_in = Client("192.0.2.77", login=name, password=password)
    wrong = Client("192.0.2.77", login=name, password="a guess")
    outside = {"sender": name, "recipients": ["b@example.org"]}
    refused = swaks.send(postfix.port("submission"), client=STRANGER, **outside)  # type: ignore[arg-type]
    assert (refused.reply.code, refused.accepted) == (554, False)
    assert swaks.send(postfix.port(), client=STRANGER, **outside).reply.code == 554  # type: ignore[arg-type]
    assert swaks.send(postfix.port("submission"), client=wrong, **outside).reply.code == 535  # type: ignore[arg-type]
    assert swaks.send(postfix.port("submission"), client=logged_in, **outside).accepted  # type: ignore[arg-type]
    assert sink.wait_for_subject("A test").recipients == ("b@example.org",)


def test_policy_requests_show_the_client_that_xclient_named(start_postfix: StartPostfix) -> None:
    with PolicyRecorder() as recorder:
        postfix = start_postfix(default_services(policy=recorder.postfix))
        sent = swaks.send(
            postfix.port(), sender="a@example.net", recipients=["b@gatepost.test"], client=STRANGER
        )
        assert sent.accepted, sent.transcript
        with RawClient(postfix.port()) as client:
            client.command("EHLO x")
            client.command("XCLIENT ADDR=IPV6:2001:db8::7 LOGIN=alice")
            client.command("EHLO helo.example.net")
            client.begin("a@example.net", "b@gatepost.test")
    first, second = recorder.requests
    assert first["client_address"] == "192.0.2.77"
    assert first["client_name"] == "mail.example.net"
    assert first["helo_name"] == "helo.example.net"
    assert first["sasl_username"] == ""
    assert second["client_address"] == "2001:db8::7"
    assert second["sasl_username"] == "alice"


def test_the_milter_sees_the_client_that_xclient_named(start_postfix: StartPostfix) -> None:
    with MilterRecorder() as recorder:
        postfix = start_postfix(default_services(milters=recorder.postfix))
        with RawClient(postfix.port("submission")) as client:
            client.command("EHLO x")
            client.command("XCLIENT ADDR=192.0.2.77 NAME=mail.example.net LOGIN=alice")
            client.command("EHLO helo.example.net")
            assert client.begin("a@example.net", "b@example.org").code == 354
    assert recorder.connections[-1] == ("mail.example.net", "192.0.2.77")
    assert recorder.helos[-1] == "helo.example.net"
    assert recorder.macros["{auth_authen}"] == "alice"
    assert recorder.macros["{auth_type}"] == "XCLIENT"


def test_a_message_that_is_cut_off_does_not_arrive(postfix: PrivatePostfix, sink: Sink) -> None:
    client = RawClient(postfix.port())
    client.hello(address="192.0.2.77")
    assert client.begin("a@example.net", "b@gatepost.test").code == 354
    client.send(b"Subject: half\r\n\r\nonly so mu")
    client.abort()
    postfix.wait_for_log(r"lost connection after DATA")
    assert not sink.deliveries


def test_mail_waits_in_the_queue_while_the_sink_refuses(
    postfix: PrivatePostfix, sink: Sink
) -> None:
    sink.refuse_with("451 4.3.0 not now")
    sent = swaks.send(postfix.port(), sender="a@example.net", recipients=["b@gatepost.test"])
    postfix.wait_for_log(f"{sent.queue_id}: .*status=deferred")
    assert postfix.queue_ids() == [sent.queue_id]
    sink.refuse_with("")
    postfix.flush()
    sink.wait_for_subject("A test")
    postfix.wait_for_empty_queue()


def test_services_can_be_configured_anew(postfix: PrivatePostfix) -> None:
    envelope = {"sender": "a@example.net", "recipients": ["b@gatepost.test"]}
    assert swaks.send(postfix.port(), **envelope).accepted  # type: ignore[arg-type]
    postfix.configure("mx", smtpd_recipient_restrictions="reject")
    assert swaks.send(postfix.port(), **envelope).reply.code == 554  # type: ignore[arg-type]


def test_two_instances_run_side_by_side(start_postfix: StartPostfix, sink: Sink) -> None:
    first, second = start_postfix(), start_postfix()
    for instance in (first, second):
        instance.reload()
        assert swaks.send(
            instance.port(), sender="a@example.net", recipients=["b@gatepost.test"]
        ).accepted
    first.stop()
    assert swaks.send(
        second.port(), sender="a@example.net", recipients=["b@gatepost.test"]
    ).accepted
    sink.wait_for(lambda one: True, count=3)


def test_a_start_that_fails_says_why(start_postfix: StartPostfix, directory: Path) -> None:
    hidden = directory / "hidden"
    hidden.mkdir(mode=0o700)
    with pytest.raises(PostfixError, match="is closed to the user postfix"):
        PrivatePostfix(hidden, "smtp:[127.0.0.1]:1").start()
    with (
        socket.create_server((LOOPBACK, 0)) as taken,
        pytest.raises(PostfixError, match="is in use"),
    ):
        start_postfix([Service("mx", port=taken.getsockname()[1])])
