"""End of Dovecot sessions after the loss of a right, with a stand-in for doveadm."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from accounts.directory import app_passwords, domains, mailboxes, moves
from accounts.dovecot.losses import WAIT
from accounts.dovecot.waiting import AGAIN
from accounts.store.transaction import Write
from tests.daemon.accounts_dovecot import DovecotDaemon
from tests.daemon.accounts_process import people, quick_hash
from tests.daemon.doveadm_server import KEY, DoveadmServer
from tests.testbed.daemon import gatepost_command
from tests.testbed.postgres import PostgresServer, binaries
from tests.testbed.waiting import wait_until

ANNA = "anna@example.org"
SOON = 2.0
"""Seconds from a change to its kick, as docs/accounts.md has it."""


@pytest.fixture
def doveadm() -> Iterator[DoveadmServer]:
    with DoveadmServer() as server:
        server.start()
        yield server


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., DovecotDaemon]]:
    made: list[DovecotDaemon] = []

    def make_one(*servers: DoveadmServer, url: str = "") -> DovecotDaemon:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        key = folder / "key"
        key.write_text(KEY + "\n")
        key.chmod(0o600)
        urls = [server.url for server in servers]
        dovecot: dict[str, Any] = {"doveadm_url": urls, "doveadm_key_file": str(key)}
        daemon = DovecotDaemon(folder, url=url, dovecot=dovecot)
        made.append(daemon)
        return daemon

    yield make_one
    for daemon in made:
        daemon.close()


def check_delays(delays: Sequence[float]) -> None:
    """Changes one after another were heard of, and not found by the look of every ten seconds.

    A busy machine may delay one or the other. The first may be made just before such a look; each
    other one follows a look, and would wait almost until the next.
    """
    assert max(delays) < WAIT - SOON
    assert min(delays[1:]) < SOON


def begin(gate: DovecotDaemon) -> None:
    gate.change(people)
    gate.change(
        lambda w: app_passwords.add(w, "bob@example.org", "phone", password=quick_hash("x y z"))
    )
    gate.daemon.start()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_another_process_takes_a_right(
    make: Callable[..., DovecotDaemon],
    doveadm: DoveadmServer,
    postgres: PostgresServer,
    kind: str,
) -> None:
    doveadm.version = "2.4" if kind == "postgres" else "2.3"
    gate = make(doveadm, url=postgres.new_database() if kind == "postgres" else "")
    begin(gate)
    doveadm.sessions.add(ANNA)
    delays: list[float] = []
    for work, mask in (
        (lambda w: mailboxes.change(w, ANNA, None, enabled=False), ANNA),
        (lambda w: app_passwords.remove(w, "bob@example.org", "phone"), "bob@example.org"),
        (lambda w: mailboxes.remove(w, "off@example.org"), "off@example.org"),
        (lambda w: domains.change(w, "example.org", None, enabled=False), "*@example.org"),
    ):
        gate.change(work)
        changed = time.monotonic()
        delays.append(doveadm.wait_for(mask).at - changed)
    check_delays(delays)
    metric = gate.daemon.metric
    wait_until(lambda: metric("gatepost_accounts_kicks_total", result="nobody") >= 3, "the metrics")
    assert metric("gatepost_accounts_kicks_total", result="ended") >= 1
    assert metric("gatepost_accounts_doveadm_up") == 1
    line = gate.daemon.wait_for_log(event="sessions ended", users=[ANNA])
    assert line["of"] == 1
    # somebody may have been on the way in
    wait_until(lambda: doveadm.masks.count(ANNA) == 2, "the second kick")
    first, second = [kick.at for kick in doveadm.kicks if kick.mask == ANNA]
    assert second - first > AGAIN - 1
    assert gate.verify(ANNA).word == "disabled"
    assert not gate.daemon.log_entries(level="error")


def test_what_takes_no_right_kicks_nobody(
    make: Callable[..., DovecotDaemon], doveadm: DoveadmServer
) -> None:
    gate = make(doveadm)
    begin(gate)
    gate.change(lambda w: mailboxes.change(w, ANNA, None, display_name="Anna"))
    gate.change(lambda w: mailboxes.change(w, "off@example.org", None, enabled=True))
    gate.change(lambda w: mailboxes.change(w, "bob@example.org", None, may_login=False))
    doveadm.wait_for("bob@example.org")
    assert set(doveadm.masks) == {"bob@example.org"}


def test_doveadm_is_away_and_back(
    make: Callable[..., DovecotDaemon], doveadm: DoveadmServer
) -> None:
    gate = make(doveadm)
    begin(gate)
    doveadm.close()
    gate.change(lambda w: mailboxes.change(w, ANNA, None, enabled=False))
    gate.change(lambda w: mailboxes.change(w, "bob@example.org", None, enabled=False))
    gate.daemon.wait_for_log(event="sessions not ended")
    wait_until(
        lambda: gate.daemon.metric("gatepost_accounts_kicks_total", result="failed") >= 3,
        "several attempts",
    )
    assert gate.daemon.metric("gatepost_accounts_doveadm_up") == 0
    assert gate.daemon.metric("gatepost_accounts_kicks_waiting") >= 2
    status, text = gate.probe()
    assert status == 200
    assert "away for" in text
    assert "sessions do not end" in text
    # it works meanwhile
    assert gate.verify(ANNA).word == "disabled"
    doveadm.broken = True
    doveadm.start()
    wait_until(lambda: doveadm.refused, "an attempt that is answered")
    doveadm.broken = False
    for user in (ANNA, "bob@example.org"):
        doveadm.wait_for(user)
    gate.daemon.wait_for_log(event="doveadm back")
    assert gate.probe() == (200, "ok\n")
    assert gate.daemon.metric("gatepost_accounts_doveadm_up") == 1


def test_a_server_that_is_away_does_not_hold_up_another(
    make: Callable[..., DovecotDaemon], doveadm: DoveadmServer
) -> None:
    with DoveadmServer() as other:
        gate = make(other, doveadm)
        begin(gate)
        delays: list[float] = []
        for user in (ANNA, "bob@example.org", "off@example.org"):
            gate.change(lambda w, user=user: mailboxes.remove(w, user))  # type: ignore[misc]
            changed = time.monotonic()
            delays.append(doveadm.wait_for(user).at - changed)
        check_delays(delays)
        other.start()
        other.wait_for(ANNA)


def test_a_key_is_corrected_without_a_restart(
    make: Callable[..., DovecotDaemon], doveadm: DoveadmServer
) -> None:
    gate = make(doveadm)
    begin(gate)
    doveadm.key = "another one"
    gate.change(lambda w: mailboxes.change(w, ANNA, None, enabled=False))
    line = gate.daemon.wait_for_log(event="sessions not ended")
    assert line["error"] == "it refuses the key (401)"
    assert doveadm.kicks == []
    Path(gate.dovecot["doveadm_key_file"]).write_text("another one\n")
    doveadm.wait_for(ANNA)
    assert KEY not in gate.daemon.log.read_text()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_kick_survives_the_process_that_owes_it(
    make: Callable[..., DovecotDaemon],
    doveadm: DoveadmServer,
    postgres: PostgresServer,
    kind: str,
) -> None:
    gate = make(doveadm, url=postgres.new_database() if kind == "postgres" else "")
    begin(gate)
    doveadm.close()
    gate.change(lambda w: mailboxes.change(w, ANNA, None, enabled=False))
    gate.daemon.wait_for_log(event="sessions not ended")
    gate.daemon.kill()
    # one that nobody saw
    gate.change(lambda w: mailboxes.change(w, "bob@example.org", None, password=quick_hash("new")))
    doveadm.start()
    gate.daemon.start()
    for user in (ANNA, "bob@example.org"):
        doveadm.wait_for(user)


def test_two_processes_on_one_server(
    make: Callable[..., DovecotDaemon], doveadm: DoveadmServer, postgres: PostgresServer
) -> None:
    """Each tells its own Dovecot, whichever made the change."""
    url = postgres.new_database()
    with DoveadmServer() as other:
        other.start()
        first, second = make(doveadm, url=url), make(other, url=url)
        begin(first)
        second.daemon.start()
        delays: dict[str, list[float]] = {doveadm.url: [], other.url: []}
        for user in (ANNA, "bob@example.org", "off@example.org"):
            first.change(lambda w, user=user: mailboxes.remove(w, user))  # type: ignore[misc]
            changed = time.monotonic()
            for server in (doveadm, other):
                delays[server.url].append(server.wait_for(user).at - changed)
        for of_one in delays.values():
            check_delays(of_one)


def test_a_change_while_the_database_goes_is_not_forgotten(
    make: Callable[..., DovecotDaemon], doveadm: DoveadmServer
) -> None:
    with PostgresServer() as server:
        gate = make(doveadm, url=server.new_database())
        begin(gate)
        server.pause()
        wait_until(
            lambda: gate.daemon.metric("gatepost_accounts_database_up") == 0, "it to be away"
        )
        server.resume()
        gate.change(lambda w: mailboxes.change(w, ANNA, None, enabled=False))
        doveadm.wait_for(ANNA)
        server.stop()
        server.start()
        gate.change(lambda w: mailboxes.change(w, "bob@example.org", None, enabled=False))
        doveadm.wait_for("bob@example.org")


def test_many_changes_become_a_few_kicks(
    make: Callable[..., DovecotDaemon], doveadm: DoveadmServer
) -> None:
    gate = make(doveadm)
    begin(gate)
    doveadm.close()

    def remove(write: Write) -> None:
        for number in range(5_100):
            write.audit("mailbox.remove", f"b{number}@example.org")

    gate.change(remove)
    gate.daemon.wait_for_log(event="sessions not ended")
    wait_until(
        lambda: 0 < gate.daemon.metric("gatepost_accounts_kicks_waiting") < 10_000, "the bound"
    )
    doveadm.start()
    doveadm.wait_for("*@example.org")


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_restored_backup_ends_all_sessions(
    make: Callable[..., DovecotDaemon],
    doveadm: DoveadmServer,
    postgres: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    kind: str,
) -> None:
    """The audit log does not say who has which rights after that."""
    url = ""
    if kind == "postgres":
        url = postgres.new_database()
        monkeypatch.setenv("PATH", f"{binaries()}:/usr/bin:/bin")
    gate = make(doveadm, url=url)
    begin(gate)
    file = tmp_path / "backup"
    for words in (("backup", str(file)), ("restore", str(file), "--yes")):
        if words[0] == "restore":
            gate.change(lambda w: mailboxes.change(w, ANNA, None, enabled=False))
            doveadm.wait_for(ANNA)
        command = [gatepost_command(), "accounts", words[0], "--config", gate.config, *words[1:]]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    doveadm.wait_for("*")
    wait_until(lambda: gate.verify(ANNA).word == "ok", "the state of the backup")


def test_stores_that_get_their_names_by_a_reload_take_part_in_moves(
    make: Callable[..., DovecotDaemon], doveadm: DoveadmServer
) -> None:
    gate = make(doveadm)
    begin(gate)
    store = {"host": "10.0.0.1", "doveadm_url": doveadm.url, "transfer": "10.0.0.1:18081"}
    gate.write({"stores": {"default": "s0", "named": {"s0": store, "s1": store}}})
    gate.daemon.wait_for_log(event="configuration reloaded")
    doveadm.broken = True
    gate.change(lambda write: moves.ask(write, ANNA, "s1", "s0"))
    line = gate.daemon.wait_for_log(event="move failed", user=ANNA)
    assert line["error"] == "it answers 500"
