"""The greylist check over a store in memory: who is delayed, who is not, and what they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gatepost.config import SecretFile
from policyd.checks import CheckResult
from policyd.checks.greylist import RECENT_SECONDS, GreylistCheck, Identify, RecentPasses
from policyd.facts import Facts
from policyd.request import Request
from policyd.settings import GreylistSettings
from policyd.stores.memory import MemoryStore
from tests.unit.policyd.requests import request
from tests.unit.policyd.store_suite import Clock


class Gate:
    """A greylist with a clock to turn."""

    def __init__(self, identify: Sequence[Identify] = (), **settings: Any) -> None:
        self.clock = Clock()
        self.store = MemoryStore(clock=self.clock)
        self.check = GreylistCheck(
            GreylistSettings.model_validate(settings),
            self.store,
            "mx.example.org",
            identify,
            self.clock,
        )

    def ask(self, wait: float = 0, /, **attributes: str) -> str:
        """The finding about a request that comes `wait` seconds after the last one."""
        outcome = self.outcome(wait, **attributes)
        return outcome.finding if outcome else ""

    def outcome(self, wait: float = 0, /, **attributes: str) -> CheckResult | None:
        self.clock.now += wait
        return asyncio.run(self.check.check(request(**attributes)))


def test_first_early_late_and_known() -> None:
    gate = Gate()
    first = gate.outcome(instance="1")
    assert first is not None
    assert str(first.action) == (
        "DEFER_IF_PERMIT 4.2.0 Greylisted, please try again in 300 seconds [greylist-new]"
    )
    early = gate.outcome(100, instance="2")
    assert early is not None
    assert str(early.action) == (
        "DEFER_IF_PERMIT 4.2.0 Greylisted, please try again in 200 seconds [greylist-early]"
    )
    late = gate.outcome(202, instance="3")
    assert late is not None
    assert str(late.action).startswith(
        "PREPEND X-Greylist: delayed 302 seconds by gatepost at mx.example.org; "
    )
    known = gate.outcome(10, instance="4")
    assert known == CheckResult("known")


def test_one_message_gets_one_header() -> None:
    gate = Gate()
    for recipient in ("a@example.org", "b@example.org"):
        gate.ask(recipient=recipient, instance="1")
    gate.clock.now += 300
    actions = []
    for recipient in ("a@example.org", "b@example.org"):
        outcome = gate.outcome(recipient=recipient, instance="2")
        assert outcome is not None
        assert outcome.finding == "passed"
        actions.append(outcome.action is not None)
    assert actions == [True, False]


def test_no_header_when_none_is_wanted() -> None:
    gate = Gate(header=False)
    gate.ask()
    outcome = gate.outcome(300)
    assert outcome is not None
    assert (outcome.finding, outcome.action) == ("passed", None)


def test_a_pool_passes_from_any_of_its_addresses() -> None:
    gate = Gate()
    assert gate.ask(client_address="198.51.100.1", client_name="out1.bigmail.example") == "new"
    assert (
        gate.ask(300, client_address="203.0.113.9", client_name="out7.bigmail.example") == "passed"
    )


def test_without_a_name_the_network_counts() -> None:
    gate = Gate()
    assert gate.ask(client_address="198.51.100.1", client_name="unknown") == "new"
    assert gate.ask(300, client_address="203.0.113.9", client_name="unknown") == "new"
    assert gate.ask(0, client_address="198.51.100.200", client_name="unknown") == "passed"


def test_lines_of_customers_do_not_share_an_identity() -> None:
    gate = Gate()
    names = {"198.51.100.1": "198-51-100-1.isp.example", "203.0.113.9": "203-0-113-9.isp.example"}
    for address, name in names.items():
        assert gate.ask(client_address=address, client_name=name) == "new"
        gate.clock.now += 300


def test_customers_of_a_hosting_provider_do_not_share_an_identity() -> None:
    gate = Gate(auto_allow_clients=1)
    one = {"client_address": "51.38.201.99", "client_name": "vps-1a2b3c4d.vps.ovh.net"}
    other = {"client_address": "51.77.203.98", "client_name": "vps-9f8e7d6c.vps.ovh.net"}
    assert gate.ask(**one) == "new"
    assert gate.ask(300, **other) == "new"
    assert gate.ask(0, **one) == "passed"
    assert gate.ask(0, **one, sender="x@example.net") == "auto-allowed"
    assert gate.ask(0, **other, sender="x@example.net") == "new"


def test_a_name_that_does_not_lead_back_is_nobodys() -> None:
    gate = Gate()
    claimed = {"client_name": "unknown", "reverse_client_name": "mx1.bigmail.example"}
    assert gate.ask(client_address="198.51.100.1", **claimed) == "new"
    assert gate.ask(300, client_address="203.0.113.9", **claimed) == "new"
    genuine = {"client_name": "mx1.bigmail.example"}
    assert gate.ask(300, client_address="192.0.2.1", **genuine) == "new"


def test_a_pool_with_generated_names_counts_as_one_by_spf() -> None:
    async def spf(asking: Request, _: Facts) -> str:
        return "spf:example.net"

    gate = Gate(identify=[spf])
    one = {"client_address": "198.51.100.7", "client_name": "s1234.pool.example"}
    other = {"client_address": "203.0.113.9", "client_name": "s5678.pool.example"}
    assert gate.ask(**one) == "new"
    assert gate.ask(300, **other) == "passed"


def test_a_name_that_is_found_later_does_not_start_anew() -> None:
    """The PTR lookup failed the first time; what is known of the network counts."""
    gate = Gate()
    assert gate.ask(client_name="unknown") == "new"
    assert gate.ask(300, client_name="mx1.example.net") == "passed"


def test_an_identity_that_costs_is_asked_only_before_a_deferral() -> None:
    asked: list[str] = []

    async def spf(asking: Request, _: Facts) -> str:
        asked.append(asking.client_address)
        return "spf:example.net"

    gate = Gate(identify=[spf])
    plain = {"client_name": "unknown"}
    assert gate.ask(client_address="198.51.100.1", **plain) == "new"
    assert gate.ask(300, client_address="203.0.113.9", **plain) == "passed"
    assert asked == ["198.51.100.1", "203.0.113.9"]
    assert gate.ask(0, client_address="198.51.100.1", **plain) == "passed"
    assert asked == ["198.51.100.1", "203.0.113.9"]


def test_a_client_that_came_back_often_is_not_delayed() -> None:
    gate = Gate(auto_allow_clients=2)
    for n in range(2):
        assert gate.ask(4000, sender=f"user{n}x@example.net") == "new"
        assert gate.ask(300, sender=f"user{n}x@example.net") == "passed"
    assert gate.ask(0, sender="stranger@example.com") == "auto-allowed"


@pytest.mark.parametrize(
    ("settings", "attributes", "finding"),
    [
        ({}, {"sasl_username": "alice"}, ""),
        ({}, {"client_address": "unknown"}, "no client address"),
        ({"allow_clients": ["example.net"]}, {}, "client allowed"),
        ({"allow_clients": ["192.0.2.0/24"]}, {}, "client allowed"),
        ({"allow_recipients": ["bob@example.org"]}, {}, "recipient opted out"),
        ({"allow_recipients": ["alice@example.org"]}, {}, "new"),
        ({"opt_in": True}, {}, "recipient not opted in"),
        ({"opt_in": True, "opt_in_recipients": ["example.org"]}, {}, "new"),
        ({"selective": True}, {}, "unsuspicious"),
        ({"selective": True}, {"client_name": "unknown"}, "new"),
        ({"selective": True}, {"client_name": "192-0-2-7.isp.example"}, "new"),
    ],
)
def test_who_is_delayed(settings: dict[str, Any], attributes: dict[str, str], finding: str) -> None:
    assert Gate(**settings).ask(**attributes) == finding


def test_a_signal_of_an_earlier_check_makes_a_client_odd() -> None:
    gate = Gate(selective=True)
    outcome = asyncio.run(gate.check.check(request(), Facts(signals=("listed",))))
    assert outcome is not None
    assert outcome.finding == "new"


def test_files_of_postgrey(tmp_path: Path) -> None:
    clients = tmp_path / "whitelist_clients"
    clients.write_text("# comment\nexample.net\n")
    recipients = tmp_path / "whitelist_recipients"
    recipients.write_text("postmaster@\nabuse@\n")
    gate = Gate(
        allow_clients_files=[clients, tmp_path / "whitelist_clients.local"],
        allow_recipients_files=[recipients],
    )
    assert gate.ask() == "client allowed"
    assert gate.ask(client_name="mx.other.example", recipient="abuse@x.example") == (
        "recipient opted out"
    )


def test_the_text_is_the_administrators() -> None:
    gate = Gate(text="Wait {seconds} s, see https://example.org/g?r={domain}", action="defer")
    outcome = gate.outcome()
    assert outcome is not None
    assert str(outcome.action) == (
        "450 4.2.0 Wait 300 s, see https://example.org/g?r=example.org [greylist-new]"
    )


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"text": "{seconds.__class__}"}, "a single brace"),
        ({"text": "{secs}"}, "is not a field"),
        ({"text": "{"}, "a single brace"),
        ({"text": "Später nochmals"}, "printable US-ASCII"),
        ({"text": "two\nlines"}, "printable US-ASCII"),
        ({"allow_clients": ["/(/"]}, "not a usable regular expression"),
        ({"allow_recipients": ["two words"]}, "not an address"),
        ({"delay": "1h", "retry_window": "1h"}, "retry_window"),
        ({"ipv4_prefix": 33}, "less than or equal to 32"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        GreylistSettings.model_validate(settings)


def test_in_privacy_mode_no_name_is_kept(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a secret\n")
    secret.chmod(0o600)
    gate = Gate(privacy_key_file=SecretFile(secret))
    assert gate.ask() == "new"
    assert gate.ask(300) == "passed"
    kept = repr(gate.store.entries)
    for word in ("192.0.2", "alice", "bob", "example"):
        assert word not in kept


def test_a_recent_pass_is_remembered_for_a_moment() -> None:
    gate = Gate()
    gate.ask()
    gate.ask(300)
    gate.ask(1)
    gate.store.entries.clear()
    assert gate.ask(RECENT_SECONDS - 2) == "known"
    assert gate.ask(3) == "new"


def test_what_is_remembered_is_bounded() -> None:
    recent = RecentPasses(size=100)
    for n in range(1000):
        recent.note(str(n), 10.0)
    assert recent.fresh("999", 5.0)
    assert recent.fresh("901", 5.0)
    assert not recent.fresh("500", 5.0)
    assert not recent.fresh("999", 10.0)
    assert len(recent._young) + len(recent._old) <= 200
