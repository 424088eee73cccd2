"""`gatepost user show` says what a mailbox holds, as far as a doveadm says so."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.accounts_process import AccountsDaemon, people
from tests.daemon.doveadm_server import KEY, DoveadmServer
from tests.testbed.daemon import gatepost_command
from tests.testbed.ports import free_port

ANNA = "anna@example.org"


@pytest.fixture
def servers() -> Iterator[list[DoveadmServer]]:
    """Two of them; the second one has the mailbox."""
    made = [DoveadmServer(), DoveadmServer()]
    made[1].usage[ANNA] = 1536
    for one in made:
        one.start()
    yield made
    for one in made:
        one.close()


def shown(folder: Path, *urls: str) -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    key = folder / "key"
    key.write_text(f"{KEY}\n")
    key.chmod(0o600)
    dovecot = {"doveadm_url": list(urls), "doveadm_key_file": str(key)} if urls else {}
    daemon = AccountsDaemon(folder, {"dovecot": dovecot})
    daemon.change(people)
    command = [
        str(gatepost_command()),
        "user",
        "show",
        ANNA,
        "--json",
        "--config",
        str(daemon.config),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_server_that_has_it_is_believed(tmp_path: Path, servers: list[DoveadmServer]) -> None:
    done = shown(tmp_path, *(one.url for one in servers))
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["usage"] == 1536 * 1024


def test_nobody_who_knows_is_no_error(tmp_path: Path, servers: list[DoveadmServer]) -> None:
    assert json.loads(shown(tmp_path / "without").stdout)["usage"] is None
    done = shown(tmp_path / "empty", servers[0].url)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["usage"] is None
    servers[1].broken = True
    away = f"http://127.0.0.1:{free_port()}"
    done = shown(tmp_path / "broken", away, servers[1].url)
    assert done.returncode == 0
    assert json.loads(done.stdout)["usage"] is None
    first, second = done.stderr.splitlines()
    assert first == f"doveadm at {away}: Connection refused"
    assert second == f"doveadm at {servers[1].url}: it answers 500"
