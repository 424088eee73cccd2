"""Stories with what the log of Postfix tells."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.journal.story import MailStory
from gatepost.journal.record import JournalRecord
from tests.unit.accounts.journal.test_story import ANN, BOB, NOW, delivered, judged, made, stories

FAR = "x@far.test"
INFO = "info@example.org"


def logged(at: float, action: str = "deliver", **more: Any) -> JournalRecord:
    """Return a record of Postfix; `more` has details, and `to`."""
    to, details = more.pop("to", FAR), {"way": "smtp", "relay": "mx.far.test[192.0.2.5]:25"}
    details |= {name: value for name, value in more.items() if isinstance(value, str)}
    return JournalRecord(
        NOW + at, "postfix", action, queue_id="4Q1", recipients=(to,), details=details
    )


def story(*records: JournalRecord) -> MailStory:
    (found,) = stories(*records)
    return found


@pytest.mark.parametrize(
    ("record", "state", "sentence", "advice", "event"),
    [
        (
            logged(5, reply="250 2.0.0 Ok"),
            "sent",
            "Handed to mx.far.test on 2030-03-17 17:46:45 UTC.",
            "mx.far.test said: 250 2.0.0 Ok. That server knows what happened to it then.",
            "delivered to mx.far.test",
        ),
        (
            logged(5, "defer", reply="450 4.2.0 later", next=str(int(NOW) + 305)),
            "queued",
            "It waits in our queue. An attempt on 2030-03-17 17:46:45 UTC failed. The next one is "
            "about 2030-03-17 17:51:45 UTC.",
            "mx.far.test said: 450 4.2.0 later `postqueue -i 4Q1` tries at once.",
            "deferred by mx.far.test; next attempt about 2030-03-17 17:51:45 UTC",
        ),
        (
            logged(5, "defer", relay="none", way="", reply="Host not found", next="x"),
            "queued",
            "It waits in our queue. An attempt on 2030-03-17 17:46:45 UTC failed.",
            "Postfix said: Host not found `postqueue -i 4Q1` tries at once.",
            "deferred",
        ),
        (
            logged(5, "reject", reply="550 5.1.1 nobody"),
            "bounced",
            "Not delivered: mx.far.test refused it for good on 2030-03-17 17:46:45 UTC. The sender "
            "gets a bounce.",
            "mx.far.test said: 550 5.1.1 nobody",
            "bounced by mx.far.test",
        ),
        (
            logged(5, "reject", expired="yes", way="", reply="timed out"),
            "bounced",
            "Not delivered: Postfix has given up on 2030-03-17 17:46:45 UTC, after several "
            "attempts. The sender gets a bounce.",
            "Postfix said: timed out",
            "given up, and bounced",
        ),
        (
            logged(5, way="inside", relay="127.0.0.1[127.0.0.1]:10026", queued_as="4NEXT123"),
            "accepted",
            "Passed on within this system on 2030-03-17 17:46:45 UTC, under the queue id 4NEXT123.",
            "Search for 4NEXT123 to see what became of it.",
            "passed on within this system",
        ),
        (
            logged(5, way="lmtp", relay="mx[private/lmtp]"),
            "delivered",
            "Delivered on 2030-03-17 17:46:45 UTC.",
            "If it is not in the inbox, a filter of the mailbox has moved it, forwarded it or "
            "removed it.",
            "delivered by LMTP",
        ),
        (
            logged(5, "discard", way=""),
            "discarded",
            "Discarded on 2030-03-17 17:46:45 UTC by a rule of Postfix.",
            "",
            "discarded",
        ),
    ],
)
def test_what_postfix_says(
    record: JournalRecord, state: str, sentence: str, advice: str, event: str
) -> None:
    found = story(judged(0, recipients=(FAR,)), record)
    assert (found.state, found.sentence, found.advice) == (state, sentence, advice)
    assert (found.events[-1].daemon, found.events[-1].text) == ("Postfix", event)
    assert found.events[-1].reply == record.details.get("reply", "")


def lmtp(at: float, action: str = "deliver", to: str = ANN, **more: str) -> JournalRecord:
    return logged(at, action, to=to, way="lmtp", **more)


def test_delivery_knows_more_of_a_mailbox() -> None:
    junk = delivered(1, details={"verdict": "junk"})
    assert story(judged(0), junk, lmtp(1.1)).state == "junk"
    deferred = delivered(1, "defer", "scanner-away")
    waiting = story(judged(0), deferred, lmtp(1.1, "defer"))
    assert "because the spam scanner did not answer" in waiting.sentence
    assert waiting.sentence.endswith("There was one attempt, on 2030-03-17 17:46:41 UTC.")
    # Postfix has lost the answer, and tries again
    assert story(judged(0), delivered(1), lmtp(1.1, "defer")).state == "delivered"


def test_postfix_knows_what_delivery_did_not_see() -> None:
    away = "connect to 127.0.0.1[127.0.0.1]:10028: Connection refused"
    found = story(judged(0), delivered(1, "defer"), lmtp(900, "defer", reply=away))
    assert (found.state, found.advice) == (
        "queued",
        f"Postfix said: {away} `postqueue -i 4Q1` tries at once.",
    )
    expired = lmtp(300_000, "reject", expired="yes")
    assert story(judged(0), delivered(1, "defer"), expired).state == "bounced"
    assert story(judged(0), delivered(1, "defer"), lmtp(2, "defer"), delivered(900)).state == (
        "delivered"
    )


def test_an_alias_has_the_deliveries_of_its_targets() -> None:
    """Without Postfix, nobody knows which of two aliases leads to whom."""
    records = (
        judged(0, recipients=(INFO, "shop@example.org")),
        delivered(1, recipients=(ANN,)),
        delivered(1, recipients=(BOB,), details={"verdict": "junk"}),
    )
    assert len(stories(*records)) == 4
    log = lmtp(1.1, to=INFO, final=ANN), lmtp(1.1, to="shop@example.org", final=BOB)
    found = {one.recipient: one for one in stories(*records, *log)}
    assert {name: one.state for name, one in found.items()} == {
        INFO: "delivered",
        "shop@example.org": "junk",
    }
    assert f"in the mailbox {ANN}" in found[INFO].sentence


def test_of_several_targets_the_one_that_failed_matters() -> None:
    for action, state in (("reject", "bounced"), ("defer", "queued"), ("deliver", "sent")):
        found = story(
            judged(0, recipients=(INFO,)),
            logged(1, action, to=INFO, final="a@far.test"),
            logged(2, to=INFO, final="b@far.test"),
        )
        assert found.state == state
        assert len(found.events) == 3
        # who wrote to the alias does not learn where it leads
        assert "a@far.test" not in str(found)


def test_targets_are_in_the_searched_form() -> None:
    (row,) = made(logged(0, to=INFO, final="Ann+x@Example.org"))
    assert row.details["final"] == ANN


def test_mail_without_a_milter_is_a_story_too() -> None:
    assert story(logged(0)).recipient == FAR


def test_hostile_details_are_only_text() -> None:
    for value in ("9" * 400, "-1", "\u0663", "1e9"):
        assert "next" not in story(logged(0, "defer", next=value)).events[0].text
    found = story(logged(0, "reject", reply="550 run `rm -r /`"))
    assert found.advice == "mx.far.test said: 550 run 'rm -r /'"
