"""A real Postfix is followed by libmilter and by us alike, whatever it was made to say.

GATEPOST_RECORD=1 keeps what it said in tests/vectors/milter, for the tests without a Postfix.
"""

from __future__ import annotations

import os
import subprocess
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.libmilter.oracle import Oracle
from tests.libmilter.recorder import RECORDED, Recorder, has_mail, write
from tests.libmilter.target import check, ending_oracle
from tests.postfix.conftest import StartPostfix
from tests.testbed.postfix import LOGINS, PrivatePostfix, default_services
from tests.testbed.sink import Sink
from tests.testbed.smtp import RawClient
from tests.testbed.waiting import DEADLINE

OUTSIDE, INSIDE = "192.0.2.1", "10.1.2.3"
MAIL = (
    b"From: User <user@signer.example>\r\nTo: rcpt@gatepost.test\r\n"
    b"Subject: a test\r\n that is folded\r\nX-Empty:\r\nx-lower:no space\r\n"
    b"Date: Sat, 21 Nov 2026 06:56:50 +0000\r\nMessage-ID: <1@signer.example>\r\n"
    b"Authentication-Results: mx.receiver.example; dmarc=pass\r\n\r\nHi\r\n"
)
KEPT = 10_000
"""Octets of a conversation that is kept; longer ones are only played."""
RCPT = "rcpt@gatepost.test"


@dataclass
class Talk:
    """A Postfix that is about to be made to say something."""

    postfix: PrivatePostfix
    sink: Sink

    def client(self, service: str = "mx", address: str = OUTSIDE) -> RawClient:
        smtp = RawClient(self.postfix.port(service))
        smtp.hello(address=address)
        return smtp

    def send(self, smtp: RawClient, message: bytes = MAIL, parameters: str = "") -> int:
        begun = smtp.begin("user@signer.example", RCPT, parameters=parameters)
        assert begun.code == 354, begun
        smtp.send(message)
        return smtp.end().code


def one_message(talk: Talk) -> None:
    with talk.client() as smtp:
        assert talk.send(smtp) == 250
        smtp.command("QUIT")


def two_messages(talk: Talk) -> None:
    with talk.client() as smtp:
        assert talk.send(smtp) == 250
        assert talk.send(smtp, MAIL.replace(b"Hi", b"Hello again")) == 250
        smtp.command("QUIT")


def given_up(talk: Talk) -> None:
    with talk.client() as smtp:
        smtp.command("MAIL FROM:<user@signer.example>")
        smtp.command(f"RCPT TO:<{RCPT}>")
        smtp.command("RSET")
        smtp.command("MAIL FROM:<user@signer.example>")
        smtp.command("RCPT TO:<nobody@elsewhere.example>")
        smtp.command("EHLO another.example")
        assert talk.send(smtp) == 250
        smtp.command("QUIT")


def hung_up(talk: Talk) -> None:
    with talk.client() as smtp:
        smtp.begin("user@signer.example", RCPT)
        smtp.send(MAIL[:60])


def unknown_commands(talk: Talk) -> None:
    with talk.client() as smtp:
        assert smtp.command("XYZZY").code >= 500
        smtp.command("MAIL FROM:<user@signer.example>")
        assert smtp.command("PLUGH me").code >= 500
        smtp.command("RSET")
        assert talk.send(smtp) == 250
        smtp.command("QUIT")


def smtputf8(talk: Talk) -> None:
    with talk.client() as smtp:
        begun = smtp.begin("jörg@sender.example", RCPT, parameters="SMTPUTF8 BODY=8BITMIME")
        assert begun.code == 354
        smtp.send("From: Jörg <jörg@sender.example>\r\nSubject: grüße\r\n\r\ngrüße\r\n".encode())
        assert smtp.end().code == 250
        smtp.command("QUIT")


def eight_bit(talk: Talk) -> None:
    message = MAIL.replace(b"X-Empty:", b"X-Eight: gr\xfc\xdfe").replace(b"Hi", b"gr\xfc\xdfe")
    with talk.client() as smtp:
        assert talk.send(smtp, message, "BODY=8BITMIME") == 250
        smtp.command("QUIT")


def long_body(talk: Talk) -> None:
    with talk.client() as smtp:
        assert talk.send(smtp, MAIL + (b"x" * 76 + b"\r\n") * 1000) == 250
        smtp.command("QUIT")


def logged_in(talk: Talk) -> None:
    name, password = next(iter(LOGINS.items()))
    with talk.client("submission") as smtp:
        login = b64encode(f"\0{name}\0{password}".encode()).decode()
        assert smtp.command(f"AUTH PLAIN {login}").code == 235
        assert talk.send(smtp) == 250
        smtp.command("QUIT")


def other_clients(talk: Talk) -> None:
    for address in ("2001:db8::1", INSIDE):
        with talk.client(address=address) as smtp:
            assert talk.send(smtp) == 250
            smtp.command("QUIT")


def handed_in(talk: Talk) -> None:
    command = ["sendmail", "-C", str(talk.postfix.configuration), "-f", "user@signer.example", RCPT]
    environment = {"PATH": f"{os.environ['PATH']}:/usr/sbin"}
    text = MAIL.replace(b"\r\n", b"\n")
    subprocess.run(command, input=text, check=True, env=environment)
    talk.sink.wait_for(lambda _: True)
    talk.postfix.stop()  # cleanup(8) keeps its connection to a milter


TALKS: tuple[Callable[[Talk], None], ...] = (
    one_message, two_messages, given_up, hung_up, unknown_commands, smtputf8, eight_bit, long_body,
    logged_in, other_clients,
    handed_in,  # the last one, as it stops Postfix
)  # fmt: skip


@pytest.fixture(scope="module")
def libmilter() -> Iterator[Oracle]:
    with ending_oracle() as running:
        yield running


@pytest.mark.parametrize("version", ["6", "4", "3", "2"])
def test_what_postfix_says_is_followed_alike(
    version: str, start_postfix: StartPostfix, sink: Sink, libmilter: Oracle
) -> None:
    with Recorder() as recorder:
        settings = {"milter_protocol": version, "non_smtpd_milters": recorder.postfix}
        postfix = start_postfix(default_services(milters=recorder.postfix), settings)
        for talk in TALKS if version == "6" else (two_messages, given_up, eight_bit):
            sink.clear()
            recorder.conversations.clear()
            talk(Talk(postfix, sink))
            conversations = recorder.wait(DEADLINE)
            for conversation in conversations:
                check(conversation, allowed=())
            if os.environ.get("GATEPOST_RECORD"):
                kept = [one for one in conversations if has_mail(one) and len(one.octets) < KEPT]
                for number, conversation in enumerate(kept, 1):
                    write(RECORDED / f"{talk.__name__}-{version}-{number}.txt", conversation)
