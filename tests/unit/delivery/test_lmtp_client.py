"""LMTP as we speak it to a mail store (RFC 2033)."""

from __future__ import annotations

import pytest

from delivery.protocols.envelope import LmtpEnvelope
from delivery.protocols.lmtp_client import (
    LmtpTransaction,
    ReadyForContent,
    RecipientAnswered,
    StoreEvent,
    TransactionDone,
)
from delivery.protocols.store_reply import MAX_LINE, MAX_LINES, ReplyReader, StoreReply
from gatepost.peer.errors import PeerError
from tests.unit.delivery.feeding import portions

GREETING = b"220 dovecot ready\r\n"
LHLO = b"250-dovecot\r\n250-8BITMIME\r\n250-PIPELINING\r\n250-SIZE\r\n250 ENHANCEDSTATUSCODES\r\n"
THREE = LmtpEnvelope(
    "a@example.org",
    ("ann@example.org", "nobody@example.org", "full@example.org"),
    "8BITMIME",
    False,
    99,
)


def run(envelope: LmtpEnvelope, several: list[bytes]) -> tuple[bytes, list[StoreEvent]]:
    """Answer with these octets; content is sent when it is wanted."""
    transaction = LmtpTransaction("mx.example.org", envelope)
    sent, events = b"", []
    for portion in several:
        transaction.receive_data(portion)
        while (event := transaction.next_event()) is not None:
            events.append(event)
            sent += transaction.data_to_send()
            if isinstance(event, ReadyForContent):
                sent += transaction.content(b"Subject: x\r\n\r\n.b\r\n") + transaction.content_end()
            if isinstance(event, TransactionDone):
                return sent + transaction.data_to_send(), events
        sent += transaction.data_to_send()
    return sent, events


def test_each_accepted_recipient_has_an_answer_of_its_own() -> None:
    said = (
        GREETING + LHLO + b"250 2.1.0 OK\r\n250 2.1.5 OK\r\n550 5.1.1 <nobody@example.org> Unknown"
        b"\r\n250 2.1.5 OK\r\n354 OK\r\n250 2.0.0 <ann@example.org> AbC Saved\r\n"
        b"452-4.2.2 <full@example.org> Quota\r\n452 4.2.2 exceeded\r\n"
    )
    for several in portions(said + b"250 2.0.0 one too many\r\n"):
        sent, events = run(THREE, several)
        assert sent == (
            b"LHLO mx.example.org\r\nMAIL FROM:<a@example.org> BODY=8BITMIME SIZE=99\r\n"
            b"RCPT TO:<ann@example.org>\r\nRCPT TO:<nobody@example.org>\r\n"
            b"RCPT TO:<full@example.org>\r\nDATA\r\nSubject: x\r\n\r\n..b\r\n.\r\n"
        )
        assert events == [
            RecipientAnswered(1, StoreReply(550, "5.1.1", "<nobody@example.org> Unknown")),
            ReadyForContent(),
            RecipientAnswered(0, StoreReply(250, "2.0.0", "<ann@example.org> AbC Saved")),
            RecipientAnswered(2, StoreReply(452, "4.2.2", "<full@example.org> Quota exceeded")),
            TransactionDone(),
        ]


def test_without_pipelining_each_command_waits() -> None:
    transaction = LmtpTransaction("mx", THREE)
    sent = []
    for reply in (GREETING, b"250 dovecot\r\n", *[b"250 OK\r\n"] * 4, b"354 go\r\n"):
        transaction.receive_data(reply)
        transaction.next_event()
        sent.append(transaction.data_to_send())
    assert sent == [
        b"LHLO mx\r\n",
        b"MAIL FROM:<a@example.org>\r\n",
        b"RCPT TO:<ann@example.org>\r\n",
        b"RCPT TO:<nobody@example.org>\r\n",
        b"RCPT TO:<full@example.org>\r\n",
        b"DATA\r\n",
        b"",
    ]


def test_without_recipients_there_is_no_content() -> None:
    said = GREETING + LHLO + b"250 OK\r\n" + b"451 4.3.0 later\r\n" * 3
    sent, events = run(THREE, [said])
    later = StoreReply(451, "4.3.0", "later")
    assert events == [*(RecipientAnswered(n, later) for n in range(3)), TransactionDone()]
    assert b"DATA" not in sent


@pytest.mark.parametrize("at", ["MAIL", "DATA"])
def test_a_refusal_of_the_sender_or_of_data_is_one_of_everybody(at: str) -> None:
    refusal = b"552 5.3.4 too large\r\n"
    rest = refusal if at == "MAIL" else b"250 OK\r\n" * 4 + refusal
    _, events = run(THREE, [GREETING + LHLO + rest])
    reply = StoreReply(552, "5.3.4", "too large")
    assert events == [*(RecipientAnswered(n, reply) for n in range(3)), TransactionDone()]


@pytest.mark.parametrize(
    "said",
    [
        b"554 5.3.2 not today\r\n",
        b"421 4.3.2 busy\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"220\r\n\r\n",
        GREETING + b"500 what\r\n",
        GREETING + LHLO + b"354 what\r\n",
        GREETING + LHLO + b"250 OK\r\n" * 4 + b"250 what\r\n",
        GREETING + LHLO + b"250 OK\r\n" * 4 + b"354 go\r\n" + b"354 what\r\n",
        GREETING + b"250-a\r\n251 b\r\n",
        b"220 " + b"a" * MAX_LINE + b"\r\n",
        b"220 " + b"a" * (MAX_LINE + 9),
        b"220-a\r\n" * MAX_LINES,
        b"999 no\r\n",
    ],
)
def test_a_store_that_speaks_otherwise_is_broken_and_refuses_nobody(said: bytes) -> None:
    for several in ([said], [said[at : at + 1] for at in range(len(said))]):
        with pytest.raises(PeerError):
            run(THREE, several)


def test_another_message_on_the_same_connection() -> None:
    one = THREE._replace(recipients=("ann@example.org",))
    first = LmtpTransaction("mx", one)
    first.receive_data(GREETING + LHLO + b"250 OK\r\n" * 2 + b"354 go\r\n250 2.0.0 OK\r\n")
    assert first.next_event() == ReadyForContent()
    first.content_end()
    assert isinstance(first.next_event(), RecipientAnswered)
    assert first.next_event() == TransactionDone()
    assert first.is_reusable
    second = LmtpTransaction("mx", one, first.extensions)
    assert second.data_to_send() == (
        b"MAIL FROM:<a@example.org> BODY=8BITMIME SIZE=99\r\nRCPT TO:<ann@example.org>\r\n"
    )
    second.receive_data(b"250 OK\r\n451 4.3.0 later\r\n")
    assert isinstance(second.next_event(), RecipientAnswered)
    assert second.next_event() == TransactionDone()
    assert not second.is_reusable  # its envelope is still open


def test_early_answers_count_once_the_content_is_sent() -> None:
    transaction = LmtpTransaction("mx", THREE._replace(recipients=("ann@example.org",)))
    early = b"250 OK\r\n" * 2 + b"354 go\r\n452 4.3.1 full\r\n"
    transaction.receive_data(GREETING + LHLO + early)
    assert transaction.next_event() == ReadyForContent()
    assert transaction.next_event() is None
    transaction.content_end()
    assert transaction.next_event() == RecipientAnswered(0, StoreReply(452, "4.3.1", "full"))


@pytest.mark.parametrize("has_it", [False, True])
def test_addresses_beyond_ascii_need_a_store_that_takes_them(has_it: bool) -> None:
    envelope = LmtpEnvelope("", ("jörg@example.org",), "", True)
    lhlo = b"250-dovecot\r\n250 SMTPUTF8\r\n" if has_it else b"250 dovecot\r\n"
    sent, events = run(envelope, [GREETING + lhlo])
    assert (b"MAIL FROM:<> SMTPUTF8\r\n" in sent) is has_it
    assert [type(event) for event in events] == (
        [] if has_it else [RecipientAnswered, TransactionDone]
    )


def test_a_header_beyond_ascii_alone_goes_to_any_store() -> None:
    envelope = LmtpEnvelope("", ("ann@example.org",), "", True)
    sent, _ = run(envelope, [GREETING + b"250 dovecot\r\n"])
    assert sent.endswith(b"MAIL FROM:<>\r\n")


def test_a_text_is_passed_on_in_one_printable_line() -> None:
    reader = ReplyReader()
    reader.receive_data(b"550-5.1.1 a\x1b[2J\xff\r\n550 4.0.0 " + b"b" * 600 + b"\r\n")
    read = reader.next_reply()
    assert read is not None
    assert bytes(read[0]).startswith(b"550 5.1.1 a [2J 4.0.0 bbb")
    assert len(bytes(read[0])) < 512
