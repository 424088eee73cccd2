"""``gatepost accounts --migrate``, as containers start it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from accounts.store.migrate import current
from accounts.store.revisions import REVISIONS
from tests.daemon import accounts_postgres
from tests.daemon.accounts_process import AccountsDaemon
from tests.testbed.daemon import gatepost_command
from tests.testbed.postgres import PostgresServer
from tests.testbed.waiting import wait_until


@contextmanager
def migrating(gate: AccountsDaemon, folder: Path) -> Iterator[Path]:
    """Start the service in a working directory, and stop it; yields its log."""
    log = gate.config.parent / "migrating.log"
    command = [str(gatepost_command()), "accounts", "--config", str(gate.config), "--migrate"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output)
    try:
        yield log
        assert process.poll() is None, log.read_text()
    finally:
        process.terminate()
        assert process.wait(30) == 0


def is_ready(log: Path) -> bool:
    return "ready" in log.read_text()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_of_several_at_once_one_makes_the_tables(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    url = f"sqlite:///{tmp_path}/shared.db"
    if kind == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        url = accounts_postgres.make(server, migrated=False).url
    gates = [AccountsDaemon(tmp_path / str(n), url=url, migrated=False) for n in range(3)]
    with (
        migrating(gates[0], tmp_path) as first,
        migrating(gates[1], tmp_path) as second,
        migrating(gates[2], tmp_path) as third,
    ):
        logs = (first, second, third)
        wait_until(lambda: all(is_ready(log) for log in logs), "all to serve", deadline=60)
    assert current(gates[0].database) == REVISIONS[-1]
    said = [log.read_text() for log in logs]
    assert sum(f"from revision none to {REVISIONS[-1]}" in text for text in said) == 1, said
    assert sum("nothing to do" in text for text in said) == len(gates) - 1
    assert not any("Traceback" in text for text in said)


def test_nothing_is_run_from_the_working_directory(tmp_path: Path) -> None:
    """Python begins to look for modules where it was started, such as a folder of somebody else."""
    there = tmp_path / "there"
    decoy = "import pathlib; (pathlib.Path(__file__).parents[1] / 'ran').touch()\n"
    (there / "gatepost").mkdir(parents=True)
    (there / "gatepost" / "__init__.py").write_text(decoy)
    gate = AccountsDaemon(tmp_path / "gate", url=f"sqlite:///{tmp_path}/one.db", migrated=False)
    with migrating(gate, there) as log:
        wait_until(lambda: is_ready(log), "it to serve", check=lambda: check_not_run(there))
    check_not_run(there)


def check_not_run(folder: Path) -> None:
    assert not (folder / "ran").exists()
