"""``gatepost accounts`` while its database is gone, stopped, paused or killed, under load."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from accounts.store.migrate import upgrade
from accounts.store.settings import DatabaseSettings
from tests.daemon.accounts_process import AccountsDaemon, people
from tests.testbed.postgres import PostgresServer
from tests.testbed.waiting import wait_until

ANNA = "anna@example.org"
KNOWN = [("mailboxes", ANNA), ("aliases", "info+x@example.org"), ("domains", "example.net")]


class File:
    """A database of SQLite, whose file is moved away."""

    url = ""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "accounts.db"

    def away(self) -> None:
        self._file.rename(self._file.with_suffix(".away"))

    def back(self) -> None:
        self._file.with_suffix(".away").rename(self._file)


class Server:
    """A server of PostgreSQL; `how` is the way that it goes away."""

    def __init__(self, server: PostgresServer, how: str) -> None:
        self._server = server
        self._how = how
        self.url = server.new_database()
        upgrade(DatabaseSettings(url=self.url))

    def away(self) -> None:
        {"stop": self._server.stop, "kill": self._server.kill, "pause": self._server.pause}[
            self._how
        ]()

    def back(self) -> None:
        if self._how == "pause":
            self._server.resume()
        else:
            self._server.start()


Database = File | Server


@pytest.fixture(params=["file", "stop", "kill", "pause"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "file":
        yield File(tmp_path)
        return
    with PostgresServer() as server:
        yield Server(server, request.param)


@pytest.fixture
def gate(tmp_path: Path, database: Database) -> Iterator[AccountsDaemon]:
    daemon = AccountsDaemon(tmp_path, url=database.url)
    daemon.change(people)
    with daemon:
        yield daemon


class Load:
    """Threads that ask the same again and again, and count the answers."""

    def __init__(self, gate: AccountsDaemon) -> None:
        self.answers: Counter[tuple[str, str]] = Counter()
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._ask, args=(gate, *question)) for question in KNOWN
        ]
        for thread in self._threads:
            thread.start()

    def _ask(self, gate: AccountsDaemon, table: str, key: str) -> None:
        with gate.connect() as client:
            while not self._end.is_set():
                said = client.ask(table, key).partition(" ")[0]
                with self._lock:
                    self.answers[key, said] += 1
                time.sleep(0.001)

    def stop(self) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()


def ready(gate: AccountsDaemon) -> str:
    status, text = gate.probe()
    return text if status == 200 else ""


def test_known_answers_stay_and_unknown_ones_are_temporary(
    gate: AccountsDaemon, database: Database
) -> None:
    load = Load(gate)
    try:
        wait_until(lambda: len(load.answers) == len(KNOWN), "each to be asked once")
        assert gate.log_in(ANNA).startswith("OK")
        database.away()
        told = wait_until(
            lambda: text if "away" in (text := ready(gate)) else "", "the probe to say so"
        )
        assert told.startswith("ok\ndatabase: away for ")
        assert "known answers come from the cache" in told
        assert gate.daemon.metric("gatepost_accounts_database_up") == 0
        for table, key in KNOWN:
            assert gate.ask(table, key).startswith("OK ")
        assert gate.ask("mailboxes", "never-asked@example.org").startswith("TEMP ")
        assert gate.ask("domains", "never-asked.example").startswith("TEMP ")
        with gate.connect("mailboxes_listen") as client:
            client.send(b"get never-asked@example.org\n")
            assert client.read_line().startswith("400 ")
        for password in ("right or wrong", "battery"):
            assert gate.log_in(ANNA, password) == "closed"
        assert gate.daemon.log_entries(event="login")[-1]["reason"] == "database-unavailable"
        assert gate.daemon.metric("gatepost_accounts_stale_lookups_total", answer="found") > 0
        database.back()
        wait_until(lambda: ready(gate) == "ok\n", "the database to be back")
        assert gate.ask("mailboxes", "never-asked@example.org") == "NOTFOUND "
        wait_until(lambda: gate.log_in(ANNA).startswith("OK"), "logins to be back")
    finally:
        load.stop()
    assert {said for _, said in load.answers} == {"OK"}
    assert gate.daemon.metric("gatepost_accounts_database_up") == 1
    assert len(gate.daemon.log_entries(event="database back")) >= 1
    assert not gate.daemon.log_entries(level="error")


def test_the_use_of_logins_waits_for_the_database(gate: AccountsDaemon, database: Database) -> None:
    """A login whose time cannot be written is right all the same, and its time is not lost."""
    assert gate.log_in(ANNA).startswith("OK")
    database.away()
    wait_until(lambda: gate.daemon.metric("gatepost_accounts_database_up") == 0, "it to be away")
    database.back()
    last: Callable[[], bool] = lambda: bool(  # noqa: E731
        gate.read(
            lambda connection: connection.exec_driver_sql(
                f"SELECT last_login FROM mailbox WHERE address = '{ANNA}'"  # noqa: S608
            ).scalar()
        )
    )
    wait_until(last, "the time of the login")


def test_without_a_cache_it_is_not_ready(tmp_path: Path) -> None:
    database = File(tmp_path)
    with AccountsDaemon(tmp_path) as gate:
        gate.change(people)
        database.away()
        text = wait_until(
            lambda: said[1] if (said := gate.probe())[0] == 503 else "", "the probe to fail"
        )
        assert text.startswith("database: away for ")
        assert "nothing is known" in text
        assert gate.ask("mailboxes", ANNA).startswith("TEMP ")
        database.back()
        wait_until(lambda: ready(gate) == "ok\n", "the database to be back")


def test_it_starts_without_a_server_and_begins_when_there_is_one(tmp_path: Path) -> None:
    with PostgresServer() as server:
        url = server.new_database()
        gate = AccountsDaemon(tmp_path, url=url)
        gate.change(people)
        server.stop()
        gate.daemon.launch()
        try:
            gate.daemon.wait_for_log(event="ready")
            wait_until(lambda: gate.probe()[0] == 503, "the probe to say that nothing is known")
            assert gate.ask("mailboxes", ANNA).startswith("TEMP ")
            server.start()
            wait_until(lambda: ready(gate) == "ok\n", "the database to be there")
            assert gate.ask("mailboxes", ANNA) == f"OK {ANNA}"
            assert gate.log_in(ANNA).startswith("OK")
        finally:
            gate.close()
