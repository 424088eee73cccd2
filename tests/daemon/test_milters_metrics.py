"""What the workers of the milter count: together, without a disk, and for longer than they live."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.milters import INSIDE, SIMPLE, Milters
from tests.testbed.disk import fill, seen_by, small_disk
from tests.testbed.dns import DnsServer
from tests.testbed.waiting import wait_until


@pytest.fixture(scope="module")
def dns() -> Iterator[DnsServer]:
    with DnsServer() as server:
        yield server


def sign(milters: Milters, messages: int) -> None:
    """Have that many messages signed and counted.

    Each comes over a connection of its own: any worker may get it.
    """
    before = milters.metric("gatepost_milters_messages_total")
    for _ in range(messages):
        with milters.client(INSIDE) as client:
            assert len(client.message(SIMPLE).values("DKIM-Signature")) == 2
    # a message is counted when its answer is on the way
    wait_until(
        lambda: milters.metric("gatepost_milters_messages_total") >= before + messages,
        "all to be counted",
    )


def replace_workers(milters: Milters) -> None:
    """Kill them, and wait for others in their place."""
    before = milters.workers()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait_until(
        lambda: not set(milters.workers()) & set(before) and milters.ready(), "other workers"
    )


def shared_files(pid: int) -> set[str]:
    """The files that a process has mapped so that others see what it writes (proc(5), maps).

    Not what has no file: memory of processes, and rings of the event loop with the kernel.
    """
    fields = (line.split(None, 5) for line in Path(f"/proc/{pid}/maps").read_text().splitlines())
    mapped = {entry[5] for entry in fields if {"w", "s"} <= set(entry[1]) and len(entry) > 5}
    return {name for name in mapped if not name.startswith(("/dev/zero ", "anon_inode:"))}


@pytest.mark.usefixtures("mounts")
def test_a_full_disk_for_temporary_files_harms_nobody(tmp_path: Path, dns: DnsServer) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    with Milters(
        tmp_path,
        dns,
        env={"TMPDIR": str(temporary)},
        within=small_disk(temporary, 64 << 10),
    ) as milters:
        fill(seen_by(milters.process.pid, temporary))
        replace_workers(milters)
        before = milters.workers()
        sign(milters, 8)
        assert milters.workers() == before
        assert milters.metric("gatepost_milters_messages_total") == 8


def test_no_worker_writes_its_metrics_to_a_file(tmp_path: Path, dns: DnsServer) -> None:
    with Milters(tmp_path, dns) as milters:
        sign(milters, 1)
        for pid in milters.workers():
            assert not shared_files(pid)


def test_what_a_dead_worker_counted_stays(tmp_path: Path, dns: DnsServer) -> None:
    with Milters(tmp_path, dns) as milters:
        sign(milters, 8)
        replace_workers(milters)
        assert milters.metric("gatepost_milters_messages_total") == 8
        sign(milters, 8)
        assert milters.metric("gatepost_milters_messages_total") == 16
        assert milters.metric("gatepost_milters_decision_seconds_count") == 16
        assert milters.metric("gatepost_milters_decision_seconds_bucket", le="+Inf") == 16
        assert milters.metric("gatepost_milters_keys", state="signing") == 2
        assert milters.metric("gatepost_config_generation") == 1
