"""The overview, reports and questions about the greylist in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from accounts.directory import daemon_states, dkim_keys, domain_checks, greylist_questions
from accounts.directory import greylist_exceptions as exceptions
from accounts.dnscheck import DomainReport
from accounts.dnscheck.finding import DnsFinding, FindingLevel
from accounts.overview import stored_facts
from gatepost.greylist_exchange import GreylistAnswer, GreylistRow
from gatepost.key_pair import new_key
from gatepost.reports.report import StateReport
from tests.daemon import accounts_postgres
from tests.testbed.postgres import PostgresServer
from tests.unit.accounts.desk import NOW, Desk
from tests.unit.accounts.http.api import SEAL

REPORT = StateReport("policyd", "mx1", "0.1.0", NOW, (), ("dnslists: zen.example",))


@pytest.fixture
def desk(postgres: PostgresServer) -> Iterator[Desk]:
    desk = Desk(accounts_postgres.make(postgres))
    try:
        yield desk
    finally:
        desk.close()


def test_the_overview(desk: Desk) -> None:
    for name in ("a.example", "b.example"):
        desk.domain(name)
    pem = new_key("ed25519")
    desk.write(lambda w: dkim_keys.add(w, SEAL, "a.example", "s1", private=pem))
    finding = DnsFinding("MX", "a.example", "MX", FindingLevel.ERROR, "No MX.")
    checked = DomainReport("a.example", (finding,))
    record = desk.database.record
    for _ in range(2):
        desk.run(record(partial(domain_checks.note, report=checked, now=NOW)))
        desk.run(record(partial(daemon_states.note, report=REPORT, now=NOW)))
    later = NOW + 8 * 86_400
    facts = desk.read(lambda c: stored_facts(c, later, administrator=None, sees_all=True))
    assert [(one.domain, one.worry.value) for one in facts.keys] == [
        ("a.example", "missing"),
        ("b.example", "missing"),
        ("a.example", "waiting"),
    ]
    assert (facts.domains.with_errors, facts.domains.unchecked) == (1, 1)
    assert facts.domains.wrong[0].wrong[0]["text"] == "No MX."
    assert facts.size is not None
    assert facts.size > 0
    (state,) = desk.read(lambda c: daemon_states.find(c, NOW))
    assert state.remarks == REPORT.remarks
    nobody = desk.read(lambda c: stored_facts(c, later, administrator=77, sees_all=False))
    assert (nobody.keys, nobody.daemons, nobody.domains.unchecked) == ((), None, 0)


def test_a_question_and_its_answer(desk: Desk) -> None:
    record = desk.database.record
    own = frozenset({"a.example"})
    number = desk.run(record(lambda c: greylist_questions.ask(c, "find", "x", own, NOW)))
    (question,) = desk.read(lambda c: greylist_questions.find_open(c, "mx1", NOW))
    assert (question.id, question.domains) == (number, ("a.example",))
    row = GreylistRow("net:192.0.2.0/24", "x@x.example", "anna@a.example", False, "passed", NOW)
    given = GreylistAnswer(number, "mx1", (row,))
    for _ in range(2):
        desk.run(record(partial(greylist_questions.answer, given=given)))
    assert desk.read(lambda c: greylist_questions.answers(c, number)) == [given]
    assert desk.read(lambda c: greylist_questions.find_open(c, "mx1", NOW)) == []
    assert len(desk.read(lambda c: greylist_questions.find_open(c, "mx2", NOW))) == 1
    desk.run(record(lambda c: greylist_questions.ask(c, "find", "y", None, NOW + 100)))
    counts = desk.counts()
    assert (counts["greylist_question"], counts["greylist_answer"]) == (1, 0)


def test_exceptions(desk: Desk) -> None:
    desk.domain("a.example")
    desk.write(lambda w: exceptions.add(w, "client", "192.0.2.7", note="a bank"))
    made = desk.write(lambda w: exceptions.add(w, "client", "192.0.2.7", domain="a.example"))
    found = desk.read(lambda c: exceptions.find(c))
    assert [one.domain for one in found] == [None, "a.example"]
    desk.write(lambda w: exceptions.remove(w, made.id, domain="a.example"))
    assert len(desk.read(lambda c: exceptions.find(c))) == 1
