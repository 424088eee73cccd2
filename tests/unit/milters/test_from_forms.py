"""Forms of From, through `gatepost auth`: what the milter finds, refuses and signs."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gatepost.key_pair import new_key
from milters.cli.auth import auth
from tests.testbed.from_readers.ordinary import SLOPPY

ZONE = """
["example.org"]
TXT = "v=spf1 ip4:192.0.2.1 -all"
["_dmarc.example.org"]
TXT = "v=DMARC1; p=reject"
["victim.example"]
TXT = "v=spf1 -all"
["_dmarc.victim.example"]
TXT = "v=DMARC1; p=reject"
"""
CONFIG = """
hostname = "mx.example.net"
[milters.ownership]
enforce = true
owners = ["a@example.org alice, bob", "@example.org bob"]
"""
REST = b"\r\nTo: b@example.net\r\nSubject: x\r\nDate: Thu, 26 Nov 2026 10:00:00 +0000\r\n\r\nhi\r\n"

UNQUOTED = (
    "Shop: News <a@example.org>",
    "Shop; News <a@example.org>",
    "Shop :) <a@example.org>",
    "Shop (News <a@example.org>",
    'Shop "News <a@example.org>',
    "Shop, News <a@example.org>",
    "Shop [News <a@example.org>",
    "Shop] News) <a@example.org>",
    "Shop > News <a@example.org>",
    "Shop \\ News <a@example.org>",
    '"x@victim.example" <a@example.org>',
    "=?utf-8?q?x=40victim.example?= <a@example.org>",
)
AMBIGUOUS = (
    "ceo @victim.example <a@example.org>",
    "ceo@ victim.example <a@example.org>",
    "ceo(x)@victim.example <a@example.org>",
    "ceo@victim.example[1.2.3.4] <a@example.org>",
    "@victim.example <a@example.org>",
    '")"@victim.example <a@example.org>',
    "=?utf-8?Q?admin=40victim.example?=, a@example.org",
    "=?utf-8?Q?admin=40victim.example?=: a@example.org;",
    "=?utf-8?B?PGFkbWluQHZpY3RpbS5leGFtcGxlPg==?=, <a@example.org>",
    "ceo@victim.example <a@example.org>",
    "<ceo@victim.example> <a@example.org>",
    "<@victim.example,@example.org:a@example.org>",
    "ceo＠victim.example <a@example.org>",
    "ceo@victim.example: a@example.org;",
)


@functools.cache
def private_key() -> bytes:
    return new_key("ed25519")


class Desk:
    """A folder with a configuration, a zone and a key, and the commands in it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "zone.toml").write_text(ZONE)
        (folder / "gatepost.toml").write_text(CONFIG)
        (folder / "key.pem").write_bytes(private_key())
        (folder / "key.pem").chmod(0o600)

    def run(self, command: str, value: str, *options: str) -> Result:
        message = self._folder / "message.eml"
        message.write_bytes(b"From: " + value.encode() + REST)
        common = ("--config", "gatepost.toml", "--dns", "zone.toml")
        words = [self._path(word) for word in (command, *common, *options, str(message))]
        return CliRunner().invoke(auth, words)

    def verify(self, value: str, *options: str) -> Result:
        envelope = ("--client", "192.0.2.1", "--helo", "example.org")
        return self.run("verify", value, *envelope, "--mail-from", "a@example.org", *options)

    def sign(self, value: str) -> Result:
        return self.run(
            "sign", value, "--domain", "example.org", "--selector", "s", "--key", "key.pem"
        )

    def _path(self, word: str) -> str:
        return str(self._folder / word) if word.endswith((".toml", ".pem")) else word


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.mark.parametrize("value", UNQUOTED)
def test_a_name_that_lacks_its_quotes_passes_is_owned_and_signed(desk: Desk, value: str) -> None:
    result = desk.verify(value)
    assert "dmarc         pass " in result.output, result.output
    assert "header.from=example.org" in result.output
    assert result.exit_code == 0
    assert desk.verify(value, "--login", "alice").exit_code == 0
    signed = desk.sign(value)
    assert signed.exit_code == 0, signed.output
    assert "d=example.org" in signed.output


@pytest.mark.parametrize("value", SLOPPY)
def test_sloppy_mail_passes_and_its_domain_may_send_it(desk: Desk, value: str) -> None:
    assert "dmarc         pass " in desk.verify(value).output
    assert desk.verify(value, "--login", "bob").exit_code == 0
    assert desk.sign(value).exit_code == 0


@pytest.mark.parametrize("value", AMBIGUOUS)
def test_a_from_that_programs_disagree_about_is_nobodys(desk: Desk, value: str) -> None:
    result = desk.verify(value)
    assert "dmarc         permerror " in result.output, result.output
    assert "action        quarantine" in result.output
    for login in ("alice", "bob"):
        refused = desk.verify(value, "--login", login)
        assert refused.exit_code == 77
        assert "[from-not-yours]" in refused.output
    assert "not signed: no-author" in desk.sign(value).output


@pytest.mark.parametrize(
    "value",
    [
        "ceo@example.org <a@example.org>",
        "ceo @example.org <a@example.org>",
        "@example.org <a@example.org>",
        "ceo a@example.org",
        "<ceo <a@example.org>",
        "ceo@example.org, a@example.org",
    ],
)
def test_another_address_of_the_domain_is_not_owned_by_who_owns_one(desk: Desk, value: str) -> None:
    assert "dmarc         pass " in desk.verify(value).output
    assert "[from-not-yours]" in desk.verify(value, "--login", "alice").output
    assert desk.verify(value, "--login", "bob").exit_code == 0
