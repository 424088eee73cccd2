"""Journeys joined from decisions, and the stories about them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import pytest

from accounts.journal.journey import MailJourney, join
from accounts.journal.meanings import meaning_of
from accounts.journal.row import JournalRow, base_of, read_row, rows_of
from accounts.journal.story import MailStory, tell
from delivery.reasons import REASONS as DELIVERY_REASONS
from gatepost.journal.record import JournalRecord
from milters.reasons import reasons as milter_reasons
from policyd.reasons import REASONS as POLICY_REASONS

NOW = 1_900_000_000.0
ANN, BOB = "ann@example.org", "bob@example.org"
CLIENT = "192.0.2.1"


def made(*records: JournalRecord) -> list[JournalRow]:
    rows: list[JournalRow] = []
    for record in records:
        for values in rows_of(record, "+", record.at):
            rows.append(
                read_row((len(rows) + 1, *(values[name] for name in JournalRow._fields[1:])))
            )
    return rows


def asked(at: float, action: str = "pass", reason: str = "", **more: Any) -> JournalRecord:
    values = {"client": CLIENT, "sender": "s@example.com", "recipients": (ANN,), **more}
    return JournalRecord(NOW + at, "policyd", action, reason, **values)


def judged(at: float, action: str = "accept", reason: str = "", **more: Any) -> JournalRecord:
    values = {
        "client": CLIENT,
        "sender": "s@example.com",
        "recipients": (ANN,),
        "queue_id": "4Q1",
        "message_id": "<1@example.com>",
        **more,
    }
    return JournalRecord(
        NOW + at, "milters", action, reason, **{"total": len(values["recipients"]), **values}
    )


def delivered(at: float, action: str = "deliver", reason: str = "", **more: Any) -> JournalRecord:
    values = {"sender": "s@example.com", "recipients": (ANN,), "queue_id": "4Q1", **more}
    return JournalRecord(NOW + at, "delivery", action, reason, **values)


def stories(*records: JournalRecord) -> list[MailStory]:
    return [tell(journey) for journey in join(made(*records))]


def states(*records: JournalRecord) -> list[tuple[str, str]]:
    return sorted((one.recipient, str(one.state)) for one in stories(*records))


@pytest.mark.parametrize(
    ("records", "state", "begin"),
    [
        ([asked(0, "defer", "greylist-new")], "greylisted", "Not accepted yet: greylisted."),
        ([asked(0, "reject", "dnslist")], "refused", "Refused on 2030-03-17 17:46:40 UTC because"),
        ([asked(0, "defer", "limit-hourly")], "postponed", "Not accepted yet on"),
        ([asked(0)], "unfinished", "Not received: the policy server had no objection"),
        ([asked(0, "discard")], "discarded", "Discarded"),
        ([asked(0, "redirect")], "forwarded", "Sent to another address"),
        ([asked(0), judged(1, "reject", "dmarc-fail-reject")], "refused", "Refused on"),
        ([judged(0, "defer", "unsigned")], "postponed", "Not accepted yet on"),
        ([judged(0, "quarantine", "dmarc-fail-quarantine")], "held", "Held since"),
        ([asked(0, "hold", "compromised"), judged(1)], "held", "Held since"),
        ([asked(0), judged(1)], "accepted", "Accepted on"),
        ([judged(1), delivered(2)], "delivered", "Delivered on"),
        ([judged(1), delivered(2, details={"verdict": "junk"})], "junk", "Delivered as spam on"),
        (
            [judged(1), delivered(2, details={"verdict": "quarantined", "virus": "Eicar"})],
            "quarantined",
            "Not delivered: it has the virus Eicar",
        ),
        ([judged(1), delivered(2, "defer", "store-away")], "queued", "It waits in our queue"),
        (
            [judged(1), delivered(2, "defer", "store-away"), delivered(99)],
            "delivered",
            "Delivered on",
        ),
        ([judged(1), delivered(2, "reject")], "bounced", "Not delivered: the mail store refused"),
        ([delivered(2)], "delivered", "Delivered on"),
    ],
)
def test_the_first_sentence_says_what_became_of_it(
    records: Iterable[JournalRecord], state: str, begin: str
) -> None:
    (story,) = stories(*records)
    assert story.state == state
    assert story.sentence.startswith(begin)
    assert len(story.events) == len(list(records))
    assert story.advice or state in ("discarded", "forwarded")


def test_attempts_belong_to_the_next_mail_of_the_same_network() -> None:
    # as greylisting, which takes a /24 for one client
    (story,) = stories(
        asked(-600, "defer", "greylist-new", client="192.0.2.9"),
        asked(-300, "defer", "greylist-early", client="198.51.100.1"),
        asked(0),
        judged(1),
        delivered(2),
    )
    assert len(story.events) == 5
    assert "it came back after 10 min" in story.events[2].text


def test_a_forgery_does_not_join_the_genuine_mail() -> None:
    found = stories(
        asked(-60, "reject", "spf-fail", client="203.0.113.66"), asked(0), judged(1), delivered(2)
    )
    assert [(one.state, len(one.events)) for one in found] == [("delivered", 3), ("refused", 1)]


def test_the_next_mail_has_its_own_attempts() -> None:
    found = stories(
        asked(0),
        judged(1, queue_id="4Q1"),
        asked(100),
        judged(101, queue_id="4Q2", message_id="<2@example.com>"),
    )
    assert [(one.queue_id, len(one.events)) for one in found] == [("4Q2", 2), ("4Q1", 2)]


def test_attempts_without_mail_are_one_story_for_each_client() -> None:
    found = stories(
        *(asked(minutes * 60, "defer", "greylist-new") for minutes in range(3)),
        asked(9, "reject", "dnslist", client="203.0.113.66"),
    )
    assert sorted((one.state, len(one.events)) for one in found) == [
        ("greylisted", 3),
        ("refused", 1),
    ]


def test_the_target_of_an_alias_belongs_to_it() -> None:
    (story,) = stories(judged(1, recipients=("info@example.org",)), delivered(2))
    assert story.recipient == "info@example.org"
    assert "in the mailbox ann@example.org" in story.sentence


def test_two_aliases_are_not_mixed_up() -> None:
    found = states(
        judged(1, recipients=("info@example.org", "sales@example.org")),
        delivered(2),
        delivered(3, "defer", recipients=(BOB,)),
    )
    assert found == [
        (ANN, "delivered"),
        (BOB, "queued"),
        ("info@example.org", "accepted"),
        ("sales@example.org", "accepted"),
    ]


def test_each_recipient_has_a_story() -> None:
    found = states(
        judged(1, recipients=(ANN, BOB)), delivered(2), delivered(3, "reject", recipients=(BOB,))
    )
    assert found == [(ANN, "delivered"), (BOB, "bounced")]


def test_a_short_queue_id_is_used_again() -> None:
    found = stories(
        judged(0, queue_id="A1"),
        delivered(1, queue_id="A1"),
        judged(90_000, queue_id="A1", message_id="<2@example.com>"),
    )
    assert [str(one.state) for one in found] == ["accepted", "delivered"]


def test_a_refusal_of_the_whole_message_concerns_each_recipient() -> None:
    whole: dict[str, Any] = {"recipients": (), "instance": "1.2.3"}
    asks = [asked(0, instance="1.2.3"), asked(1, instance="1.2.3", recipients=(BOB,))]
    found = stories(*asks, asked(2, "reject", "limit-size", **whole))
    assert sorted((one.recipient, str(one.state)) for one in found) == [
        (ANN, "refused"),
        (BOB, "refused"),
    ]
    found = stories(*asks, asked(2, **whole), judged(3, recipients=(ANN, BOB)))
    assert sorted((one.recipient, len(one.events)) for one in found) == [(ANN, 2), (BOB, 2)]


def test_every_reason_has_a_meaning() -> None:
    ids = [*POLICY_REASONS, *milter_reasons(), *DELIVERY_REASONS]
    assert [one for one in ids if meaning_of(one) is None] == []
    assert meaning_of("limit-hourly") is not None
    assert meaning_of("unheard-of") is None
    (story,) = stories(asked(0, "reject", "unheard-of"))
    assert story.sentence.endswith("with the reason unheard-of.")


def test_a_client_name_cannot_end_the_command() -> None:
    (story,) = stories(asked(0, "defer", "greylist-new", client_name="`rm -rf ~`"))
    assert "gatepost greylist allow CLIENT`" in story.advice


def test_attempts_are_counted_in_words() -> None:
    (one,) = stories(asked(0, "defer", "greylist-new"))
    assert one.sentence.endswith("There was one attempt, on 2030-03-17 17:46:40 UTC.")
    (many,) = stories(*(asked(60 * n, "defer", "greylist-early") for n in range(3)))
    assert many.sentence.endswith("There were 3 attempts, the last on 2030-03-17 17:48:40 UTC.")
    (queued,) = stories(judged(0), delivered(1, "defer", "store-away"))
    assert queued.sentence.endswith("There was one attempt, on 2030-03-17 17:46:41 UTC.")


def test_two_questions_about_one_mail_are_one_line() -> None:
    """At submission, Postfix asks after the recipient and after the message."""
    (story,) = stories(asked(0), asked(0.2), judged(0.3), delivered(1))
    assert [one.daemon for one in story.events] == ["policy server", "milter", "delivery"]
    (other,) = stories(asked(0), asked(3600), judged(3601))
    assert len(other.events) == 3, "an hour later it is another attempt"
    (refused,) = stories(asked(0), asked(0.2, "reject", "limit-hourly"))
    assert len(refused.events) == 2


@pytest.mark.parametrize(
    ("address", "base"),
    [
        ("Ann+news@Example.ORG", ANN),
        ("ann@example.org", ANN),
        ("+@example.org", "+@example.org"),
        ("ann@b\u00fccher.example", "ann@xn--bcher-kva.example"),
        ("", ""),
        ("postmaster", "postmaster"),
    ],
)
def test_addresses_are_searched_without_their_extension(address: str, base: str) -> None:
    assert base_of(address, "+") == base


def test_a_time_that_cannot_be_right_is_replaced() -> None:
    for at, kept in ((NOW + 3600, NOW), (NOW - 90_000, NOW), (NOW - 5, NOW - 5)):
        (row,) = rows_of(asked(0)._replace(at=at), "+", NOW)
        assert row["at"] == kept


def test_joining_two_thousand_rows_is_quick() -> None:
    records = [asked(n, "defer", "greylist-new", sender=f"{n % 7}@x.example") for n in range(1000)]
    records += [judged(n, queue_id=f"4Q{n}") for n in range(1000)]
    rows = made(*records)
    began = time.process_time()
    found: list[MailJourney] = join(rows)
    assert sum(len(one.rows) for one in found) == 2000
    assert time.process_time() - began < 2


def test_many_mails_between_two_people_are_joined_at_once() -> None:
    """The pages wait for it, and so does everybody else: it must not take the square of the rows.

    A program that sends a mail each minute is enough.
    """
    rows = []
    for number in range(1000):
        mail = {"queue_id": f"4Q{number}", "message_id": f"<{number}@example.com>"}
        rows += made(asked(number * 60, instance=f"i{number}"), judged(number * 60 + 1, **mail))
    rows = [row._replace(id=number) for number, row in enumerate(rows)]
    begun = time.process_time()
    journeys = join(rows)
    assert time.process_time() - begun < 3
    assert [len(one.attempts) for one in journeys] == [1] * 1000
    assert all(one.attempts[0].at == one.accepted[0].at - 1 for one in journeys)
