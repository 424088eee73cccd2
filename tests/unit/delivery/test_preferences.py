"""Preferences of mailboxes and domains, the tag of subjects, and spamd's files of users."""

from __future__ import annotations

import os
import stat
import time
from email import message_from_bytes
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import CapturingLogger

from delivery.decision import SenderFacts, SpamVerdict, decide_scanned, decide_unscanned
from delivery.mailboxes import AccountsData, find_recipient
from delivery.preferences import MailboxPreferences, ScanWishes
from delivery.protocols.rspamd import RspamdQuestion, check_request
from delivery.scan import ScanResult
from delivery.settings import AccountsForDelivery, DeliverySettings
from delivery.user import safe_user
from delivery.user_folders import UserFolders
from delivery.user_prefs import MARK, is_ours, prefs_text, shared_user
from gatepost.snapshots.form import SnapshotData
from msgauth.mail_address import MailAddress
from tests.unit.delivery.test_arrived import arrived

WISHES = ScanWishes(("de", "ru"), (("A_RULE", 1.5), ("B", -0.25)))
AUTHOR = MailAddress.parse("ann@example.com")


def test_a_mailbox_comes_before_its_domain() -> None:
    domain = {
        "spam_junk_score": 6,
        "languages": ["en"],
        "subject_tag": "[D]",
        "rule_scores": {"A": 1, "B": 2},
        "allow": ["@a.example"],
        "block": ["@b.example"],
    }
    inherited = MailboxPreferences.read({}, domain)
    assert inherited.junk_score == 6.0
    assert inherited.wishes == ScanWishes(("en",), (("A", 1.0), ("B", 2.0)))
    assert inherited.subject_tag == "[D]"
    assert inherited.domain_allow == {"@a.example"}
    assert inherited.domain_block == {"@b.example"}
    assert (inherited.allow, inherited.block) == (frozenset(), frozenset())
    own = {
        "spam_junk_score": 3,
        "languages": ["all"],
        "subject_tag": "",
        "rule_scores": {"B": 0, "C": 9},
    }
    both = MailboxPreferences.read(own, domain)
    assert both.junk_score == 3.0
    assert both.wishes == ScanWishes(("all",), (("A", 1.0), ("B", 0.0), ("C", 9.0)))
    assert both.subject_tag == ""


@pytest.mark.parametrize(
    "wrong",
    [
        {"languages": ["en", "en\nscore A 9"]},
        {"languages": "en"},
        {"languages": [["en"]]},
        {"rule_scores": {"A\nbody B /(a+)+$/": 1}},
        {"rule_scores": {"A": "1"}},
        {"rule_scores": {"A": 1e9}},
        {"rule_scores": [1]},
        {"subject_tag": "a\r\nBcc: b@example.com"},
        {"subject_tag": "x" * 1000},
        {"subject_tag": 5},
    ],
)
def test_a_value_that_was_never_valid_reaches_no_file(wrong: dict[str, Any]) -> None:
    assert MailboxPreferences.read(wrong) == MailboxPreferences()
    assert MailboxPreferences.read({}, wrong) == MailboxPreferences()


@pytest.mark.parametrize(
    ("own", "domain", "is_vouched", "verdict"),
    [
        ({}, {"block": ["@example.com"]}, True, "junk"),
        ({}, {"allow": ["@example.com"]}, True, "ham"),
        ({}, {"allow": ["@example.com"]}, False, "junk"),
        ({"block": ["@example.com"]}, {"allow": ["ann@example.com"]}, True, "junk"),
        ({"allow": ["ann@example.com"]}, {"block": ["@example.com"]}, True, "ham"),
        # a forged From does not undo the block of the domain
        ({"allow": ["ann@example.com"]}, {"block": ["@example.com"]}, False, "junk"),
    ],
)
def test_senders_of_mailbox_and_domain(
    own: dict[str, Any], domain: dict[str, Any], is_vouched: bool, verdict: str
) -> None:
    preferences = MailboxPreferences.read(own, domain)
    sender = SenderFacts(AUTHOR, AUTHOR, is_vouched)
    decision = decide_unscanned(preferences, sender)
    if decision is None:
        decision = decide_scanned(preferences, sender, ScanResult(9, 5, (), True), None)
    assert decision.verdict is SpamVerdict(verdict)


def test_a_record_of_the_domain_is_found_behind_an_alias_domain(tmp_path: Path) -> None:
    data = AccountsData(AccountsForDelivery())
    data.preferences.take(
        _snapshot(
            {
                "defaults:example.org": {"rule_scores": {"A": 1}},
                "delimiter": "+",
                "domain:alias.example": {"alias_of": "example.org"},
                "domain:example.org": {},
                "name:ann@example.org": {"rule_scores": {"B": 2}},
            }
        )
    )
    source = {"url": "unix:/run/x", "preferences": True}
    spam: dict[str, Any] = {"users_folder": str(tmp_path)}
    settings = DeliverySettings.model_validate({"accounts": source, "spam": spam})
    for address in ("ann@example.org", "ann+x@alias.example"):
        facts = find_recipient(address, data, settings)
        assert facts.preferences.wishes.rule_scores == (("A", 1.0), ("B", 2.0))
    # what the scanner cannot follow does not cost a scan
    bare = DeliverySettings.model_validate({"accounts": source})
    assert find_recipient("ann@example.org", data, bare).preferences.wishes == ScanWishes()


def _snapshot(records: dict[str, Any]) -> SnapshotData:
    class Records:
        get = staticmethod(records.get)
        items = staticmethod(records.items)

    return Records()  # type: ignore[return-value]


# user_prefs


def test_the_text_of_user_prefs() -> None:
    assert prefs_text(WISHES) == MARK + (
        b"ok_languages de ru\nok_locales en ru\nscore A_RULE 1.500\nscore B -0.250\n"
    )
    everything = prefs_text(ScanWishes(("all",)), is_shared=True)
    assert b"ok_languages all\nok_locales all\n" in everything
    assert b"bayes_auto_learn 0\n" in everything
    name = shared_user(everything)
    assert name.domain == "site"
    # no mailbox can have the name
    assert safe_user(str(name)) is None
    assert is_ours(b"# a template\n\n  # nothing\n")
    assert not is_ours(b"score A 1\n")


class Users:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.logged = CapturingLogger()
        self.folders = UserFolders(root, self.logged)

    def prefs(self, name: str) -> Path:
        local, _, domain = name.partition("@")
        return self.root / domain / local / "user_prefs"


@pytest.fixture
def users(tmp_path: Path) -> Users:
    return Users(tmp_path)


def test_mailboxes_with_the_same_preferences_are_one_user(users: Users) -> None:
    name = users.folders.prepare("", WISHES)
    assert name == users.folders.prepare("site@site", WISHES)
    assert name == str(shared_user(prefs_text(WISHES, is_shared=True)))
    file = users.prefs(name)
    assert file.read_bytes() == prefs_text(WISHES, is_shared=True)
    # the Bayes data are those of the site
    assert os.readlink(file.parent / "bayes_toks") == "../site/bayes_toks"
    assert users.folders.prepare("", WISHES._replace(languages=())) != name
    assert users.folders.prepare("", ScanWishes()) == ""
    assert stat.S_IMODE(file.stat().st_mode) == 0o664
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o775


def test_a_file_is_written_only_if_it_differs(users: Users) -> None:
    name = users.folders.prepare("ann@example.org", WISHES)
    assert name == "ann@example.org"
    file = users.prefs(name)
    before = file.stat()
    users.folders.prepare(name, WISHES)
    assert file.stat().st_ino == before.st_ino
    users.folders.prepare(name, WISHES._replace(languages=()))
    assert b"ok_languages" not in file.read_bytes()
    assert file.stat().st_ino != before.st_ino
    # nothing is left of preferences that are gone, or of a process that was killed
    (file.parent / ".user_prefs.new").write_bytes(b"half")
    users.folders.prepare(name, WISHES)
    assert sorted(one.name for one in file.parent.iterdir()) == ["user_prefs"]
    users.folders.prepare(name, ScanWishes())
    assert not file.exists()
    # a user without preferences needs no folder
    users.folders.prepare("bob@example.org", ScanWishes())
    assert not users.prefs("bob@example.org").parent.exists()


def test_a_file_of_the_administrator_stays(users: Users) -> None:
    file = users.prefs("ann@example.org")
    file.parent.mkdir(parents=True)
    file.write_bytes(b"score A 1\n")
    for wishes in (WISHES, ScanWishes()):
        assert users.folders.prepare("ann@example.org", wishes) == "ann@example.org"
        assert file.read_bytes() == b"score A 1\n"
    assert [call.args for call in users.logged.calls] == [("preferences not written",)]


def test_a_link_leads_nowhere(users: Users, tmp_path: Path) -> None:
    away = tmp_path / "away"
    (away / "ann").mkdir(parents=True)
    (users.root / "example.org").symlink_to(away)
    users.folders.prepare("ann@example.org", WISHES)
    assert list((away / "ann").iterdir()) == []
    (users.root / "example.net" / "bob").mkdir(parents=True)
    (away / "secret").write_bytes(b"x")
    users.prefs("bob@example.net").symlink_to(away / "secret")
    users.folders.prepare("bob@example.net", WISHES)
    assert (away / "secret").read_bytes() == b"x"
    assert users.logged.calls


def test_a_scan_goes_on_without_a_file_that_cannot_be_written(users: Users) -> None:
    users.folders = UserFolders(users.root / "gone", users.logged)
    assert users.folders.prepare("", WISHES) == ""
    assert users.folders.prepare("ann@example.org", WISHES) == "ann@example.org"
    # a message for a thousand people writes one line
    assert len(users.logged.calls) == 1


def test_shared_preferences_that_nobody_uses_are_removed(users: Users) -> None:
    old = users.folders.prepare("", WISHES)
    kept = users.folders.prepare("", ScanWishes(("en",)))
    past = time.time() - 8 * 86_400
    for name in (old, kept):
        os.utime(users.prefs(name), (past, past))
    (users.root / "site" / "site").mkdir()
    (users.root / "site" / "site" / "bayes_toks").write_bytes(b"data of the site")
    users.folders.prepare("", ScanWishes(("en",)))
    users.folders.prepare("", ScanWishes(("fr",)))
    assert not users.prefs(old).parent.exists()
    assert users.prefs(kept).exists()
    assert (users.root / "site" / "site" / "bayes_toks").read_bytes() == b"data of the site"


def test_rspamd_gets_the_scores_with_the_request() -> None:
    head = check_request(RspamdQuestion(scores=(("A", 1.5), ("B", 0.0))), 5)
    assert b'\r\nSettings: {"scores":{"A":1.5,"B":0.0}}\r\n' in head
    assert b"Settings" not in check_request(RspamdQuestion(), 5)


# the tag of subjects


def tagged(folder: Path, head: bytes, tag: str) -> bytes:
    message = arrived(folder, head + b"\r\nbody\r\n", memory=50)
    addition = message.tagged(tag)
    octets = b"".join(message.parts(b"X: y\r\n", addition))
    assert len(octets) == message.size + len(b"X: y\r\n") + addition.size
    assert octets.endswith(b"\r\n\r\nbody\r\n")
    message.close()
    return octets


def subject_of(octets: bytes) -> str:
    return str(make_header(decode_header(message_from_bytes(octets)["Subject"])))


@pytest.mark.parametrize("tag", ["[SPAM]", "[Müll]", "垃圾邮件" * 10, "=?UTF-8?Q?x?="])
@pytest.mark.parametrize(
    ("field", "shown"),
    [
        (b"Subject: hello\r\n", "hello"),
        (b"SUBJECT:hello\r\n", "hello"),
        (b"Subject:\r\n folded\r\n", "folded"),
        (b"Subject: two\r\n lines\r\n", "two lines"),
        (b"Subject: =?UTF-8?B?SMOkbGxv?=\r\n", "Hällo"),
        (b"Subject: " + b"x" * 985 + b"\r\n", "x" * 985),
        (b"Subject:\r\n", ""),
    ],
)
def test_a_tag_is_put_before_the_subject(
    tmp_path: Path, tag: str, field: bytes, shown: str
) -> None:
    octets = tagged(tmp_path, b"From: a@b.example\r\n" + field + b"To: c@d.example\r\n", tag)
    found = " ".join(subject_of(octets).split())
    assert found == f"{tag} {shown}".strip()
    head = octets.partition(b"\r\n\r\n")[0]
    assert max(len(line) for line in head.split(b"\r\n")) <= 998
    assert all(line.strip() for line in head.split(b"\r\n"))
    assert head.isascii()
    # every other field stays as it was
    assert head.startswith(b"X: y\r\nFrom: a@b.example\r\n")
    assert head.endswith(b"To: c@d.example")


def test_messages_with_no_or_with_several_subjects(tmp_path: Path) -> None:
    octets = tagged(tmp_path, b"To: x\r\n", "[S]")
    assert octets.startswith(b"X: y\r\nSubject: [S]\r\nTo: x\r\n")
    octets = tagged(tmp_path, b"Subject: a\r\nSubject: b\r\n", "[S]")
    assert b"Subject: [S] a\r\nSubject: [S] b\r\n" in octets
    many = b"Subject: a\r\n" * 100
    assert tagged(tmp_path, many, "[S]").count(b"[S]") == 10
    # one that has it already, and one in the body
    octets = tagged(tmp_path, b"Subject: [S] a\r\n\r\nSubject: b\r\n", "[S]")
    assert octets.count(b"[S]") == 1
    assert tagged(tmp_path, b"Subject: a\r\n", "").count(b"Subject: a\r\n") == 1
