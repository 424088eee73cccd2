"""States of daemons and checks of domains in the datastore, and the intake of reports."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from accounts.directory import daemon_states, dkim_keys, domain_checks, key_worries
from accounts.directory.daemon_states import KEPT, MAX_STATES, SILENT
from accounts.dnscheck import DomainReport
from accounts.dnscheck.finding import DnsFinding, FindingLevel
from accounts.own_state import OwnState
from accounts.report_intake import ReportIntake
from accounts.snapshots.access import Tokens
from gatepost.key_pair import new_key
from gatepost.metrics import Probes
from gatepost.reports.queue_state import QUEUES, QueueDestination, QueueState
from gatepost.reports.report import MAX_LINES, StateReport, encode_report
from gatepost.reports.sender import PATH
from tests.unit.accounts import files
from tests.unit.accounts.desk import NOW, Desk
from tests.unit.accounts.http.api import SEAL

TOKEN = "0123456789abcdef"
REPORT = StateReport("policyd", "mx1", "0.1.0", NOW - 60, (), ("store: valkey does not answer",))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(files.make(tmp_path / "accounts.db"))
    yield desk
    desk.close()


def note(desk: Desk, report: StateReport, at: int = NOW) -> None:
    desk.run(desk.database.record(lambda c: daemon_states.note(c, report, at)))


def found(desk: Desk, at: int = NOW) -> list[tuple[str, str]]:
    states = desk.read(lambda c: daemon_states.find(c, at))
    return [(one.component, one.instance) for one in states]


def test_the_last_report_of_each_is_kept(desk: Desk) -> None:
    generation = desk.database.generation
    note(desk, REPORT)
    note(desk, REPORT._replace(instance="mx2"))
    note(desk, REPORT._replace(remarks=(), problems=("loop: blocked",)), NOW + 60)
    first, second = desk.read(lambda c: daemon_states.find(c, NOW + 60))
    assert (first.instance, first.heard, first.problems) == ("mx1", NOW + 60, ("loop: blocked",))
    assert (second.remarks, second.is_well(NOW + 60)) == (REPORT.remarks, True)
    assert not first.is_well(NOW + 60)
    assert (second.is_silent(NOW + SILENT), second.is_silent(NOW + SILENT + 1)) == (False, True)
    # it is no change of the data: no snapshot is made anew, and the audit log stays empty
    assert desk.database.generation == generation


def test_daemons_that_ended_or_fell_silent_are_forgotten(desk: Desk) -> None:
    note(desk, REPORT)
    # one that has replaced it on this host stays
    note(desk, REPORT._replace(started=NOW - 90, is_over=True))
    assert found(desk) == [("policyd", "mx1")]
    note(desk, REPORT._replace(is_over=True))
    assert found(desk) == []
    note(desk, REPORT)
    assert found(desk, NOW + KEPT + 1) == []
    note(desk, REPORT._replace(instance="mx2"), NOW + KEPT + 1)
    assert desk.counts()["daemon_state"] == 1


def test_their_number_is_bounded(desk: Desk) -> None:
    def flood(connection: Any) -> None:
        for number in range(MAX_STATES + 50):
            one = REPORT._replace(instance=f"host{number:04}")
            daemon_states.note(connection, one, NOW + number)

    desk.run(desk.database.record(flood))
    kept = found(desk, NOW)
    assert len(kept) == MAX_STATES
    assert kept[0] == ("policyd", "host0050")


class Intake:
    """The intake of reports over a datastore."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        tokens = Tokens(plain=hashlib.sha256(TOKEN.encode()).digest())

        async def rest(scope: Any, receive: Any, send: Any) -> None:
            raise AssertionError(scope["path"])

        self.intake = ReportIntake(desk.database, lambda: tokens, rest, desk.clock)

    def post(self, body: bytes, token: str = TOKEN) -> int:
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "path": PATH,
            "method": "POST",
            "headers": [(b"authorization", b"Bearer " + token.encode())],
            "client": ("192.0.2.1", 4711),
        }
        self.desk.run(self.intake(scope, receive, send))
        return int(sent[0]["status"])


def test_reports_need_a_token_and_a_form(desk: Desk) -> None:
    intake = Intake(desk)
    assert intake.post(encode_report(REPORT), "0123456789abcdee") == 401
    bad: tuple[Any, ...] = (
        {},
        [],
        {**json.loads(encode_report(REPORT)), "component": "accounts"},
        {**json.loads(encode_report(REPORT)), "component": ["policyd"]},
        {**json.loads(encode_report(REPORT)), "instance": ""},
        {**json.loads(encode_report(REPORT)), "started": -1},
        {**json.loads(encode_report(REPORT)), "started": 10**400},
        {**json.loads(encode_report(REPORT)), "problems": "x"},
        {**json.loads(encode_report(REPORT)), "remarks": [1]},
        {**json.loads(encode_report(REPORT)), "over": 1},
    )
    for one in bad:
        assert intake.post(json.dumps(one).encode()) == 400, one
    for octets in (b"", b"{", b"\xff", b"[" * 9999):
        assert intake.post(octets) == 400
    assert intake.post(b" " * 100_000) == 413
    assert found(desk) == []
    assert intake.post(encode_report(REPORT)) == 204
    assert found(desk) == [("policyd", "mx1")]


def test_hostile_lines_stay_short_and_printable(desk: Desk) -> None:
    lines = tuple("\x1b[31m\0\u202e" + "x" * 9999 for _ in range(999))
    report = REPORT._replace(problems=lines, instance="\0\ud800host")
    assert Intake(desk).post(encode_report(report)) == 204
    (state,) = desk.read(lambda c: daemon_states.find(c, NOW))
    assert len(state.problems) == MAX_LINES
    assert all(one.isprintable() and len(one) < 500 for one in (*state.problems, state.instance))


def test_a_report_has_the_queue_of_postfix(desk: Desk) -> None:
    queue = QueueState(
        NOW, dict.fromkeys(QUEUES, 1), NOW - 9, (QueueDestination("far.test", 3, NOW - 9, "450"),)
    )
    report = REPORT._replace(component="postfix", queue=queue)
    assert Intake(desk).post(encode_report(report)) == 204
    (state,) = desk.read(lambda c: daemon_states.find(c, NOW))
    assert state.queue == queue
    wrong = {**json.loads(encode_report(report)), "queue": {"at": "now"}}
    assert Intake(desk).post(json.dumps(wrong).encode()) == 400
    assert Intake(desk).post(encode_report(report._replace(queue=None))) == 204
    (state,) = desk.read(lambda c: daemon_states.find(c, NOW))
    assert state.queue is None


def test_accounts_writes_its_own_state(desk: Desk) -> None:
    probes = Probes()
    faults: list[str] = ["away for 3 s"]
    probes.ready_when("database", lambda: faults[0] if faults else None)
    own = OwnState(desk.database, probes, desk.clock)
    desk.run(own.note())
    (state,) = desk.read(lambda c: daemon_states.find(c, NOW))
    assert (state.component, state.problems) == ("accounts", ("database: away for 3 s",))
    faults.clear()
    desk.run(own.note())
    (state,) = desk.read(lambda c: daemon_states.find(c, NOW))
    assert state.problems == ()
    desk.run(own.end())
    assert found(desk) == []


def test_the_worst_findings_of_a_check_are_kept(desk: Desk) -> None:
    desk.domain("a.example")
    desk.domain("b.example")
    findings = tuple(
        DnsFinding("SPF", "a.example", "TXT", level, f"{level} \x1b" + "x" * 9999)
        for level in (FindingLevel.OK, FindingLevel.WARNING, FindingLevel.ERROR)
    )
    report = DomainReport("a.example", findings)
    desk.run(desk.database.record(lambda c: domain_checks.note(c, report, NOW)))
    known = desk.read(lambda c: domain_checks.find(c, limit=5))
    assert (known.with_errors, known.right, known.unchecked) == (1, 0, 1)
    (wrong,) = known.wrong
    assert (wrong.domain, wrong.at) == ("a.example", NOW)
    assert [one["level"] for one in wrong.wrong] == ["error", "warning"]
    assert len(wrong.wrong[0]["text"]) < 500
    assert wrong.wrong[0]["text"].isprintable()
    # a better result replaces it; a domain that is gone is none
    right = DomainReport("a.example", findings[:1])
    for one in (right, DomainReport("gone.example", findings)):
        desk.run(desk.database.record(partial(domain_checks.note, report=one, now=NOW + 1)))
    known = desk.read(lambda c: domain_checks.find(c, limit=5))
    assert (known.with_errors, known.right, known.unchecked, known.wrong) == (0, 1, 1, ())


def test_keys_that_somebody_should_look_at(desk: Desk) -> None:
    def worries(now: int) -> list[tuple[str, str, str]]:
        there = desk.read(lambda c: key_worries.find(c, now, limit=9))
        return [(one.domain, one.selector, one.worry.value) for one in there]

    for name in ("a.example", "b.example"):
        desk.domain(name)
    assert worries(NOW) == []  # without any key here, the milter has its own
    pem = new_key("ed25519")
    desk.write(lambda w: dkim_keys.add(w, SEAL, "a.example", "s1", private=pem))
    missing = [("a.example", "", "missing"), ("b.example", "", "missing")]
    assert worries(NOW) == missing
    assert worries(NOW + 8 * 86_400) == [*missing, ("a.example", "s1", "waiting")]
    desk.write(lambda w: dkim_keys.activate(w, "a.example", "s1"))
    assert worries(NOW) == [("b.example", "", "missing")]
    assert worries(NOW + 366 * 86_400) == [
        ("b.example", "", "missing"),
        ("a.example", "s1", "old"),
    ]
