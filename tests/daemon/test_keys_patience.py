"""`gatepost keys check` where DNS is silent: it ends soon, and shows that it is at work."""

from __future__ import annotations

import os
import pty
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from click.testing import CliRunner

from milters.cli.keys import keys
from milters.keys.servers import TIMEOUT, time_for
from tests.testbed.dns import DnsServer

SILENT = [f"127.0.0.{number}" for number in range(11, 17)]


@pytest.fixture
def silent() -> Iterator[int]:
    """A port at which the addresses `SILENT` take every question and answer none."""
    with ExitStack() as stack:
        port = 0
        for address in SILENT:
            one = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            one.bind((address, port))
            port = one.getsockname()[1]
        yield port


def prepare(directory: Path, resolver: str, domains: int = 1) -> list[str]:
    config = directory / "gatepost.toml"
    folder = directory / "keys"
    config.write_text(
        f'[dns]\nnameservers = ["{resolver}"]\ntimeout = "1s"\n[milters]\nkeys = "{folder}"\n'
    )
    for number in range(domains):
        words = ["new", f"d{number}.example", "--algorithm", "ed25519", "--config", str(config)]
        assert CliRunner().invoke(keys, words).exit_code == 0
    return ["--config", str(config)]


def test_a_dead_resolver_is_waited_for_once_and_not_for_each_key(
    tmp_path: Path, silent: int
) -> None:
    words = prepare(tmp_path, f"{SILENT[0]}:{silent}", domains=16)
    begun = time.monotonic()
    found = CliRunner().invoke(keys, ["check", *words])
    assert time.monotonic() - begun < 12
    assert found.exit_code == 1
    assert found.stdout.count("DNS does not answer for the NS records") == 16


def test_all_name_servers_are_asked_at_once(tmp_path: Path, silent: int) -> None:
    with DnsServer() as resolver:
        hosts = [f"ns{number}.d0.example" for number in range(len(SILENT))]
        resolver.add("d0.example", "NS", *hosts)
        for host, address in zip(hosts, SILENT, strict=True):
            resolver.add(host, "A", address)
        words = prepare(tmp_path, resolver.address)
        begun = time.monotonic()
        found = CliRunner().invoke(keys, ["check", "d0.example", *words, "--port", str(silent)])
        assert time.monotonic() - begun < 2 * TIMEOUT
    assert found.exit_code == 1
    assert found.stdout.count(f"does not answer within {TIMEOUT:g} s") == len(SILENT)


def test_the_time_for_all_is_bounded(
    tmp_path: Path, silent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("milters.keys.servers.PATIENCE", 0.5)
    assert time_for(1) < 1
    words = prepare(tmp_path, f"{SILENT[0]}:{silent}", domains=40)
    begun = time.monotonic()
    found = CliRunner().invoke(keys, ["check", *words])
    assert found.exit_code == 1
    assert time.monotonic() - begun < time_for(40)


def test_a_terminal_shows_how_far_it_is(tmp_path: Path, silent: int) -> None:
    words = prepare(tmp_path, f"{SILENT[0]}:{silent}", domains=3)
    terminal, inner = pty.openpty()
    shown = b""
    with subprocess.Popen(
        [sys.executable, "-m", "gatepost.cli", "keys", "check", *words],
        stdout=subprocess.PIPE,
        stderr=inner,
    ) as process:
        os.close(inner)
        while select.select([terminal], [], [], 30)[0]:
            try:
                shown += os.read(terminal, 4096)
            except OSError:  # the command has ended
                break
        assert process.stdout is not None
        out = process.stdout.read().decode()
    os.close(terminal)
    lines = shown.decode().split("\r")
    assert any(line.startswith("0 of 3 keys looked up after ") for line in lines), lines
    assert max(map(len, lines)) < 80
    assert lines[-1] == ""
    assert lines[-2].isspace()
    assert out.count("DNS does not answer") == 3
    assert "looked up" not in out
