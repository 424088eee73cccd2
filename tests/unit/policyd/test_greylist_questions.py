"""Questions of administrators about the greylist through accounts, and their exceptions."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gatepost.config import SecretFile
from gatepost.greylist_exchange import GreylistAnswer, GreylistQuestion
from gatepost.logs import get_logger
from gatepost.snapshots import form
from gatepost.snapshots.client import FetchError
from gatepost.snapshots.connection import AccountsAnswer, AccountsConnection
from gatepost.snapshots.form import SnapshotData, SnapshotError, parse
from gatepost.snapshots.greylist import read_exceptions
from gatepost.snapshots.settings import AccountsSource
from policyd import records
from policyd.checks.greylist import GreylistCheck
from policyd.greylist_exceptions import GreylistExceptions
from policyd.greylist_exchange import OFF_PAUSE, PAUSES, GreylistExchange
from policyd.greylist_questions import GreylistQuestions
from policyd.settings import PolicydSettings
from policyd.stores import StoreEntry, StoreError
from policyd.stores.memory import MemoryStore
from tests.unit.policyd.requests import request
from tests.unit.policyd.store_suite import NOW, Clock


def snapshot(*exceptions: dict[str, Any]) -> SnapshotData:
    """Write the snapshot as accounts does."""
    lines = [form.record(f"exception:{n:019}", one) for n, one in enumerate(exceptions)]
    body = form.first_line("greylist") + b"".join(lines)
    seal, _ = form.last_line(1, "5f0c", len(lines), hashlib.sha256(body))
    return parse(body + seal, "greylist")


def exception(kind: str, pattern: str, domain: str | None = None) -> dict[str, Any]:
    return {"kind": kind, "pattern": pattern, "domain": domain}


class Gate:
    """A greylist, its exceptions, and the questions about it."""

    def __init__(self, **greylist: Any) -> None:
        self.clock = Clock()
        self.store = MemoryStore(clock=self.clock)
        self.exceptions = GreylistExceptions()
        settings = PolicydSettings.model_validate({"greylist": greylist})
        self.check = GreylistCheck(
            settings.greylist, self.store, "mx", clock=self.clock, exceptions=self.exceptions
        )
        self.questions = GreylistQuestions(self.store, lambda: settings, "mx1", self.clock)

    def ask(self, **attributes: str) -> str:
        outcome = asyncio.run(self.check.check(request(**attributes)))
        return outcome.finding if outcome else ""

    def find(self, text: str, *domains: str, kind: str = "find") -> GreylistAnswer:
        question = GreylistQuestion("0" * 32, kind, text, domains or None)
        return asyncio.run(self.questions.answer(question))

    def recipients(self, text: str, *domains: str) -> list[str]:
        return sorted(one.recipient for one in self.find(text, *domains).rows)


MAIL = {"client_address": "192.0.2.7", "client_name": "unknown", "sender": "x@x.example"}


@pytest.fixture
def gate() -> Gate:
    gate = Gate()
    for recipient in ("anna@a.example", "bob@b.example"):
        assert gate.ask(**MAIL, recipient=recipient) == "new"
        gate.clock.now += 300
        assert gate.ask(**MAIL, recipient=recipient) == "passed"
    return gate


@pytest.mark.parametrize("text", ["192.0.2.9", "net:192.0.2.0/24", "x@x.example", "x.exam"])
def test_records_are_found_by_each_name(gate: Gate, text: str) -> None:
    assert {"anna@a.example", "bob@b.example"} <= set(gate.recipients(text))
    # of a domain they are those of its recipients; the client as a whole is for nobody else
    assert gate.recipients(text, "a.example") == ["anna@a.example"]
    assert gate.recipients(text, "c.example") == []
    assert not any(one.is_client for one in gate.find(text, "a.example", "b.example").rows)


def test_the_state_and_the_client_are_told(gate: Gate) -> None:
    rows = {one.recipient: one for one in gate.find("192.0.2.7").rows}
    assert rows["anna@a.example"].state == "passed"
    assert (rows[""].is_client, rows[""].state) == (True, "retried 1 time")
    assert rows["bob@b.example"].last == NOW + 600


def test_forgetting_is_for_whole_names_and_own_recipients(gate: Gate) -> None:
    assert gate.find("x.exam", kind="forget").forgotten == 0
    assert gate.find("x@x.example", "a.example", kind="forget").forgotten == 1
    assert gate.recipients("x@x.example") == ["bob@b.example"]
    assert gate.find("192.0.2.7", kind="forget").forgotten == 2
    assert gate.find("192.0.2.7").rows == ()


def test_with_digests_nobody_sees_the_mail_of_others(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(b"k" * 32)
    key.chmod(0o600)
    gate = Gate(privacy_key_file=SecretFile(key))
    gate.ask(**MAIL, recipient="anna@a.example")
    found = gate.find("192.0.2.7")
    assert (len(found.rows), found.is_hidden) == (1, True)
    assert "anna" not in str(found)
    assert gate.find("x.exam").rows == ()
    of_a = gate.find("192.0.2.7", "a.example")
    assert (of_a.rows, of_a.is_hidden) == ((), True)
    assert gate.find("192.0.2.7", "a.example", kind="forget").forgotten == 0
    assert gate.find("192.0.2.7", kind="forget").forgotten == 1


def test_an_answer_is_bounded(gate: Gate) -> None:
    for number in range(150):
        gate.ask(**MAIL, recipient=f"user{number}@a.example")
    found = gate.find("x@x.example")
    assert (len(found.rows), found.is_partial) == (100, True)
    times: Iterator[float] = iter([0.0, *[99.0] * 999])
    gate.questions._monotonic = lambda: next(times)
    late = gate.find("nobody")
    assert (late.rows, late.is_partial) == ((), True)


def test_a_store_that_is_away_is_a_problem_and_no_error(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> None:
        raise StoreError("valkey: away")

    monkeypatch.setattr(gate.store, "update", fail)
    assert "valkey: away" in gate.find("192.0.2.7").problem
    monkeypatch.setattr(gate.store, "update", lambda *_: 1 / 0)
    assert "internal error" in gate.find("192.0.2.7").problem


@pytest.mark.parametrize(
    ("kind", "pattern", "attributes", "matches"),
    [
        ("client", "192.0.2.7", {}, True),
        ("client", "192.0.2.0/24", {}, True),
        ("client", "192.0.2.8", {}, False),
        ("client", "x.example", {"client_name": "mail.x.example"}, True),
        ("client", "x.example", {"client_name": "mail.xx.example"}, False),
        ("client", "2001:db8::/32", {"client_address": "2001:db8::1"}, True),
        ("sender", "x@x.example", {}, True),
        ("sender", "X@x.example", {"sender": "x+list@X.example"}, True),
        ("sender", "@x.example", {"sender": "y@x.example"}, True),
        ("sender", "@x.example", {"sender": "y@sub.x.example"}, False),
        ("sender", "@x.example", {"sender": ""}, False),
        # a snapshot has none; a forged one must not make expressions
        ("sender", "/.*/", {}, False),
        ("client", "/.*/", {"client_name": "mail.x.example"}, False),
        ("client", "a b", {}, False),
    ],
)
def test_exceptions(kind: str, pattern: str, attributes: dict[str, str], matches: bool) -> None:
    gate = Gate()
    gate.exceptions.take(snapshot(exception(kind, pattern)))
    assert gate.ask(**{**MAIL, **attributes}) == ("exempted" if matches else "new")


def test_an_exception_of_a_domain_is_for_its_recipients() -> None:
    gate = Gate()
    gate.exceptions.take(snapshot(exception("client", "192.0.2.7", "a.example")))
    assert gate.ask(**MAIL, recipient="anna@A.example") == "exempted"
    assert gate.ask(**MAIL, recipient="bob@b.example") == "new"
    # what is removed in accounts is delayed again
    gate.exceptions.take(snapshot())
    assert gate.ask(**MAIL, recipient="anna@a.example") == "new"


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"kind": "x", "pattern": "y"},
        exception("client", "x") | {"domain": 1},
        {"kind": "client"},
    ],
)
def test_a_malformed_snapshot_is_not_used(bad: dict[str, Any]) -> None:
    with pytest.raises(SnapshotError):
        read_exceptions(snapshot(bad))


class StubAccounts(AccountsConnection):
    """Accounts with questions."""

    def __init__(self) -> None:
        super().__init__(AccountsSource())
        self.answer = AccountsAnswer(200, b'{"questions":[]}')
        self.sent: list[bytes] = []

    def ask(self, method: str, target: str, timeout: float, *more: Any) -> AccountsAnswer:
        del method, target, timeout
        if not self.answer.status:
            raise FetchError("away", "nobody is there")
        self.sent.append(more[0])
        return self.answer


def test_questions_are_answered_in_the_event_loop_and_once() -> None:
    accounts = StubAccounts()
    exchange = GreylistExchange(AccountsSource(), get_logger("test"), accounts)
    asked: list[str] = []
    question = b'{"questions":[{"id":"%b","kind":"find","text":"x","domains":null}]}' % (b"a" * 32)

    async def answering(question: GreylistQuestion) -> GreylistAnswer:
        asked.append(question.text)
        return GreylistAnswer(question.id, "mx1", forgotten=77)

    async def scene() -> None:
        exchange._loop, exchange._answering = asyncio.get_running_loop(), answering
        accounts.answer = AccountsAnswer(200, question)
        assert await asyncio.to_thread(exchange.turn, 0.0) == 0.0
        # the answer was lost: it is not asked in a tight loop, nor done twice
        assert await asyncio.to_thread(exchange.turn, 0.0) == PAUSES[0]

    asyncio.run(scene())
    assert asked == ["x"]
    assert [b'"forgotten":77' in one for one in accounts.sent] == [False, True]


@pytest.mark.parametrize(
    ("answer", "pause"),
    [
        (AccountsAnswer(404), OFF_PAUSE),
        (AccountsAnswer(503), PAUSES[0]),
        (AccountsAnswer(0), PAUSES[0]),
        (AccountsAnswer(200, b"[]"), PAUSES[0]),
        (AccountsAnswer(200, b'{"questions":[{"id":"x"}]}'), PAUSES[0]),
    ],
)
def test_accounts_that_is_away_or_old_costs_nothing(answer: AccountsAnswer, pause: float) -> None:
    accounts = StubAccounts()
    exchange = GreylistExchange(AccountsSource(), get_logger("test"), accounts)
    accounts.answer = answer
    assert exchange.turn() == pause


def test_a_search_for_a_network_leaves_time_to_mail_and_ends(gate: Gate) -> None:
    for number in range(3000):
        address = f"10.0.{number >> 8}.{number & 255}"
        gate.store.entries[f"{records.ALIAS}{address}"] = StoreEntry(f"net:{address}", 1 << 40)
    turns: list[float] = []

    async def mail() -> None:
        while True:
            turns.append(0.0)
            await asyncio.sleep(0)

    def look(times: Iterator[float]) -> GreylistQuestions:
        settings = PolicydSettings()
        return GreylistQuestions(
            gate.store, lambda: settings, "mx1", gate.clock, lambda: next(times)
        )

    async def ask(questions: GreylistQuestions) -> GreylistAnswer:
        others = asyncio.create_task(mail())
        answer = await questions.answer(GreylistQuestion("0" * 32, "find", "0.0.0.0/0", None))
        others.cancel()
        return answer

    answer = asyncio.run(ask(look(itertools.repeat(0.0))))
    assert not answer.problem
    assert not answer.is_partial
    assert len(turns) >= 6
    # the clock goes on by three seconds with each look, so that the time is over soon
    turns.clear()
    assert asyncio.run(ask(look(itertools.count(0.0, 3.0)))).is_partial
    assert len(turns) < 6
