"""Message-ID, size and recipients in the log line of a message, and its record for accounts."""

from __future__ import annotations

from gatepost.dns import Zone
from gatepost.journal.record import decode, encode
from milters.envelope import MAX_LISTED, MAX_LOGGED
from milters.journal import journal_record
from milters.outcome import MessageOutcome
from tests.unit.milters.mail import Mail, play, session_of

NOTHING = Zone({})
OUTSIDE = "192.0.2.1"


def received(mail: Mail, *recipients: str) -> MessageOutcome:
    """Return the outcome of a message from outside."""
    return play(
        session_of(OUTSIDE),
        mail,
        NOTHING,
        sender=b"<sender@example.com>",
        recipients=[f"<{one}>".encode() for one in recipients],
    )


def test_the_line_names_the_message() -> None:
    mail = Mail((("From", " a@example.com"), ("Message-ID", " <1@example.com>")))
    outcome = received(mail, "ann@example.org", "bob@example.org")
    facts = outcome.facts
    assert facts["message_id"] == "<1@example.com>"
    assert facts["size"] == len(
        b"From: a@example.com\r\nMessage-ID: <1@example.com>\r\n\r\nHello\r\n"
    )
    assert (facts["recipients"], facts["to"]) == (2, ["ann@example.org", "bob@example.org"])
    record = journal_record("4Q1", outcome, 1.5)
    assert decode(encode(record)) == record
    assert (record.at, record.queue_id, record.sender) == (1.5, "4Q1", "sender@example.com")
    assert (record.recipients, record.total) == (("ann@example.org", "bob@example.org"), 2)
    assert record.details["spf"].startswith("none")


def test_only_the_first_message_id_counts_and_it_is_cut() -> None:
    fields = (("From", " a@example.com"), ("message-id", " <" + "x" * 10_000), ("Message-ID", " b"))
    facts = received(Mail(fields, b"")).facts
    assert facts["message_id"] == "<" + "x" * 249
    folded = (("From", " a@example.com"), ("Message-ID", "\r\n <1@example.com>"))
    assert received(Mail(folded, b"")).facts["message_id"] == "<1@example.com>"
    assert "message_id" not in received(Mail.of()).facts


def test_recipients_are_bounded_and_all_are_counted() -> None:
    outcome = received(Mail.of(), *(f"u{n}@example.org" for n in range(MAX_LISTED + 50)))
    assert outcome.facts["recipients"] == MAX_LISTED + 50
    to = outcome.facts["to"]
    assert isinstance(to, list)
    assert len(to) == MAX_LOGGED
    record = journal_record("4Q1", outcome, 1.0)
    assert (len(record.recipients), record.total) == (MAX_LISTED, MAX_LISTED + 50)


def test_a_refused_message_is_named_too() -> None:
    mail = Mail((("Message-ID", " <1@example.com>"), *[("X", " y")] * 30_000))
    outcome = received(mail, "ann@example.org")
    assert outcome.reason == "header-too-large"
    record = journal_record("4Q1", outcome, 1.0)
    assert (record.action, record.message_id) == ("reject", "<1@example.com>")
    assert record.recipients == ("ann@example.org",)
