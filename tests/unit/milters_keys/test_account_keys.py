"""Keys from accounts: which sign, which let mail wait, and which are checked first."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gatepost.logs import get_logger
from gatepost.snapshots import form
from gatepost.snapshots.form import SnapshotData, SnapshotError
from milters.keys.account import read_account_keys
from milters.keys.live import KeyKeeper, LiveKeys
from milters.keys.settings import KeySettings
from msgauth.ask import TEMPFAIL, Answer, Question, Rcode
from msgauth.keys import SigningKey
from tests.unit.milters_keys.pems import pem

PEMS = {"one": pem(number=1), "two": pem(number=2), "rsa": pem("rsa")}


def snapshot(**values: Any) -> SnapshotData:
    """Return a snapshot with a key of `example.org` for each selector."""
    return records({f"key:example.org/{selector}": value for selector, value in values.items()})


def records(values: dict[str, Any]) -> SnapshotData:
    lines = [form.record(key, values[key]) for key in sorted(values)]
    body = form.first_line("dkim_keys") + b"".join(lines)
    seal, _ = form.last_line(1, "aa", len(lines), hashlib.sha256(body))
    return form.parse(body + seal, "dkim_keys")


def key(selector: str) -> dict[str, str]:
    return {"algorithm": "any", "private": PEMS[selector].decode()}


class Dns:
    """Answers about records; remembers the questions, and which key signed at that time."""

    def __init__(self) -> None:
        self.published: dict[str, str] = {}
        self.is_down = False
        self.asked: list[str] = []
        self.while_asked: list[list[str]] = []
        self.look: Callable[[], list[str]] = list

    def publish(self, *selectors: str) -> None:
        for selector in selectors:
            text = SigningKey.parse(PEMS[selector]).public_record()
            self.published[f"{selector}._domainkey.example.org"] = text

    def resolve(self, question: Question) -> Answer:
        self.asked.append(question.name)
        self.while_asked.append(self.look())
        if self.is_down:
            return TEMPFAIL
        text = self.published.get(question.name)
        return Answer(Rcode.OK, (text,), 60) if text else Answer(Rcode.NXDOMAIN, (), 60)

    def within(self, seconds: float) -> Callable[[Question], Answer]:
        return self.resolve


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir()
        self.dns = Dns()
        self.keeper = KeyKeeper(get_logger("milters"), lambda: 1000.0)
        self.keeper.expect_accounts()
        self.live: LiveKeys | None = None

    def open(self, **more: object) -> LiveKeys:
        settings = KeySettings.model_validate({"keys": self.folder, **more})
        self.live = self.keeper.open(settings, self.dns)
        return self.live

    def signing(self, domain: str = "example.org") -> list[str]:
        assert self.live is not None
        return [one.selector for one in self.live.keys_of(domain)]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "keys")


def test_before_the_first_snapshot_any_domain_may_have_a_key(bench: Bench) -> None:
    live = bench.open()
    assert live.is_unreadable("example.org")
    assert live.is_unreadable("anything.example")
    bench.keeper.take(snapshot())
    assert not live.is_unreadable("example.org")
    assert bench.signing() == []


def test_a_key_signs_when_its_record_was_seen(bench: Bench) -> None:
    bench.dns.publish("one")
    bench.open()
    bench.keeper.take(snapshot(one=key("one"), two=key("two")))
    assert bench.signing() == ["one"]
    bench.keeper.take(snapshot())
    assert bench.signing() == []


def test_the_old_key_signs_until_the_new_one_was_seen(bench: Bench) -> None:
    bench.dns.publish("one", "two")
    bench.open()
    bench.keeper.take(snapshot(one=key("one")))
    bench.dns.look = bench.signing
    bench.dns.while_asked.clear()
    bench.keeper.take(snapshot(two=key("two")))
    assert bench.dns.while_asked == [["one"]]
    assert bench.signing() == ["two"]


def test_those_at_the_start_are_checked_with_the_others(bench: Bench) -> None:
    bench.dns.publish("one")
    bench.keeper.take(snapshot(one=key("one")))
    assert bench.dns.asked == []
    bench.open()
    assert bench.signing() == ["one"]
    bench.open()
    assert bench.dns.asked == ["one._domainkey.example.org"], "what was seen is remembered"


def test_while_dns_is_silent_an_active_key_signs(bench: Bench) -> None:
    bench.dns.is_down = True
    bench.open()
    bench.keeper.take(snapshot(one=key("one")))
    assert bench.signing() == ["one"]


def test_told_so_keys_sign_without_dns(bench: Bench) -> None:
    bench.open(require_published=False)
    bench.keeper.take(snapshot(one=key("one"), two=key("two")))
    assert bench.signing() == ["one", "two"]
    assert bench.dns.asked == []


def test_a_file_goes_before_a_key_of_the_same_name(bench: Bench) -> None:
    file = bench.folder / "example.org" / "one.pem"
    file.parent.mkdir()
    file.write_bytes(PEMS["two"])
    file.chmod(0o600)
    live = bench.open(require_published=False)
    bench.keeper.take(snapshot(one=key("one"), rsa=key("rsa")))
    found = {one.selector: one.key.public_record() for one in live.keys_of("example.org")}
    assert found == {
        "one": SigningKey.parse(PEMS["two"]).public_record(),
        "rsa": SigningKey.parse(PEMS["rsa"]).public_record(),
    }


def test_a_key_that_accounts_cannot_read_lets_its_domain_wait(bench: Bench) -> None:
    live = bench.open()
    broken = snapshot(one={"algorithm": "rsa", "problem": "it is damaged"})
    with capture_logs() as logs:
        bench.keeper.check(broken)
    assert [(line["domain"], line["problem"]) for line in logs] == [
        ("example.org", "it is damaged")
    ]
    bench.keeper.take(broken)
    assert live.is_unreadable("example.org")
    assert live.is_unreadable("sub.example.org")
    assert not live.is_unreadable("example.net")


def test_a_key_that_may_not_sign_is_told_and_left_out(bench: Bench) -> None:
    bench.dns.publish("one")
    live = bench.open()
    broken = snapshot(one=key("one"), weak={"algorithm": "rsa", "private": "no key"})
    with capture_logs() as logs:
        bench.keeper.check(broken)
    assert [line["event"] for line in logs] == ["unusable key from accounts"]
    bench.keeper.take(broken)
    assert bench.signing() == ["one"]
    assert not live.is_unreadable("example.org")


@pytest.mark.parametrize(
    "values",
    [
        {"key:example.org": key("one")},
        {"key:example.org/": key("one")},
        {"key:org/one": key("one")},
        {"key:example.org/../one": key("one")},
        {"key:/one": key("one")},
        {"key:example.org/one": None},
        {"key:example.org/one": {}},
        {"key:example.org/one": {"private": 1}},
        {"key:example.org/one": {"private": "ü"}},
        {"key:example.org/one": []},
    ],
)
def test_a_snapshot_that_has_no_keys_is_refused_whole(bench: Bench, values: dict[str, Any]) -> None:
    with pytest.raises(SnapshotError):
        bench.keeper.check(records(values))


def test_keys_of_before_are_not_parsed_again() -> None:
    parsed: dict[bytes, SigningKey] = {}
    first = read_account_keys(snapshot(one=key("one"), two=key("two")), parsed)
    second = read_account_keys(snapshot(one=key("one")), parsed)
    assert second.all_keys()[0].key is first.all_keys()[0].key
    assert len(parsed) == 1
    assert "BEGIN" not in repr(first)
