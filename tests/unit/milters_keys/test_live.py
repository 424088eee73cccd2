from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gatepost.dns import Zone
from gatepost.logs import get_logger
from milters.keys.folder import KeyFolder
from milters.keys.live import KeyKeeper, LiveKeys
from milters.keys.settings import KeySettings
from milters.keys.state import KeyState
from msgauth.ask import TEMPFAIL, Answer, Question
from msgauth.mail_address import MailAddress
from tests.unit.milters_keys.pems import pem, record
from tests.unit.milters_keys.test_folder import put

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
NAME = "s1._domainkey.example.org"


class Dns:
    """A resolver that can be told what to answer, and when not to."""

    def __init__(self) -> None:
        self.zone = Zone.parse("")
        self.is_down = False
        self.asked: list[str] = []

    def publish(self, **records: str) -> None:
        self.zone = Zone.parse(
            "".join(
                f'["{selector}._domainkey.example.org"]\nTXT = "{text}"\n'
                for selector, text in records.items()
            )
        )

    def resolve(self, question: Question) -> Answer:
        self.asked.append(question.name)
        return TEMPFAIL if self.is_down else self.zone.resolve(question)

    def within(self, seconds: float) -> Callable[[Question], Answer]:
        return self.resolve


class Bench:
    """A keeper with a folder of keys, a clock and DNS."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir()
        self.now = 1000.0
        self.dns = Dns()
        self.keeper = KeyKeeper(get_logger("milters"), lambda: self.now)

    def open(self, **more: object) -> LiveKeys:
        settings = KeySettings.model_validate({"keys": self.folder, **more})
        return self.keeper.open(settings, self.dns)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "keys")


def signing(keys: LiveKeys) -> list[str]:
    return [key.selector for key in keys.keys_of("example.org")]


def test_a_published_key_signs_from_the_start(bench: Bench) -> None:
    put(bench.folder / "example.org" / "s1.pem")
    bench.dns.publish(s1=record())
    assert signing(bench.open()) == ["s1"]


def test_a_key_that_is_not_published_does_not_sign_and_is_told(bench: Bench) -> None:
    put(bench.folder / "example.org" / "s1.pem")
    with capture_logs() as logs:
        keys = bench.open()
    assert signing(keys) == []
    assert [(line["log_level"], line["record"], line["signs"]) for line in logs] == [
        ("error", NAME, False)
    ]
    bench.dns.publish(s1=record())
    bench.now += 61
    with capture_logs() as logs:
        keys.look_at_due()
    assert signing(keys) == ["s1"]
    assert [line["event"] for line in logs] == ["a key is published"]


def test_each_key_stands_for_itself(bench: Bench) -> None:
    put(bench.folder / "example.org" / "s1.pem")
    put(bench.folder / "example.org" / "s2.pem", pem("rsa"))
    bench.dns.publish(s1=record(number=7), s2=record("rsa"))
    assert signing(bench.open()) == ["s2"]


def test_told_so_every_active_key_signs_and_dns_is_not_asked(bench: Bench) -> None:
    put(bench.folder / "example.org" / "s1.pem")
    keys = bench.open(require_published=False)
    assert signing(keys) == ["s1"]
    bench.now += 100_000
    keys.look_at_due()
    assert bench.dns.asked == []


def test_dns_that_fails_later_stops_nothing(bench: Bench) -> None:
    put(bench.folder / "example.org" / "s1.pem")
    bench.dns.publish(s1=record())
    keys = bench.open()
    bench.dns.is_down = True
    for _ in range(5):
        bench.now += 3601
        keys.look_at_due()
        assert signing(keys) == ["s1"]
    assert signing(bench.open()) == ["s1"], "nor after a reload"


def test_dns_that_fails_at_the_start(bench: Bench) -> None:
    folder = KeyFolder(bench.folder)
    folder.add("example.org", {"s1": pem(), "s2": pem(number=1)}, KeyState.NEW, NOW)
    folder.enter("example.org", {"s1": KeyState.PUBLISHED}, NOW)
    folder.enter("example.org", {"s1": KeyState.ACTIVE, "s2": KeyState.ACTIVE}, NOW)
    bench.dns.is_down = True
    keys = bench.open()
    assert signing(keys) == ["s1"], "what was seen at every server signs, what nobody saw waits"
    bench.dns.is_down = False
    bench.dns.publish(s1=record(), s2=record(number=1))
    bench.now += 61
    keys.look_at_due()
    assert signing(keys) == ["s1", "s2"]


def test_a_record_that_goes_away(bench: Bench) -> None:
    put(bench.folder / "example.org" / "s1.pem")
    bench.dns.publish(s1=record())
    keys = bench.open()
    bench.dns.publish()
    bench.now += 3601
    assert keys.look_at_due() <= 60
    assert signing(keys) == ["s1"]
    bench.now += 61
    keys.look_at_due()
    assert signing(keys) == []


def test_keys_that_are_fine_are_looked_at_once_an_interval(bench: Bench) -> None:
    put(bench.folder / "example.org" / "s1.pem")
    bench.dns.publish(s1=record())
    keys = bench.open(publication_interval="2h")
    bench.now += 7199
    assert keys.look_at_due() == 1.0
    assert len(bench.dns.asked) == 1
    bench.now += 1
    assert keys.look_at_due() == 7200
    assert len(bench.dns.asked) == 2


def test_a_reload_asks_for_new_keys_only(bench: Bench) -> None:
    path = put(bench.folder / "example.org" / "s1.pem")
    bench.dns.publish(s1=record(), s2=record(number=1))
    bench.open()
    put(bench.folder / "example.org" / "s2.pem", pem(number=1))
    keys = bench.open()
    assert signing(keys) == ["s1", "s2"]
    assert len(bench.dns.asked) == 2
    path.write_bytes(pem(number=5))
    keys = bench.open()
    assert signing(keys) == ["s2"], "another key with the selector of one that was seen"


def test_the_table_of_an_author(bench: Bench, tmp_path: Path) -> None:
    path = put(tmp_path / "mail.private")
    (tmp_path / "kt").write_text(f"org example.org:s1:{path}\n")
    (tmp_path / "st").write_text("*@example.org org\n")
    tables = {
        "opendkim_key_table": f"file:{tmp_path}/kt",
        "opendkim_signing_table": f"refile:{tmp_path}/st",
    }
    author, other = MailAddress.parse("a@example.org"), MailAddress.parse("a@b.example")
    keys = bench.open(**tables)
    assert keys.keys_for(author) == []
    assert keys.keys_for(other) is None
    bench.dns.publish(s1=record())
    bench.now += 61
    keys.look_at_due()
    assert [key.selector for key in keys.keys_for(author) or ()] == ["s1"]
    assert bench.open().keys_for(author) is None


def test_problems_are_told_with_what_becomes_of_them(bench: Bench) -> None:
    path = put(bench.folder / "example.org" / "s1.pem")
    bench.dns.publish(s1=record())
    bench.open()
    path.chmod(0o644)
    with capture_logs() as logs:
        keys = bench.open()
    (line,) = logs
    assert (line["domain"], line["old_keys_in_use"]) == ("example.org", True)
    assert "chmod o-rwx" in line["problem"]
    assert signing(keys) == ["s1"]


def test_domains_that_lose_all_keys_are_told(bench: Bench) -> None:
    """As when the folder is a volume that is not mounted: an empty one."""
    path = put(bench.folder / "example.org" / "s1.pem")
    bench.dns.publish(s1=record())
    bench.open()
    path.unlink()
    with capture_logs() as logs:
        keys = bench.open()
    (line,) = logs
    assert (line["log_level"], line["domains"], line["count"]) == ("warning", ["example.org"], 1)
    assert signing(keys) == []
