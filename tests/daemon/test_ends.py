"""Daemons that cannot start, and daemons of which a part ends: what they leave behind."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from policyd.bounds import Bounds
from policyd.connection import PolicyConnection
from policyd.server import PolicyServer
from tests.daemon.milters import INSIDE, SIMPLE, Milters
from tests.daemon.policyd_process import PolicyDaemon
from tests.testbed.dns import DnsServer
from tests.testbed.toml import value_text

BROKEN = "RuntimeError('a mistake of ours')"


@pytest.fixture(scope="module")
def dns() -> Iterator[DnsServer]:
    with DnsServer() as server:
        yield server


def run_patched(patch: str, word: str, config: Path) -> subprocess.CompletedProcess[str]:
    """The command, after the statements of `patch`, until it ends by itself."""
    program = f"{patch}\nfrom gatepost.cli.__main__ import main\nmain()\n"
    return subprocess.run(
        [sys.executable, "-c", program, word, "--config", str(config)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("owner", "task"),
    [
        ("policyd.server.PolicyServer", "_look_forever"),
        ("policyd.stores.guard.GuardedStore", "_tick"),
        ("policyd.service._Service", "_sweep"),
    ],
)
@pytest.mark.parametrize("ending", [f"raise {BROKEN}", "return"])
def test_a_task_that_ends_ends_the_server_loudly(
    tmp_path: Path, owner: str, task: str, ending: str
) -> None:
    policyd = PolicyDaemon(tmp_path, {"drain_grace": "1s"}, "127.0.0.1:9")
    module, _, name = owner.rpartition(".")
    patch = (
        f"import {module}\nasync def {task}(self):\n    {ending}\n{module}.{name}.{task} = {task}"
    )
    done = run_patched(patch, "policyd", policyd.config)
    assert done.returncode == 1
    assert "a necessary task has ended" in done.stderr
    assert f"gatepost: the task {task.strip('_')} has ended" in done.stderr
    assert ("a mistake of ours" in done.stderr) == ending.startswith("raise")
    assert not policyd.socket.exists()


def test_a_connection_that_cannot_be_looked_at_costs_no_other_its_bounds() -> None:
    class Looked(PolicyConnection):
        def __init__(self, server: PolicyServer, error: Exception | None) -> None:
            super().__init__(server)
            self.error = error
            self.looks = 0
            self.aborted = False

        def look_busy(self, now: float, bounds: Bounds) -> None:
            self.looks += 1
            if self.error is not None:
                raise self.error

        def abort(self) -> None:
            self.aborted = True

    async def play() -> tuple[Looked, Looked]:
        server = PolicyServer(None, lambda: Bounds(1, 1, 1, 1, 1), None)  # type: ignore[arg-type]
        bad, good = Looked(server, RuntimeError("a mistake of ours")), Looked(server, None)
        server.busy |= {bad, good}
        await server.start([])
        while min(bad.looks, good.looks) < 2:
            assert not server.tasks[0].done()
            await asyncio.sleep(0.01)
        await server.drain(0)
        return bad, good

    with capture_logs() as lines:
        bad, good = asyncio.run(asyncio.wait_for(play(), 30))
    assert bad.aborted
    assert not good.aborted
    assert lines[0]["event"] == "check of a connection failed, connection closed"


LATE = {
    "milters": f"import milters.service\ndef late(*_, **__):\n    raise {BROKEN}\n"
    "milters.service.run_prefork = late",
    "policyd": f"import policyd.service\ndef late(*_, **__):\n    raise {BROKEN}\n"
    "policyd.service.run_single = late",
}


@pytest.mark.parametrize("word", LATE)
def test_a_start_that_fails_late_leaves_no_socket(
    tmp_path: Path, dns: DnsServer, word: str
) -> None:
    if word == "milters":
        config, socket = Milters(tmp_path, dns).config, tmp_path / "milter"
    else:
        policyd = PolicyDaemon(tmp_path, {}, dns.address)
        config, socket = policyd.config, policyd.socket
    done = run_patched(LATE[word], word, config)
    assert done.returncode == 1
    assert "a mistake of ours" in done.stderr
    assert not socket.exists()


def test_a_start_on_a_socket_in_use_removes_its_own_alone(tmp_path: Path, dns: DnsServer) -> None:
    own = tmp_path / "own"
    with Milters(tmp_path, dns) as milters:
        running = milters.address
        second = tmp_path / "second.toml"
        text = milters.config.read_text().replace(
            f'listen = "{running}"', f'listen = ["unix:{own}", "{running}"]'
        )
        second.write_text(text)
        done = run_patched("", "milters", second)
        assert "another process listens there" in done.stderr
        assert not own.exists()
        with milters.client(INSIDE) as client:
            assert client.message(SIMPLE).code == 250
    with PolicyDaemon(tmp_path / "policyd", {}, dns.address) as policyd:
        second = tmp_path / "policyd.toml"
        text = policyd.config.read_text().replace(
            f"listen = {value_text(f'unix:{policyd.socket}')}",
            f"listen = {value_text([f'unix:{own}', f'unix:{policyd.socket}'])}",
        )
        assert str(own) in text
        second.write_text(text)
        done = run_patched("", "policyd", second)
        assert "another process listens there" in done.stderr
        assert not own.exists()
        assert policyd.ask() != ""
