"""The sink and the sender of tests/cluster, with each other and with a server that refuses."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.inside.sender import message, sender_domain
from tests.cluster.ledger import Ledger
from tests.testbed.ports import free_ports
from tests.testbed.process import Process
from tests.testbed.waiting import DEADLINE

INSIDE = Path(__file__).resolve().parents[1] / "cluster" / "inside"


@pytest.fixture
def port() -> int:
    return free_ports(1)[0]


@pytest.fixture
def arrived(port: int, tmp_path: Path) -> Iterator[Path]:
    file = tmp_path / "arrived"
    argv: list[str | Path] = [sys.executable, INSIDE / "sink.py", str(port), file]
    process = Process(argv, tmp_path / "sink.log")
    process.wait_until(file.exists, "the sink to start")
    yield file
    process.kill()


def send(port: int, count: int, seconds: str = "60") -> subprocess.CompletedProcess[str]:
    words = ["127.0.0.1", str(port), "anna@example.org", "first", str(count), seconds]
    return subprocess.run(
        [sys.executable, INSIDE / "sender.py", *words],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )


def test_what_is_accepted_is_in_the_file(port: int, arrived: Path) -> None:
    done = send(port, 3)
    assert done.returncode == 0, done.stderr
    books = Ledger()
    books.add_output(done.stdout)
    assert books.accepted == {"first-1", "first-2", "first-3"}
    assert arrived.read_text().splitlines() == ["first-1", "first-2", "first-3"]


def test_nobody_there_is_tried_until_the_time_is_over(port: int) -> None:
    done = send(port, 1, "2")
    assert done.returncode == 1
    assert done.stdout == "deferred first-1 0\n"


def test_the_domain_of_the_sender_is_in_the_dns_of_the_cluster() -> None:
    resolv = "search mail.svc.cluster.test svc.cluster.test cluster.test\nnameserver 10.0.0.10\n"
    assert sender_domain(resolv) == "sink.mail.svc.cluster.test"
    assert sender_domain("nameserver 10.0.0.10\n") == "example.net"


def test_a_message_has_the_fields_that_it_must_have() -> None:
    text = message("first-1", "sender@sink.test", "anna@example.org").decode()
    for field in ("From: sender@sink.test", "Date: ", "Message-ID: <first-1@sink.test>"):
        assert f"\r\n{field}" in f"\r\n{text}"
