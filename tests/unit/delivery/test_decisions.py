"""Decisions, marks, outages and names of users."""

from __future__ import annotations

import pytest

from delivery.decision import (
    SenderFacts,
    SpamDecision,
    SpamVerdict,
    decide_failed,
    decide_scanned,
    decide_unscanned,
)
from delivery.marks import spam_fields, virus_field
from delivery.outage import MAX_WAITING, Outage
from delivery.preferences import MailboxPreferences
from delivery.reasons import REASONS, refusal
from delivery.scan import ScanResult
from delivery.user import safe_user
from msgauth.mail_address import MailAddress

ANN = SenderFacts(
    MailAddress.parse("bounce@lists.example"), MailAddress.parse("Ann@Example.com"), True
)
FORGED = ANN._replace(is_vouched=False)
SPAM = ScanResult(7.26, 5, ("GTUBE", "HTML_MESSAGE"), True)
DEFAULT = MailboxPreferences()


def test_wishes_are_read_and_nonsense_is_left_out() -> None:
    assert MailboxPreferences.read({}) == DEFAULT
    record = {
        "spam_check": False,
        "virus_check": False,
        "spam_junk_score": 3,
        "allow": ["@example.com", 5],
        "block": "x",
    }
    assert MailboxPreferences.read(record) == MailboxPreferences(
        False, False, 3.0, frozenset({"@example.com"})
    )
    for wrong in (True, "3", float("nan"), None):
        assert MailboxPreferences.read({"spam_junk_score": wrong}).junk_score is None


@pytest.mark.parametrize(
    ("preferences", "expected"),
    [
        (DEFAULT, None),
        (MailboxPreferences(spam_check=False), SpamDecision(SpamVerdict.SKIPPED, "preference")),
        (
            MailboxPreferences(block=frozenset({"ann@example.com"})),
            SpamDecision(SpamVerdict.JUNK, "blocked-sender"),
        ),
        (
            MailboxPreferences(block=frozenset({"@lists.example"})),
            SpamDecision(SpamVerdict.JUNK, "blocked-sender"),
        ),
        (MailboxPreferences(block=frozenset({"@xample.com", "@com"})), None),
    ],
)
def test_decisions_that_need_no_scan(
    preferences: MailboxPreferences, expected: SpamDecision | None
) -> None:
    assert decide_unscanned(preferences, ANN) == expected


@pytest.mark.parametrize(
    ("preferences", "site", "sender", "verdict", "threshold"),
    [
        (DEFAULT, None, ANN, "junk", 5),
        (DEFAULT, 7.26, ANN, "junk", 7.26),
        (DEFAULT, 7.27, ANN, "ham", 7.27),
        (MailboxPreferences(junk_score=8), 1.0, ANN, "ham", 8),
        (MailboxPreferences(junk_score=2), 9.0, ANN, "junk", 2),
        (MailboxPreferences(allow=frozenset({"@example.com"})), None, ANN, "ham", 5),
        (MailboxPreferences(allow=frozenset({"ann@example.com"})), None, ANN, "ham", 5),
        # nobody vouches for the author, or only the envelope is listed
        (MailboxPreferences(allow=frozenset({"@example.com"})), None, FORGED, "junk", 5),
        (MailboxPreferences(allow=frozenset({"@lists.example"})), None, ANN, "junk", 5),
    ],
)
def test_decisions_by_the_score(
    preferences: MailboxPreferences,
    site: float | None,
    sender: SenderFacts,
    verdict: str,
    threshold: float,
) -> None:
    decision = decide_scanned(preferences, sender, SPAM, site)
    assert (decision.verdict.value, decision.threshold) == (verdict, threshold)


def test_a_rule_of_the_scanner_that_decides_alone() -> None:
    gtube = ScanResult(0, 15, ("GTUBE",), True, is_forced=True)
    for preferences in (DEFAULT, MailboxPreferences(junk_score=8)):
        assert decide_scanned(preferences, ANN, gtube, 6.0).verdict is SpamVerdict.JUNK


def test_a_scanner_without_a_threshold_of_its_own() -> None:
    decision = decide_scanned(DEFAULT, ANN, SPAM._replace(required=None), None)
    assert decision.verdict is SpamVerdict.JUNK
    assert spam_fields(decision).startswith(b"X-Spam-Status: Yes, score=7.3\r\n\ttests=GTUBE")


def test_a_scan_that_was_skipped_is_no_ham() -> None:
    result = SPAM._replace(is_skipped=True)
    assert decide_scanned(DEFAULT, ANN, result, None).verdict is SpamVerdict.SKIPPED


def test_without_a_result_mail_waits_or_is_marked() -> None:
    assert decide_failed("scanner-away", is_outage=False).verdict is SpamVerdict.DEFERRED
    assert decide_failed("scanner-away", is_outage=True).verdict is SpamVerdict.UNCHECKED


def test_marks_of_spam_and_ham() -> None:
    spam = decide_scanned(DEFAULT, ANN, SPAM, None)
    assert spam_fields(spam) == (
        b"X-Spam-Status: Yes, score=7.3 required=5.0\r\n\ttests=GTUBE,HTML_MESSAGE\r\n"
        b"X-Spam-Score: 7.3\r\nX-Spam-Level: *******\r\nX-Spam-Flag: YES\r\n"
    )
    ham = decide_scanned(DEFAULT, ANN, ScanResult(-1.0, 5), None)
    assert spam_fields(ham, scanned=1024) == (
        b"X-Spam-Status: No, score=-1.0 required=5.0 scanned=1024\r\n\ttests=none\r\n"
        b"X-Spam-Score: -1.0\r\n"
    )


def test_marks_without_a_scan() -> None:
    assert spam_fields(decide_failed("scanner-away", is_outage=True)) == (
        b"X-Spam-Status: Unchecked, reason=scanner-away\r\n"
    )
    blocked = SpamDecision(SpamVerdict.JUNK, "blocked-sender")
    assert spam_fields(blocked) == (
        b"X-Spam-Status: Yes, reason=blocked-sender\r\nX-Spam-Flag: YES\r\n"
    )
    assert virus_field("Infected (Eicar)") == b"X-Virus-Status: Infected (Eicar)\r\n"


def test_marks_are_short_lines() -> None:
    many = ScanResult(1e6, 5, tuple(f"RULE_{n}_{'X' * 80}" for n in range(200)), True)
    fields = spam_fields(decide_scanned(DEFAULT, ANN, many, None))
    assert max(map(len, fields.split(b"\r\n"))) <= 110
    assert b"X-Spam-Level: " + b"*" * 50 + b"\r\n" in fields
    # every line but the first of a field is folded
    lines = fields.split(b"\r\n")
    assert all(line.startswith((b"X-Spam-", b"\t")) for line in lines if line)


def test_an_outage_begins_and_ends() -> None:
    outage = Outage()
    assert outage.note_failure("A", 100).has_begun
    assert not outage.note_failure("B", 160).has_begun
    assert not outage.lasts("B", 199, 100)
    assert outage.lasts("B", 200, 100)
    assert outage.lasts("NEW", 200, 100)
    assert outage.lasts("", 200, 100)
    assert not outage.lasts("B", 10**9, 0)
    assert outage.has_lasted(160, 60)
    assert not outage.has_lasted(159, 60)
    assert outage.note_success("C").has_ended
    assert not outage.note_success("C").has_ended
    assert not outage.has_lasted(10**9, 60)


def test_one_message_that_always_fails_does_not_wait_forever() -> None:
    outage = Outage()
    outage.note_failure("POISON", 0)
    outage.note_success("OTHER")
    outage.note_failure("POISON", 3600)
    assert outage.lasts("POISON", 3600, 3600)
    assert not outage.lasts("NEW", 3600, 3600)
    outage.note_success("POISON")
    outage.note_failure("POISON", 3601)
    assert not outage.lasts("POISON", 3601, 3600)


def test_failures_that_are_remembered_are_bounded() -> None:
    outage = Outage()
    for number in range(MAX_WAITING + 10):
        outage.note_failure(f"Q{number}", number)
    assert len(outage._first_failures) == MAX_WAITING


@pytest.mark.parametrize(
    "address",
    ["ann@example.org", "ann.b+c=d_e-f@xn--bcher-kva.example", "0@a", "a" * 64 + "@a.example"],
)
def test_names_that_are_safe_in_a_path(address: str) -> None:
    user = safe_user(address)
    assert user is not None
    assert str(user) == address
    assert len(user.folder.parts) == 2
    assert ".." not in str(user.folder)


@pytest.mark.parametrize(
    "address",
    [
        "a/../../b@example.org",
        "../b@example.org",
        "a/b@example.org",
        "a/./b@example.org",
        "..@example.org",
        ".a@example.org",
        "a.@example.org",
        "a..b@example.org",
        "-a@example.org",
        "@example.org",
        "a@",
        "a",
        "",
        "a@..",
        "a@../b",
        "a@b/../c",
        "a@.b",
        "a@b.",
        "a@-b",
        "a\0@example.org",
        "a\n@example.org",
        "a@example.org\n",
        "a%d@example.org",
        "a b@example.org",
        "ann@example.org@../x",
        "a@b@example.org",
        "jörg@example.org",
        "ann@bücher.example",
        "Ann@example.org",
        "a" * 65 + "@example.org",
        "a@" + "b" * 254,
        "~root@example.org",
        "$x@example.org",
        "`x`@example.org",
    ],
)
def test_names_that_are_not(address: str) -> None:
    assert safe_user(address) is None


def test_a_name_never_leaves_the_folder_by_chance() -> None:
    from hypothesis import given
    from hypothesis import strategies as st

    @given(st.text(alphabet="a./\\@-~\0\n%", max_size=20))
    def check(address: str) -> None:
        user = safe_user(address)
        if user is not None:
            parts = user.folder.parts
            assert len(parts) == 2
            assert not any(part.startswith((".", "-", "/")) for part in parts)

    check()


def test_every_refusal_has_a_reason_and_delays() -> None:
    for reason, meaning in REASONS.items():
        reply = refusal(reason)
        assert f"{reply.code} {reply.enhanced}" in meaning.codes
        assert reply.text.endswith(f"[{reason}]")
        assert reply.code < 500 or reason == "too-large"
        assert len(bytes(reply)) < 512
