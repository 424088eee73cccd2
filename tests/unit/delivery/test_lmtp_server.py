"""LMTP as Postfix speaks it to us (RFC 2033)."""

from __future__ import annotations

import pytest

from delivery.protocols.envelope import LmtpEnvelope
from delivery.protocols.lmtp_server import (
    MAX_COMMAND,
    MAX_MISTAKES,
    ContentEnd,
    ContentPart,
    Goodbye,
    LmtpServer,
)
from gatepost.conversation import Answered, StreamError
from tests.unit.delivery.feeding import portions

LHLO = (
    b"250-mx.example.org\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n"
    b"250-ENHANCEDSTATUSCODES\r\n250 SIZE 1000\r\n"
)


class Talk:
    """A connection whose messages are all answered with 250."""

    def __init__(self) -> None:
        self.protocol = LmtpServer("mx.example.org", 1000, 3)
        self.out = self.protocol.greeting
        self.content = b""
        self.messages: list[tuple[LmtpEnvelope, bytes]] = []
        self.is_over = False

    def send(self, data: bytes) -> bytes:
        before = len(self.out)
        self.protocol.receive_data(data)
        while (event := self.protocol.next_event()) is not None:
            match event:
                case Answered(reply) | Goodbye(reply):
                    self.out += reply
                    self.is_over = isinstance(event, Goodbye)
                case ContentPart(part):
                    self.content += part
                case ContentEnd(envelope):
                    assert self.protocol.next_event() is None
                    self.messages.append((envelope, self.content))
                    self.content = b""
                    self.out += b"250 2.0.0 saved\r\n" * len(envelope.recipients)
                    self.protocol.resume()
        return self.out[before:]


SESSION = (
    b"LHLO mail.example.org\r\n"
    b"MAIL FROM:<a@example.org> BODY=8BITMIME SIZE=12\r\nRCPT TO:<ann@example.org>\r\n"
    b"RCPT TO:<bob@example.org>\r\nDATA\r\n"
    b"Subject: x\r\n\r\n..b\r\n.\r\n"
    b"MAIL FROM:<> SMTPUTF8\r\nRCPT TO:<j\xc3\xb6rg@example.org>\r\nDATA\r\n.\r\nQUIT\r\nRSET\r\n"
)


def test_a_session_is_read_however_it_is_cut() -> None:
    for several in portions(SESSION):
        talk = Talk()
        for portion in several:
            talk.send(portion)
        assert talk.messages == [
            (
                LmtpEnvelope(
                    "a@example.org", ("ann@example.org", "bob@example.org"), "8BITMIME", False, 12
                ),
                b"Subject: x\r\n\r\n.b\r\n",
            ),
            (LmtpEnvelope("", ("jörg@example.org",), "", True), b""),
        ]
        assert talk.out == (
            b"220 mx.example.org LMTP Gatepost\r\n" + LHLO + b"250 2.1.0 OK\r\n"
            b"250 2.1.5 OK\r\n250 2.1.5 OK\r\n354 End data with <CR><LF>.<CR><LF>\r\n"
            b"250 2.0.0 saved\r\n250 2.0.0 saved\r\n250 2.1.0 OK\r\n250 2.1.5 OK\r\n"
            b"354 End data with <CR><LF>.<CR><LF>\r\n250 2.0.0 saved\r\n221 2.0.0 Bye\r\n"
        )
        assert talk.is_over


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        (b"MAIL FROM:<a@example.org>", b"250 2.1.0"),
        (b"mail from: <a@example.org>", b"250 2.1.0"),
        (b"MAIL FROM:<>", b"250 2.1.0"),
        (b'MAIL FROM:<"a <b>\\" c"@example.org>', b"250 2.1.0"),
        (b"MAIL FROM:a@example.org", b"501 5.1.7"),
        (b"MAIL FROM:<a b@example.org>", b"501 5.1.7"),
        (b"MAIL FROM:<a@example.org>x", b"501 5.1.7"),
        (b"MAIL FROM:<" + b"a" * 1100 + b"@example.org>", b"501 5.1.7"),
        (b"MAIL TO:<a@example.org>", b"501 5.1.7"),
        (b"MAIL FROM:<a@example.org> SIZE=1001", b"552 5.3.4"),
        (b"MAIL FROM:<a@example.org> SIZE=-1", b"555 5.5.4"),
        (b"MAIL FROM:<a@example.org> BODY=BINARYMIME", b"555 5.5.4"),
        (b"MAIL FROM:<a@example.org> RET=FULL", b"555 5.5.4"),
        (b"MAIL FROM:<a@example.org> SMTPUTF8=yes", b"555 5.5.4"),
        (b"MAIL FROM:<j\xc3\xb6rg@example.org>", b"553 5.6.7"),
        (b"MAIL FROM:<j\xf6rg@example.org> SMTPUTF8", b"500 5.5.2"),
        (b"MAIL FROM:<a\x00@example.org>", b"500 5.5.2"),
        (b"MAIL FROM:<a@example.org>\nRCPT TO:<b@example.org>", b"500 5.5.2"),
        (b"RCPT TO:<ann@example.org>", b"503 5.5.1"),
        (b"DATA", b"503 5.5.1"),
        (b"HELO x", b"500 5.5.1"),
        (b"EHLO x", b"500 5.5.1"),
        (b"LHLO", b"501 5.5.4"),
        (b"NOOP hi", b"250 2.0.0"),
        (b"VRFY ann", b"252 2.5.0"),
        (b"RSET", b"250 2.0.0"),
        (b"RSET x", b"501 5.5.4"),
        (b"", b"500 5.5.1"),
    ],
)
def test_replies_to_single_commands(command: bytes, reply: bytes) -> None:
    talk = Talk()
    assert talk.send(b"LHLO x\r\n") == LHLO
    assert talk.send(command + b"\r\n").startswith(reply + b" ")
    assert not talk.is_over


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        (b"MAIL FROM:<b@example.org>", b"503 5.5.1"),
        (b"RCPT TO:<>", b"501 5.1.3"),
        (b"RCPT TO:ann", b"501 5.1.3"),
        (b"RCPT TO:<ann@example.org> NOTIFY=NEVER", b"555 5.5.4"),
        (b"RCPT TO:<j\xc3\xb6rg@example.org>", b"553 5.6.7"),
        (b"DATA", b"503 5.5.1"),
        (b"DATA x", b"501 5.5.4"),
    ],
)
def test_replies_within_a_transaction(command: bytes, reply: bytes) -> None:
    talk = Talk()
    talk.send(b"LHLO x\r\nMAIL FROM:<a@example.org>\r\n")
    assert talk.send(command + b"\r\n").startswith(reply + b" ")


def test_recipients_are_bounded() -> None:
    talk = Talk()
    talk.send(b"LHLO x\r\nMAIL FROM:<a@example.org>\r\n")
    replies = talk.send(b"RCPT TO:<ann@example.org>\r\n" * 4).splitlines()
    assert [reply[:3] for reply in replies] == [b"250", b"250", b"250", b"452"]


def test_a_transaction_ends_with_rset_and_lhlo() -> None:
    for end in (b"RSET\r\n", b"LHLO x\r\n"):
        talk = Talk()
        talk.send(b"LHLO x\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<ann@example.org>\r\n" + end)
        assert talk.send(b"DATA\r\n").startswith(b"503 ")


@pytest.mark.parametrize("command", [b"GET / HTTP/1.1", b"EHLO x", b"\x16\x03\x01", b"SYMBOLS"])
def test_a_client_of_another_protocol_is_sent_away(command: bytes) -> None:
    talk = Talk()
    assert talk.send(command + b"\r\nMAIL FROM:<a@b>\r\n") == b"421 4.7.0 Too many errors\r\n"
    assert talk.is_over


def test_mistakes_are_bounded() -> None:
    talk = Talk()
    talk.send(b"LHLO x\r\n")
    for _ in range(MAX_MISTAKES):
        assert talk.send(b"FOO\r\n").startswith(b"500 ")
    assert talk.send(b"FOO\r\n").startswith(b"421 ")
    assert talk.is_over


@pytest.mark.parametrize("data", [b"A" * (MAX_COMMAND + 1), b"A" * (MAX_COMMAND + 1) + b"\r\n"])
def test_a_command_is_bounded(data: bytes) -> None:
    with pytest.raises(StreamError):
        Talk().send(data)


def test_nothing_is_read_until_the_recipients_have_their_answers() -> None:
    protocol = LmtpServer("mx.example.org", 1000, 3)
    protocol.receive_data(SESSION)
    while not isinstance(protocol.next_event(), ContentEnd):
        pass
    assert protocol.next_event() is None
    assert protocol.buffered > 0
    protocol.resume()
    assert protocol.next_event() == Answered(b"250 2.1.0 OK\r\n")
