"""Sender ownership, and the signs of a stolen password."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gatepost.ownership import OwnershipError, parse_owned, read_rights
from policyd.checks import CheckResult
from policyd.checks.compromised import CompromisedCheck
from policyd.checks.ownership import OwnershipCheck
from policyd.countries import Countries, read_countries
from policyd.match import MatchError, parse_address
from policyd.settings import CompromisedSettings, OwnershipSettings
from policyd.stores.memory import MemoryStore
from tests.unit.policyd.requests import request
from tests.unit.policyd.store_suite import Clock

OWNERS = ["info@example.org alice, bob@example.org", "@sales.example carol"]


def ownership(**settings: Any) -> OwnershipCheck:
    section = OwnershipSettings.model_validate(settings)
    return OwnershipCheck(section, read_rights(section), "mx")


def owned(user: str, sender: str, **settings: Any) -> str:
    check = ownership(owners=OWNERS, **settings)
    outcome = asyncio.run(check.check(request(sasl_username=user, sender=sender)))
    return str(outcome.action) if outcome and outcome.action else ""


@pytest.mark.parametrize(
    ("user", "sender", "allowed"),
    [
        ("alice", "info@example.org", True),
        ("Alice", "INFO@example.org", True),
        ("bob@example.org", "info@example.org", True),
        ("carol", "info@example.org", False),
        ("carol", "anything@sales.example", True),
        ("alice", "anything@sales.example", False),
        ("alice", "info+list@example.org", True),
        ("dora@example.org", "dora@example.org", True),
        ("dora@example.org", "dora+list@example.org", True),
        ("dora@example.org", "erin@example.org", False),
        ("alice", "", True),
        ("", "info@example.org", True),
    ],
)
def test_who_may_send_as_whom(user: str, sender: str, allowed: bool) -> None:
    answer = owned(user, sender)
    if allowed:
        assert answer == ""
    else:
        assert answer == (
            f"553 5.7.1 Sender address rejected: not owned by user {user} [sender-not-owned]"
        )


def test_choices() -> None:
    assert owned("alice", "", null_sender=False).startswith("553")
    assert owned("dora@example.org", "dora@example.org", login_owns_itself=False).startswith("553")
    assert owned("", "info@example.org", strangers="reject") == (
        "553 5.7.1 This sender needs a login [sender-needs-login]"
    )
    assert owned("", "stranger@example.com", strangers="reject") == ""
    assert owned("", "info@[192.0.2.1]", strangers="reject") == ""
    assert owned("", "", strangers="reject") == ""


@pytest.mark.parametrize("sender", ["info", "@x,@y:info", "@x:info%example.org"])
def test_strangers_get_no_domain_from_postfix_behind_a_route(sender: str) -> None:
    assert owned("", sender, strangers="reject").startswith("553")


def test_a_route_does_not_hide_the_owner() -> None:
    sender = "@x:info@example.org"
    assert owned("", sender, strangers="reject").startswith("553")
    owners = [*OWNERS, "@example.org carol"]
    check = ownership(owners=owners)
    for user, finding in (("carol", "not owned"), ("alice", "owned")):
        outcome = asyncio.run(check.check(request(sasl_username=user, sender=sender)))
        assert outcome is not None
        assert outcome.finding == finding


@pytest.mark.parametrize("sender", ["info", "info%example.org", "example.org!info", "info@"])
def test_strangers_get_no_domain_from_postfix(sender: str) -> None:
    assert owned("", sender, strangers="reject").startswith("553")
    assert owned("", sender) == ""


def test_the_texts_are_the_administrators() -> None:
    text = "{user} may not be {sender}, ask help@{hostname}"
    assert owned("carol", "info@example.org", text=text) == (
        "553 5.7.1 carol may not be info@example.org, ask help@mx [sender-not-owned]"
    )
    told = owned("", "info@example.org", strangers="reject", strangers_text="{client}: log in")
    assert told == "553 5.7.1 192.0.2.7: log in [sender-needs-login]"
    for section in (OwnershipSettings, CompromisedSettings):
        with pytest.raises(ValidationError, match="not a field of this text"):
            section.model_validate({"text": "{password}"})


def test_a_file_of_owners(tmp_path: Path) -> None:
    path = tmp_path / "owners"
    path.write_text("# who\ninfo@example.org alice\n")
    check = ownership(owners_files=[str(path)])
    outcome = asyncio.run(check.check(request(sasl_username="alice", sender="info@example.org")))
    assert outcome == CheckResult("owned")
    path.write_text("info alice\n")
    with pytest.raises(OwnershipError, match="owners:1"):
        ownership(owners_files=[str(path)])


@pytest.mark.parametrize("line", ["alice", "info@example.org", "info alice"])
def test_no_owner(line: str) -> None:
    with pytest.raises(OwnershipError):
        parse_owned(line)
    with pytest.raises(ValidationError):
        OwnershipSettings(owners=(line,))


class Watcher:
    def __init__(self, **settings: Any) -> None:
        self.clock = Clock()
        self.check = CompromisedCheck(
            CompromisedSettings.model_validate(settings),
            MemoryStore(clock=self.clock),
            "mx.example.org",
            self.clock,
        )

    def ask(self, wait: float = 0, /, **attributes: str) -> str:
        self.clock.now += wait
        outcome = asyncio.run(self.check.check(request(**attributes)))
        return str(outcome.action or outcome.finding) if outcome else ""


def test_a_login_from_many_networks() -> None:
    watcher = Watcher(max_networks=3)
    for n in range(3):
        for host in (1, 2):
            assert watcher.ask(sasl_username="alice", client_address=f"192.0.{n}.{host}") == ""
    answer = watcher.ask(sasl_username="Alice", client_address="203.0.113.1")
    assert answer == (
        "HOLD compromised: used from 192.0.0.0/24, 192.0.1.0/24, 192.0.2.0/24, 203.0.113.0/24"
    )
    assert watcher.ask(sasl_username="bob", client_address="203.0.113.1") == ""
    assert watcher.ask(client_address="203.0.113.1") == ""
    # a day later the old networks count no more
    assert watcher.ask(86400, sasl_username="alice", client_address="203.0.113.1") == ""


def test_a_login_from_many_countries(tmp_path: Path) -> None:
    path = tmp_path / "countries"
    path.write_text("192.0.2.0/24 DE\n198.51.100.0/24,FR\n203.0.113.0/24 US\n203.0.113.128/25 CA\n")
    watcher = Watcher(max_countries=2, countries_file=str(path), action="reject")
    for address in ("192.0.2.1", "198.51.100.1", "192.0.2.9", "10.0.0.1"):
        assert watcher.ask(sasl_username="alice", client_address=address) == ""
    answer = watcher.ask(sasl_username="alice", client_address="203.0.113.200")
    assert answer.startswith("554 5.7.1 ")
    assert answer.endswith("[compromised]")


def test_countries_need_a_file() -> None:
    """Without one no country is ever known, and the sign would never be seen."""
    with pytest.raises(ValidationError, match="max_countries needs countries_file"):
        CompromisedSettings(max_countries=2)


def test_countries(tmp_path: Path) -> None:
    countries = Countries()
    countries.add("2001:db8::/32", "DE")
    countries.add("192.0.2.0/24", "FR")
    countries.add("192.0.2.128/25", "IT")
    assert [
        countries.of(parse_address(a))
        for a in ("2001:db8::1", "192.0.2.1", "192.0.2.200", "10.0.0.1", "x")
    ] == [
        "DE",
        "FR",
        "IT",
        "",
        "",
    ]
    path = tmp_path / "countries"
    for wrong in ("192.0.2.0/24", "nonsense DE", "192.0.2.0/24 D E"):
        path.write_text(f"{wrong}\n")
        with pytest.raises(MatchError, match="countries:1"):
            read_countries(path)


def test_many_bounces() -> None:
    watcher = Watcher(bounces=2, bounce_rate=0.5, action="defer")
    out = {"sasl_username": "alice", "sender": "alice@example.org"}
    back = {"sender": "", "recipient": "Alice@example.org"}
    for _ in range(4):
        assert watcher.ask(**out) == ""
    for _ in range(3):
        assert watcher.ask(**back) == ""
    assert watcher.ask(**out).startswith("450 4.7.1")  # 3 of 5
    for _ in range(3):
        watcher.ask(**out)
    assert watcher.ask(**out) == ""  # 3 of 9
    for _ in range(3):
        watcher.ask(**back)
    assert watcher.ask(86402, **out) == ""


def test_bounces_may_be_counted_when_they_are_there() -> None:
    """At RCPT a server that only asks for the address (a callout) looks the same."""
    watcher = Watcher(bounces=1, bounces_at="DATA")
    out = {"sasl_username": "alice", "sender": "alice@example.org"}
    back = {"sender": "", "recipient": "alice@example.org"}
    for _ in range(9):
        watcher.ask(**back)
    assert watcher.ask(**out) == ""
    assert watcher.ask(protocol_state="DATA", **out) == ""
    for _ in range(2):
        watcher.ask(protocol_state="DATA", **back)
    assert watcher.ask(**out) == "HOLD compromised: 2 bounces of 2 messages"
    assert watcher.check.states == {"RCPT", "DATA"}


def test_the_text_of_a_refusal() -> None:
    watcher = Watcher(max_networks=1, action="reject", text="Locked: https://{hostname}/{user}")
    watcher.ask(sasl_username="alice", client_address="192.0.1.1")
    assert watcher.ask(sasl_username="alice", client_address="192.0.2.1") == (
        "554 5.7.1 Locked: https://mx.example.org/alice [compromised]"
    )


def test_exempt_users_and_notes() -> None:
    watcher = Watcher(max_networks=1, exempt_users=["Webmail"], action="note")
    for n in range(5):
        assert watcher.ask(sasl_username="webmail", client_address=f"192.0.{n}.1") == ""
    watcher.ask(sasl_username="alice", client_address="192.0.1.1")
    assert watcher.ask(sasl_username="alice", client_address="192.0.2.1") == "networks"
