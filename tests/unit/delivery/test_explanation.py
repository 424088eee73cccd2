"""Sentences about X-Spam-Status, and what they are made from."""

from __future__ import annotations

from typing import Any

import pytest

from delivery.decision import SpamDecision, SpamVerdict
from delivery.explanation import SpamStatus, explain, read_status
from delivery.marks import spam_fields
from delivery.protocols.spamc import read_report
from delivery.scan import RuleHit, ScanResult

REPORT = """Spam detection software, running on the system "mx", has

Content preview:  1.0 NOT_A_RULE in the text

Content analysis details:   (6.9 points, 5.0 required)

 pts rule name              description
---- ---------------------- --------------------------------------------------
 3.5 BAYES_99               BODY: Bayes spam probability is 99 to 100%
                            [score: 1.0000]
-0.1 A_RULE_WITH_A_VERY_LONG_NAME The description follows
 1000 GTUBE                 BODY: Generic Test
 0.0 BARE

Text below: 2.0 NO_RULE      nothing
"""


def test_rules_in_a_report() -> None:
    assert read_report(REPORT) == (
        RuleHit("BAYES_99", 3.5, "BODY: Bayes spam probability is 99 to 100% [score: 1.0000]"),
        RuleHit("A_RULE_WITH_A_VERY_LONG_NAME", -0.1, "The description follows"),
        RuleHit("GTUBE", 1000.0, "BODY: Generic Test"),
        RuleHit("BARE", 0.0, ""),
    )
    assert read_report("") == ()
    assert read_report("---- --- ----\n" + " 1.0 X y\n" * 10_000)[199:] == (RuleHit("X", 1.0, "y"),)


@pytest.mark.parametrize(
    "decision",
    [
        SpamDecision(SpamVerdict.JUNK, "", 5.0, ScanResult(7.5, 5.0, ("A", "B_C"))),
        SpamDecision(SpamVerdict.HAM, "allowed-sender", 5.0, ScanResult(-7.5, 5.0, ())),
        SpamDecision(SpamVerdict.UNCHECKED, "scanner-away"),
        SpamDecision(SpamVerdict.SKIPPED, "preference"),
        SpamDecision(SpamVerdict.JUNK, "blocked-sender"),
    ],
)
def test_the_mark_of_the_proxy_is_read_back(decision: SpamDecision) -> None:
    field = spam_fields(decision, scanned=100).decode().split("\r\nX-Spam-")[0]
    status = read_status(" ".join(field.partition(":")[2].split()))
    assert status is not None
    result = decision.result
    assert status == SpamStatus(
        status.word,
        None if result is None else result.score,
        decision.threshold,
        decision.cause,
        "100",
        () if result is None else result.symbols,
    )


@pytest.mark.parametrize("text", ["", "Yes", "Maybe, score=1.0", "yes score=9"])
def test_other_values_are_not_ours(text: str) -> None:
    assert read_status(text) is None


def verdict(**more: Any) -> dict[str, Any]:
    rules = [
        {"name": "A", "points": 0.5, "description": "first"},
        {"name": "NEW", "points": 3.0, "description": ""},
    ]
    facts = {"junk": False, "cause": "", "threshold": 5.0, "score": 3.5, "scanned_as": "site@site"}
    return {**facts, "rules": rules, **more}


def test_sentences_about_a_score() -> None:
    status = read_status("Yes, score=7.5 required=5.0 scanned=100 tests=GONE,A")
    assert list(explain(status, verdict())) == [
        "It was filed as spam.",
        "Its score of 7.5 reaches the threshold of 5.0.",
        "Only its first 100 octets were scanned.",
        "These rules hit:",
        "  +0.5 A: first",
        "  GONE",
        "The points of GONE are not known: they do not hit any more.",
        "Scanned now, it has a score of 3.5 with a threshold of 5.0: it would go to INBOX.",
        "The data are those of the site.",
        "These rules hit now, and did not then:",
        "  +3.0 NEW",
    ]
    assert list(explain(status, None))[-3:] == [
        "  GONE",
        "  A",
        "Their points and descriptions are not known without a scan.",
    ]


def test_sentences_without_a_score() -> None:
    status = read_status("Unchecked, reason=scanner-away")
    assert list(explain(status, None)) == [
        "It was delivered without a scan.",
        "The reason: the scanner was away for too long.",
    ]
    blocked = verdict(junk=True, cause="blocked-sender", score=None, threshold=None, rules=[])
    assert list(explain(None, blocked)) == [
        "The message has no X-Spam-Status of Gatepost: it was not delivered by this proxy.",
        "Delivered now, it would go to Junk: the mailbox blocks the sender; "
        "the message was not scanned.",
    ]
