"""The sender of reports: it says what the probes say, and never minds a failure."""

from __future__ import annotations

import time
from typing import Any

import pytest
import structlog.testing

from gatepost.logs import get_logger
from gatepost.metrics import Probes
from gatepost.reports import sender
from gatepost.reports.report import StateReport, decode_report
from gatepost.reports.sender import AGAIN, INTERVAL, OFF_PAUSE, PATH, ReportSender
from gatepost.snapshots.client import FetchError
from gatepost.snapshots.connection import AccountsAnswer, AccountsConnection
from gatepost.snapshots.settings import AccountsSource


class StubConnection(AccountsConnection):
    """Accounts that answers with a status, or not at all."""

    def __init__(self) -> None:
        super().__init__(AccountsSource())
        self.status = 204
        self.reports: list[StateReport] = []

    def ask(self, method: str, target: str, timeout: float, *more: Any) -> AccountsAnswer:
        assert (method, target) == ("POST", PATH)
        assert 0 < timeout <= 10
        if not self.status:
            raise FetchError("away", "nobody is there")
        self.reports.append(decode_report(more[0]))
        return AccountsAnswer(self.status)


class Bench:
    """A sender with probes of the test."""

    def __init__(self, url: str | None = "unix:/nowhere") -> None:
        self.probes = Probes()
        self.accounts = StubConnection()
        self.sender = ReportSender(
            "policyd",
            AccountsSource(url=url),
            lambda: self.probes,
            get_logger("test"),
            self.accounts,
        )


def test_it_says_what_the_probes_say() -> None:
    bench = Bench()
    bench.probes.healthy_when("loop", lambda: "blocked for 9 s")
    bench.probes.ready_when("accounts", lambda: None)
    bench.probes.remark("dnslists", lambda: "not asked: zen.example")
    # with a problem, the next one comes soon
    assert bench.sender.turn() == AGAIN
    bench.probes.healthy_when("loop", lambda: None)
    assert 0.8 * INTERVAL < bench.sender.turn() < 1.2 * INTERVAL
    report, well = bench.accounts.reports
    assert well.problems == ()
    assert (report.component, report.is_over) == ("policyd", False)
    # what fails in both probes is told once
    assert report.problems == ("loop: blocked for 9 s",)
    assert report.remarks == ("dnslists: not asked: zen.example",)
    assert abs(report.started - time.time()) < 60


@pytest.mark.parametrize(
    ("status", "pause", "level"),
    [(404, OFF_PAUSE, "info"), (401, AGAIN, "warning"), (503, AGAIN, "info"), (0, AGAIN, "info")],
)
def test_a_failure_is_told_once(status: int, pause: float, level: str) -> None:
    bench = Bench()
    bench.accounts.status = status
    with structlog.testing.capture_logs() as lines:
        assert [bench.sender.turn(), bench.sender.turn()] == [pause, pause]
    assert [one["log_level"] for one in lines] == [level]
    bench.accounts.status = 204
    bench.sender.turn()
    bench.accounts.status = status
    with structlog.testing.capture_logs() as lines:
        bench.sender.turn()
    assert len(lines) == 1


def test_the_last_report_says_goodbye() -> None:
    bench = Bench()
    bench.sender.start()
    for _ in range(500):
        if bench.accounts.reports:
            break
        time.sleep(0.01)
    bench.sender.stop()
    assert [one.is_over for one in bench.accounts.reports] == [False, True]


def test_without_accounts_nothing_is_sent() -> None:
    bench = Bench(url=None)
    bench.sender.start()
    bench.sender.stop()
    assert bench.accounts.reports == []


def test_a_bug_in_a_probe_does_not_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "INTERVAL", 0.01)
    bench = Bench()
    faults = [1]

    def check() -> str | None:
        return str(1 // (faults.pop() - 1)) if faults else None

    bench.probes.ready_when("x", check)
    with structlog.testing.capture_logs() as lines:
        bench.sender.start()
        for _ in range(500):
            if bench.accounts.reports:
                break
            time.sleep(0.01)
        bench.sender.stop()
    assert [one["log_level"] for one in lines][:1] == ["error"]
    assert bench.accounts.reports
