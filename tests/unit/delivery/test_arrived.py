"""Messages in memory and in a file, and what scanners and stores get of them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from delivery.arrived import ArrivedMessage
from delivery.mailboxes import AccountsData, find_recipient
from delivery.protocols.envelope import LmtpEnvelope
from delivery.settings import AccountsForDelivery, DeliverySettings
from gatepost.spool import Spool

OURS = "mx.example.org"
ENVELOPE = LmtpEnvelope("a@example.com", ("ann@example.org",))


def arrived(folder: Path, data: bytes, *, memory: int = 10**6, size: int = 10**6) -> ArrivedMessage:
    message = ArrivedMessage(Spool(folder, memory, lambda _: None), size)
    chance = random.Random(len(data))
    at = 0
    while at < len(data):
        step = chance.randrange(1, 50)
        message.write(data[at : at + step])
        at += step
    message.finish()
    return message


@pytest.mark.parametrize("memory", [0, 100, 10**6])
def test_scanners_see_the_beginning_without_results(tmp_path: Path, memory: int) -> None:
    chance = random.Random(7)
    fields = [b"To: x\r\n", b"Authentication-Results: a;\r\n b=c\r\n", b"ARC-Seal: x\r\n"]
    fields.append(b"arc-authentication-results: i=1; a\r\n")
    for _ in range(30):
        chosen = chance.choices(fields, k=8)
        body = b"\r\n" + b"body\r\n" * chance.randrange(20)
        message = arrived(tmp_path, b"".join(chosen) + body, memory=memory)
        shown = b"".join(one for one in chosen if b"esults" not in one) + body
        for limit in (1, 10, 50, len(shown), 1000):
            copy = message.for_spam_scanner(ENVELOPE, OURS, limit)
            octets = b"".join(copy.parts())
            assert octets == b"Return-Path: <a@example.com>\r\n" + shown[:limit]
            assert copy.size == len(octets)
            assert copy.is_partial is (limit < len(shown))
            whole = b"".join(chosen) + body
            assert b"".join(message.for_virus_scanner(limit).parts()) == whole[:limit]
        assert b"".join(message.parts(b"X: y\r\n")) == b"X: y\r\n" + b"".join(chosen) + body
        message.close()
    assert list(tmp_path.iterdir()) == []


def test_a_sender_that_cannot_stand_in_a_field_is_left_out(tmp_path: Path) -> None:
    message = arrived(tmp_path, b"To: x\r\n\r\n")
    copy = message.for_spam_scanner(LmtpEnvelope("jörg@example.com"), OURS, 100)
    assert b"".join(copy.parts()) == b"To: x\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "author", "is_vouched"),
    [
        (b"From: a@example.com\r\n", "a@example.com", False),
        (b"Authentication-Results: mx.example.org; dmarc=pass header.from=example.com\r\n"
         b"From: a@example.com\r\n", "a@example.com", True),
        (b"Authentication-Results: mx.example.org; dmarc=pass header.from=other.example\r\n"
         b"From: a@example.com\r\n", "a@example.com", False),
        (b"Authentication-Results: other; dmarc=pass header.from=example.com\r\n"
         b"From: a@example.com\r\n", "a@example.com", False),
        (b"Received: x\r\nAuthentication-Results: mx.example.org; dmarc=pass"
         b" header.from=example.com\r\nFrom: a@example.com\r\n", "a@example.com", False),
        (b"From: a@example.com\r\nFrom: b@example.com\r\n", "", False),
        (b"From: a@example.com\r\nFrom: " + b"x" * 70_000 + b"\r\n", "", False),
        (b"From: " + b"x" * 70_000 + b"\r\nFrom: a@example.com\r\n", "", False),
        (b"From: a@example.com, b@example.com\r\n", "", False),
        (b"", "", False),
    ],
)  # fmt: skip
def test_an_author_is_only_vouched_for_by_our_milter(
    tmp_path: Path, head: bytes, author: str, is_vouched: bool
) -> None:
    facts = arrived(tmp_path, head + b"\r\n").sender(ENVELOPE, OURS)
    assert (facts.author.text, facts.is_vouched) == (author, is_vouched)
    assert facts.envelope.text == "a@example.com"


def test_a_queue_id_that_is_used_again_is_another_message(tmp_path: Path) -> None:
    def identity(date: bytes) -> str:
        return arrived(tmp_path, b"Received: x id 4XyzAb12;" + date + b"\r\n\r\n").identity

    early, late = b" Wed, 26 Nov 2026 10:00:00 +0000", b" Wed, 26 Nov 2026 10:00:01 +0000"
    assert identity(early) == identity(early)
    assert identity(early) != identity(late)
    assert arrived(tmp_path, b"Subject: x\r\n\r\n").identity == ""


def test_limits_and_errors_are_reasons(tmp_path: Path) -> None:
    assert arrived(tmp_path, b"x" * 101, size=100).problem == "too-large"
    assert arrived(tmp_path, b"x" * 100, size=100).problem == ""
    message = arrived(tmp_path / "gone", b"a: b\r\n" * 100, memory=10)
    assert message.problem == "no-space"
    assert "No such file" in message.error


@pytest.fixture
def users(tmp_path: Path) -> Iterator[Path]:
    for name in ("ann", "bob", "carl+x", "dora"):
        (tmp_path / "example.org" / name).mkdir(parents=True)
    (tmp_path / "example.org" / "ann" / "bayes_toks").touch()
    (tmp_path / "example.org" / "carl+x" / "user_prefs").touch()
    (tmp_path / "example.org" / "dora").chmod(0)
    yield tmp_path
    (tmp_path / "example.org" / "dora").chmod(0o700)


@pytest.mark.parametrize(
    ("path", "user"),
    [
        ("ann@example.org", "ann@example.org"),
        ("ANN@Example.ORG", "ann@example.org"),
        ("bob@example.org", "site@site"),
        ("carl+x@example.org", "carl+x@example.org"),
        ("carl@example.org", "site@site"),
        ("../example.org/ann@example.org", "site@site"),
        ('"../example.org/ann"@example.org', "site@site"),
        ("ann@example.org/../example.org", "site@site"),
        ("ann", "site@site"),
        ("ann@[192.0.2.1]", "site@site"),
    ],
)
def test_only_who_has_data_is_scanned_as_a_user(users: Path, path: str, user: str) -> None:
    settings = DeliverySettings.model_validate({"spam": {"users_folder": str(users)}})
    facts = find_recipient(path, AccountsData(AccountsForDelivery()), settings)
    assert facts.user == user
    assert facts.store == settings.stores.default


@pytest.mark.parametrize(
    "wrong",
    [
        {"virus": {"enabled": True}},
        {"virus": {"enabled": True, "quarantine": "nobody"}},
        {"virus": {"enabled": True, "quarantine": "a@b\n"}},
        {"spam": {"per_user": True}},
        {"spam": {"engine": "rspamd", "users_folder": "/x"}},
        {"spam": {"address": "inet:783"}},
        {"stores": {"named": {"a": "inet:24"}}},
        {"accounts": {"stores": True}},
        {"accounts": {"url": "unix:/run/x", "journal": False}},
        {"max_size": "1K"},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        DeliverySettings.model_validate(wrong)


def test_our_results_are_parsed_once_for_sender_and_scanner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def counted(fields: object, own_ids: object) -> None:
        calls.append((fields, own_ids))

    monkeypatch.setattr("delivery.arrived.own_results", counted)
    message = arrived(tmp_path, b"Authentication-Results: mx.example.org; none\r\nTo: x\r\n\r\n")
    message.sender(ENVELOPE, OURS)
    message.for_spam_scanner(ENVELOPE, OURS, 100)
    message.for_spam_scanner(ENVELOPE, OURS, 50)
    assert len(calls) == 1
    message.sender(ENVELOPE, "other.example.org")
    assert len(calls) == 2
