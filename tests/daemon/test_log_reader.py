"""A daemon whose log nobody reads goes on with its work."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost.log_output import Output
from tests.daemon.milters import INSIDE, SIMPLE, Milters, children
from tests.testbed.daemon import gatepost_command
from tests.testbed.dns import DnsServer
from tests.testbed.waiting import wait_until


@pytest.fixture
def dns() -> Iterator[DnsServer]:
    with DnsServer() as server:
        yield server


@pytest.mark.parametrize("what", ["reader is gone", "reader hangs", "closed", "disk full"])
def test_mail_flows_and_nothing_dies(tmp_path: Path, dns: DnsServer, what: str) -> None:
    milters = Milters(tmp_path, dns)
    milters.configure("workers = 2")
    command = f"exec {gatepost_command()} milters --config {milters.config}"
    if what == "closed":
        command += " 0<&- 1>&- 2>&-"
    reader, writer = os.pipe()
    full = os.open("/dev/full", os.O_WRONLY)
    daemon = subprocess.Popen(
        ["/bin/sh", "-c", command],
        stderr=full if what == "disk full" else writer,
        env={**os.environ, "GATEPOST_LOG__FORMAT": "json"},
        start_new_session=True,
    )
    os.close(writer)
    os.close(full)
    try:
        wait_until(milters.ready, "the daemon to be ready")
        if what == "reader is gone":
            os.close(reader)
        for _ in range(300):  # more lines than a pipe holds
            with milters.client(INSIDE) as client:
                assert client.message(SIMPLE).values("DKIM-Signature")
        workers = children(daemon.pid)
        os.kill(daemon.pid, signal.SIGHUP)
        os.kill(workers[0], signal.SIGKILL)
        wait_until(
            lambda: workers[0] not in children(daemon.pid) and milters.ready(), "another worker"
        )
        with milters.client(INSIDE) as client:
            assert client.message(SIMPLE).values("DKIM-Signature")
        daemon.terminate()
        assert daemon.wait(30) == 0
    finally:
        if daemon.poll() is None:
            os.killpg(daemon.pid, signal.SIGKILL)
            daemon.wait()
        if what != "reader is gone":
            os.close(reader)


def test_a_socket_that_nobody_empties_blocks_nobody() -> None:
    """The journal is one."""
    reader, writer = socket.socketpair()
    with reader, writer:
        output = Output(writer.fileno())
        for _ in range(10_000):
            output.write("x" * 999 + "\n")
        assert reader.recv(1000) == b"x" * 999 + b"\n"
