"""``gatepost accounts migrate``, ``backup`` and ``restore``, with both databases."""

from __future__ import annotations

import contextlib
import io
import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from accounts.directory import domains, mailboxes, web_sessions
from accounts.store.errors import NoSuchObject
from accounts.store.revisions import REVISIONS, VERSION_TABLE
from accounts.store.transaction import Write
from gatepost.cli.__main__ import main
from tests.daemon import accounts_postgres
from tests.daemon.accounts_process import AccountsDaemon, people, quick_hash
from tests.testbed.daemon import gatepost_command
from tests.testbed.postgres import PostgresServer, binaries
from tests.testbed.waiting import wait_until

ANNA, LATER = "anna@example.org", "later@example.org"


@pytest.fixture(params=["sqlite", "postgres"])
def gate(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AccountsDaemon:
    """A daemon that does not run, with a few people in its database."""
    url = ""
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        url = server.new_database()  # its tables are dropped
        monkeypatch.setenv("PATH", f"{binaries()}:/usr/bin:/bin")
    daemon = AccountsDaemon(tmp_path, url=url)
    daemon.change(people)
    return daemon


def run(gate: AccountsDaemon, *words: str | Path, status: int = 0, in_process: bool = True) -> str:
    """Run a command of `gatepost accounts`; return what it writes to both streams.

    In this process it takes a tenth of the time.
    """
    line = ["accounts", *map(str, (words[0], "--config", gate.config, *words[1:]))]
    code, out, err = _call(line) if in_process else _start(line)
    assert "Traceback" not in err, err
    assert code == status, out + err
    return out + err


def _start(line: list[str]) -> tuple[int, str, str]:
    done = subprocess.run(
        [gatepost_command(), *line], capture_output=True, text=True, check=False, timeout=100
    )
    return done.returncode, done.stdout, done.stderr


def _call(line: list[str]) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        Path(os.devnull).open() as nothing,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.setattr(sys, "argv", ["gatepost", *line])
        patch.setattr(sys, "stdin", nothing)
        with pytest.raises(SystemExit) as ended:
            main()
    assert isinstance(ended.value.code, int)
    return ended.value.code, out.getvalue(), err.getvalue()


def has(gate: AccountsDaemon, address: str) -> bool:
    try:
        gate.read(lambda connection: mailboxes.get(connection, address))
    except NoSuchObject:
        return False
    return True


def test_a_backup_while_the_service_runs_and_its_restore(
    gate: AccountsDaemon, tmp_path: Path
) -> None:
    file = tmp_path / "backup"
    with gate:
        before = gate.ask("aliases", "info@example.org")
        stop = threading.Event()

        def write() -> None:
            number = 0
            while not stop.is_set():
                number += 1
                gate.change(lambda write, n=number: mailboxes.add(write, f"u{n}@example.org"))  # type: ignore[misc]

        writer = threading.Thread(target=write)
        writer.start()
        try:
            said = run(gate, "backup", file, in_process=False)
        finally:
            stop.set()
            writer.join()
        assert "checked" in said
        assert file.stat().st_mode & 0o777 == 0o600
        gate.change(lambda write: mailboxes.add(write, LATER))
        gate.change(lambda write: mailboxes.remove(write, ANNA))
        assert gate.ask("mailboxes", ANNA) == "NOTFOUND "
        assert "Continue?" in run(gate, "restore", file, status=1)
        said = run(gate, "restore", "--yes", file, in_process=False)
        assert f"revision {REVISIONS[-1]}" in said
        wait_until(lambda: gate.ask("mailboxes", ANNA) == f"OK {ANNA}", "the data of before")
        assert gate.ask("mailboxes", LATER) == "NOTFOUND "
        assert gate.ask("aliases", "info@example.org") == before
        assert gate.log_in(ANNA).startswith("OK")
        gate.change(lambda write: mailboxes.add(write, LATER))
        assert gate.ask("mailboxes", LATER) == f"OK {LATER}"
    assert [path.name for path in tmp_path.glob("backup*")] == ["backup"]


def test_no_session_of_the_pages_comes_back(gate: AccountsDaemon, tmp_path: Path) -> None:
    """One that was ended since, perhaps because it was stolen, stays ended."""
    limits = web_sessions.SessionLimits(10**9, 10**9)

    def begin(write: Write) -> str:
        return web_sessions.begin(write.connection, write.now, None, "", mailbox=ANNA)

    secret = gate.change(begin)
    run(gate, "backup", tmp_path / "copy")
    found = gate.read(lambda c: web_sessions.find_by_secret(c, secret, 1, limits))
    assert found is not None
    assert found.mailbox == ANNA
    run(gate, "restore", "--yes", tmp_path / "copy")
    assert gate.read(lambda c: web_sessions.find_by_secret(c, secret, 1, limits)) is None


def test_a_restored_password_is_not_one_of_many_wrong_ones(
    gate: AccountsDaemon, tmp_path: Path
) -> None:
    """The log of the backup is shorter than that of the data it replaces."""
    file = tmp_path / "backup"
    run(gate, "backup", file)
    gate.write({"attempts": {"hold": 0}})
    with gate:
        gate.change(lambda w: mailboxes.change(w, ANNA, None, password=quick_hash("another one")))
        for number in range(20):
            gate.change(lambda w, n=number: domains.add(w, f"d{n}.example"))  # type: ignore[misc]
        wait_until(lambda: gate.log_in(ANNA, "another one").startswith("OK"), "the new password")
        for number in range(5):
            assert gate.log_in(ANNA, f"guess {number}", "198.51.100.7").startswith("FAIL")
        assert gate.log_in(ANNA, client="198.51.100.7") == "closed"  # it has to wait
        run(gate, "restore", "--yes", file)
        wait_until(lambda: gate.log_in(ANNA, client="198.51.100.7").startswith("OK"), "the login")


def test_a_file_that_is_there_is_not_replaced_by_itself(
    gate: AccountsDaemon, tmp_path: Path
) -> None:
    file = tmp_path / "backup"
    file.write_text("precious")
    assert "exists: name another" in run(gate, "backup", file, status=1)
    assert file.read_text() == "precious"
    run(gate, "backup", "--yes", file)
    assert file.stat().st_size > 1000


def test_what_is_no_backup_changes_nothing(gate: AccountsDaemon, tmp_path: Path) -> None:
    file = tmp_path / "backup"
    run(gate, "backup", file)
    whole = file.read_bytes()
    empty = tmp_path / "empty.db"
    sqlite3.connect(empty).execute("CREATE TABLE a (b)").connection.close()
    bad = {
        "text": b"hello " * 1000,
        "nothing": b"",
        "half": whole[: len(whole) // 2],
        "empty": empty.read_bytes(),
    }
    for name, octets in bad.items():
        path = tmp_path / name
        path.write_bytes(octets)
        said = run(gate, "restore", "--yes", path, status=1)
        assert said.startswith("gatepost: "), name
        assert said.count("\n") == 1, name
        assert has(gate, ANNA), name


def test_a_backup_of_a_later_version_is_refused(gate: AccountsDaemon, tmp_path: Path) -> None:
    file = tmp_path / "backup"
    change = f"UPDATE {VERSION_TABLE} SET version_num = "  # noqa: S608
    gate.change(lambda write: write.connection.exec_driver_sql(f"{change}'9999'"))
    said = run(gate, "backup", file, status=1)
    assert "later version of Gatepost (revision '9999'" in said
    assert not file.exists()


def test_migrate_up_and_down_and_up(gate: AccountsDaemon) -> None:
    assert "nothing to do" in run(gate, "migrate")
    assert "Continue?" in run(gate, "migrate", "--to", "base", status=1)
    assert has(gate, ANNA)
    assert "there is no revision" in run(gate, "migrate", "--yes", "--to", "1234", status=1)
    assert "to base" in run(gate, "migrate", "--yes", "--to", "base")
    assert "`gatepost accounts migrate`" in run(gate, "backup", gate.config.parent / "x", status=1)
    assert f"to {REVISIONS[-1]}" in run(gate, "migrate")
    assert not has(gate, ANNA)


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    gate = AccountsDaemon(tmp_path, url=f"sqlite:///{tmp_path}/no/such/accounts.db", migrated=False)
    assert f"there is no folder {tmp_path}/no/such" in run(gate, "migrate", status=1)


def test_without_the_tools_of_postgresql_it_says_so(
    tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = AccountsDaemon(tmp_path, url=accounts_postgres.make(postgres).url)
    monkeypatch.setenv("PATH", str(tmp_path))
    said = run(gate, "backup", tmp_path / "backup", status=1)
    assert said == "gatepost: there is no pg_dump in $PATH: apt-get install postgresql-client\n"
