"""The intake of records: tokens, bounds, and lines that are none."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from accounts import intake as intake_module
from accounts.journal import journal as journal_module
from accounts.journal.intake import MAX_BODY, PATH, JournalIntake
from accounts.journal.settings import JournalSettings
from accounts.snapshots.access import Tokens
from accounts.store.settings import DatabaseSettings
from gatepost.journal.record import MAX_RECIPIENTS, JournalRecord, encode
from tests.unit.accounts.journal.journal_suite import NOW, JournalDesk, mail

TOKEN = "0123456789abcdef"
LINE = encode(mail(1, "ann@example.org"))


class IntakeDesk(JournalDesk):
    """A journal with its application."""

    def __init__(self, database: DatabaseSettings) -> None:
        super().__init__(database)
        self.others: list[str] = []

        async def rest(scope: Any, receive: Any, send: Any) -> None:
            del receive, send
            self.others.append(scope["path"])

        tokens = Tokens(plain=hashlib.sha256(TOKEN.encode()).digest())
        self.intake = JournalIntake(self.journal, lambda: tokens, rest)

    def post(
        self,
        *parts: bytes,
        token: str = TOKEN,
        path: str = PATH,
        method: str = "POST",
        client: tuple[str, int] = ("192.0.2.1", 4711),
        stalls: bool = False,
    ) -> int | None:
        """Return the status of the answer; None without one."""
        sent: list[Any] = []
        waiting = [
            {"type": "http.request", "body": part, "more_body": stalls or number < len(parts) - 1}
            for number, part in enumerate(parts)
        ]

        async def receive() -> Any:
            if stalls and not waiting:
                await asyncio.Event().wait()
            return waiting.pop(0) if waiting else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [(b"authorization", b"Bearer " + token.encode())] if token else []
        scope = {
            "type": "http",
            "path": path,
            "method": method,
            "headers": headers,
            "client": client,
        }
        self.run(self.intake(scope, receive, send))
        return int(sent[0]["status"]) if sent else None


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[IntakeDesk]:
    desk = IntakeDesk(DatabaseSettings(url=f"sqlite:///{tmp_path}/accounts.db"))
    try:
        yield desk
    finally:
        desk.close()


def test_records_are_written_before_the_answer(desk: IntakeDesk) -> None:
    assert desk.post(LINE[:30], LINE[30:]) == 204
    assert desk.recipients("ann@example.org") == ["ann@example.org"]
    assert desk.post(b"") == 204


def test_only_those_who_may_fetch_snapshots_may_write(desk: IntakeDesk) -> None:
    for token in ("", "0123456789abcdee", "x" * 9999):
        assert desk.post(LINE, token=token) == 401
    assert desk.post(LINE, token="", client=("uid", os.geteuid() + 77)) == 401
    assert desk.find() == []
    assert desk.post(LINE, token="", client=("uid", os.geteuid())) == 204


def test_lines_that_are_no_records_cost_only_themselves(desk: IntakeDesk) -> None:
    assert desk.post(b"{}\n[\n\xff\n" + LINE + b'{"at":1,"daemon":"x"}\n' + b"\n\n") == 204
    assert len(desk.find()) == 1


def test_a_large_body_is_refused_unread(desk: IntakeDesk) -> None:
    assert desk.post(*[b"x" * 100_000] * 100) == 413
    assert desk.post(LINE * (MAX_BODY // len(LINE))) == 204


def test_a_client_that_leaves_gets_nothing(desk: IntakeDesk) -> None:
    assert desk.post() is None


def test_other_requests_go_on(desk: IntakeDesk) -> None:
    assert desk.post(LINE, path="/snapshots/v1/senders") is None
    assert desk.others == ["/snapshots/v1/senders"]
    assert desk.post(LINE, method="GET") == 405


def test_without_days_it_is_gone(desk: IntakeDesk) -> None:
    desk.settings = JournalSettings(days=0)
    assert desk.post(LINE) == 410


def test_a_full_disk_and_too_many_requests_are_503(
    desk: IntakeDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(journal_module, "MIN_FREE", 1 << 62)
        assert desk.post(LINE) == 503
    with monkeypatch.context() as patch:
        patch.setattr(intake_module, "MAX_BUSY", 0)
        assert desk.post(LINE) == 503
    assert desk.post(LINE) == 204


def test_a_client_that_stalls_is_not_waited_for(
    desk: IntakeDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake_module, "PATIENCE", 0.05)
    monkeypatch.setattr(intake_module, "MAX_BUSY", 1)
    assert desk.post(LINE, stalls=True) == 408
    assert desk.find() == []
    assert desk.post(LINE) == 204


def test_a_time_beyond_all_numbers_costs_only_its_line(desk: IntakeDesk) -> None:
    forged = LINE.replace(b'"at":', b'"at":1' + b"0" * 400 + b',"was":')
    assert desk.post(forged + LINE) == 204
    assert len(desk.find()) == 1


def test_many_recipients_in_a_request_do_not_fill_the_memory(desk: IntakeDesk) -> None:
    """A request of half a megabyte stands for more than a hundred thousand rows."""
    line = encode(JournalRecord(NOW, "milters", "accept", recipients=("",) * MAX_RECIPIENTS))
    count = MAX_BODY // len(line)
    desk.post(LINE)
    tracemalloc.start()
    try:
        assert desk.post(line * count) == 204
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count * MAX_RECIPIENTS > 100_000
    assert peak < 30 << 20
