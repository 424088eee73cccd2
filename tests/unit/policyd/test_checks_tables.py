"""Allow and deny tables."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from policyd.action import DUNNO
from policyd.checks import CheckResult
from policyd.checks.tables import TablesCheck
from policyd.match import MatchError
from policyd.settings import TablesSettings
from tests.unit.policyd.requests import request


def check(settings: dict[str, Any], **attributes: str) -> CheckResult | None:
    tables = TablesCheck(TablesSettings.model_validate(settings), "mx.example.org")
    return asyncio.run(tables.check(request(**attributes)))


@pytest.mark.parametrize(
    ("word", "entry"),
    [
        ("clients", "192.0.2.0/24"),
        ("clients", "example.net"),
        ("clients", r"/^mx\d/"),
        ("helo", "example.net"),
        ("senders", "alice@example.net"),
        ("recipients", "example.org"),
        ("users", "alice"),
    ],
)
def test_each_table_allows_and_denies(word: str, entry: str) -> None:
    kind = word.removesuffix("s")
    allowed = check({f"allow_{word}": [entry]}, sasl_username="Alice")
    assert allowed is not None
    assert (allowed.finding, allowed.action) == (f"{kind} allowed", DUNNO)
    denied = check({f"deny_{word}": [entry]}, sasl_username="Alice")
    assert denied is not None
    assert str(denied.action) == f"554 5.7.1 Access denied [denied-{kind}]"
    assert denied.reason == f"denied-{kind}"
    for list_of in ("allow", "deny"):
        other = {
            "client_address": "203.0.113.1",
            "client_name": "host.example.com",
            "reverse_client_name": "host.example.com",
            "helo_name": "host.example.com",
            "sender": "x@example.com",
            "recipient": "y@example.com",
            "sasl_username": "",
        }
        assert check({f"{list_of}_{word}": [entry]}, **other) is None


def test_what_is_allowed_wins() -> None:
    outcome = check({"allow_senders": ["alice@example.net"], "deny_clients": ["192.0.2.0/24"]})
    assert outcome is not None
    assert outcome.action == DUNNO


def test_a_name_that_is_not_verified_denies_and_does_not_allow() -> None:
    unverified = {"client_name": "unknown", "reverse_client_name": "bad.example.net"}
    denied = check({"deny_clients": ["example.net"]}, **unverified)
    assert denied is not None
    assert denied.action is not None
    assert check({"allow_clients": ["example.net"]}, **unverified) is None


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "bad-senders"
    path.write_text("# spammers\nbulk.example\n")
    denied = check({"deny_senders_files": [str(path)]}, sender="x@news.bulk.example")
    assert denied is not None
    assert denied.detail == "bulk.example"
    path.write_text("a b\n")
    with pytest.raises(MatchError, match="bad-senders:1"):
        check({"deny_senders_files": [str(path)]})


def test_the_text() -> None:
    denied = check({"deny_clients": ["192.0.2.7"], "text": "{client} {helo} at {hostname}"})
    assert denied is not None
    assert str(denied.action) == (
        "554 5.7.1 192.0.2.7 mx1.example.net at mx.example.org [denied-client]"
    )


def test_nothing_to_do() -> None:
    assert not TablesCheck(TablesSettings(), "mx").used
    assert TablesCheck(TablesSettings(deny_users=("x",)), "mx").used


@pytest.mark.parametrize("key", ["allow_clients", "deny_senders", "allow_helo", "deny_users"])
def test_a_regex_that_is_none(key: str) -> None:
    with pytest.raises(ValidationError, match="not a usable regular expression"):
        TablesSettings.model_validate({key: ["/(/"]})


@pytest.mark.parametrize(
    "entries", [["0.0.0.0/0"], ["0.0.0.0/1", "128.0.0.0/1"], ["2000::/3"], ["mx.example", "::/0"]]
)
def test_the_internet_is_not_let_through(entries: list[str], tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="name the networks that are yours"):
        TablesSettings.model_validate({"allow_clients": entries})
    path = tmp_path / "clients"
    path.write_text("".join(f"{entry}\n" for entry in entries))
    with pytest.raises(MatchError, match="name the networks that are yours"):
        check({"allow_clients_files": [str(path)]})
    assert TablesSettings.model_validate({"deny_clients": entries}).deny_clients == tuple(entries)
