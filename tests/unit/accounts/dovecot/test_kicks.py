"""Requests to a server of Dovecot that answers, fails and comes back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from accounts.dovecot import kicks
from accounts.dovecot.doveadm import DoveadmError, _read
from accounts.dovecot.kicks import Doveadm, pause
from gatepost.config import SecretFile

ANNA = "anna@example.org"


class Bench:
    """A server whose requests are taken down; `error` is what they end with."""

    def __init__(self, key: Path) -> None:
        key.write_text("sesame\n")
        key.chmod(0o600)
        self.sent: list[tuple[str, str, list[str]]] = []
        self.error: str | None = None
        self.now = 0.0
        self.server = Doveadm(
            "http://dovecot:8080/doveadm/v1",
            lambda: SecretFile(key),
            send=self._send,
            clock=lambda: self.now,
        )

    async def _send(self, url: str, key: str, masks: Sequence[str]) -> int:
        self.sent.append((url, key, list(masks)))
        if self.error is not None:
            raise DoveadmError(self.error)
        return len(masks)

    def work(self) -> list[str]:
        self.sent.clear()
        asyncio.run(self.server.work())
        return [mask for _, _, masks in self.sent for mask in masks]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "key")


def test_a_kick_is_sent_with_the_key(bench: Bench) -> None:
    bench.server.add(ANNA, repeat=False)
    bench.work()
    assert bench.sent == [("http://dovecot:8080/doveadm/v1", "sesame", [ANNA])]
    assert bench.server.limping() is None
    assert bench.work() == []


def test_a_kick_that_fails_is_sent_again(bench: Bench) -> None:
    bench.server.add(ANNA, repeat=False)
    bench.error = "refused"
    for _ in range(5):
        assert bench.work() == [ANNA]
        bench.now += 1
    assert bench.server.limping() == "away for 5 s, sessions do not end: refused"
    bench.error = None
    assert bench.work() == [ANNA]
    assert bench.server.limping() is None
    assert bench.work() == []


def test_a_key_that_cannot_be_read_loses_no_kick(bench: Bench, tmp_path: Path) -> None:
    bench.server.add(ANNA, repeat=False)
    (tmp_path / "key").chmod(0o604)
    assert bench.work() == []
    assert "accessible to everybody" in (bench.server.limping() or "")
    (tmp_path / "key").chmod(0o600)
    assert bench.work() == [ANNA]


def test_many_kicks_go_in_several_requests(bench: Bench) -> None:
    for number in range(kicks.AT_ONCE + 1):
        bench.server.add(f"b{number}@example.org", repeat=False)
    assert len(bench.work()) == kicks.AT_ONCE
    assert len(bench.work()) == 1


def test_pauses_grow_to_a_bound() -> None:
    pauses = [pause(failures) for failures in range(1, 12)]
    assert pauses[:3] == [0.5, 1, 2]
    assert pauses == sorted(pauses)
    assert max(pauses) == pause(10_000) == 30


def answer(*answers: object) -> bytes:
    return json.dumps(answers).encode()


def test_answers_of_doveadm() -> None:
    numbered = {"0": "a@x", "1": "b@x"}
    # 2.4
    some, none = (["doveadmResponse", [{"count": count}], "0"] for count in "20")
    assert _read(answer(some), {"0": "a@x"}) == 1
    assert _read(answer(none), {"0": "a@x"}) == 0
    # 2.3
    done = ["doveadmResponse", [{"result": "a@x"}], "0"]
    nobody = ["error", {"type": "exitCode", "exitCode": 68}, "1"]
    assert _read(answer(done, nobody), numbered) == 1
    for bad in (
        b"",
        b"{}",
        b"[1]",
        b"[" * 100_000,
        answer(done),
        answer(done, ["error", {"type": "exitCode", "exitCode": 75}, "1"]),
        answer(done, ["error", {"type": "unknownMethod"}, "1"]),
        answer(done, ["error", "x", "1"]),
        answer(done, ["what", {}, "1"]),
    ):
        with pytest.raises(DoveadmError):
            _read(bad, numbered)
