"""The mail of removed mailboxes goes when its time is over, with a stand-in for doveadm."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from accounts.directory import audit, deleted_mailboxes, mailboxes
from accounts.dovecot.purge import name_of
from accounts.store import schema
from accounts.store.transaction import Write
from tests.daemon.accounts_dovecot import DovecotDaemon
from tests.daemon.accounts_process import people
from tests.daemon.doveadm_server import KEY, DoveadmServer
from tests.testbed.daemon import gatepost_command
from tests.testbed.postgres import PostgresServer
from tests.testbed.waiting import wait_until

ANNA, BOB = "anna@example.org", "bob@example.org"
LONG_AGO = 1_000_000_000


@pytest.fixture
def doveadm() -> Iterator[DoveadmServer]:
    with DoveadmServer() as server:
        server.start()
        yield server


@pytest.fixture
def make(tmp_path: Path, doveadm: DoveadmServer) -> Iterator[Callable[..., DovecotDaemon]]:
    made: list[DovecotDaemon] = []

    def make_one(url: str = "", **settings: Any) -> DovecotDaemon:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        key = folder / "key"
        key.write_text(KEY + "\n")
        key.chmod(0o600)
        dovecot = {"doveadm_url": doveadm.url, "doveadm_key_file": str(key)}
        made.append(DovecotDaemon(folder, settings, url=url, dovecot=dovecot))
        return made[-1]

    yield make_one
    for daemon in made:
        daemon.close()


def remove_long_ago(write: Write) -> None:
    """Remove Anna's mailbox years ago, and Bob's now."""
    for address in (ANNA, BOB):
        mailboxes.remove(write, address)
    table = schema.deleted_mailbox
    write.connection.execute(update(table).where(table.c.address == ANNA).values(removed=LONG_AGO))


def make_old(write: Write, **values: int | None) -> None:
    """Set times of all records."""
    write.connection.execute(update(schema.deleted_mailbox).values(**values))


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_replicas_remove_mail_once_and_note_the_size_of_the_rest(
    make: Callable[..., DovecotDaemon], doveadm: DoveadmServer, postgres: PostgresServer, kind: str
) -> None:
    url = postgres.new_database() if kind == "postgres" else ""
    gate = make(url)
    gate.change(people)
    doveadm.homes = {gate.home(ANNA), gate.home(BOB), "example.org/other"}
    kept = doveadm.homes - {gate.home(ANNA)}
    gate.change(remove_long_ago)
    bob = gate.read(lambda c: deleted_mailboxes.pick(c, BOB))
    doveadm.usage[name_of(bob.id)] = 5
    others = [make(url) for _ in range(1)] if kind == "postgres" else []
    for one in (gate, *others):
        one.daemon.start()
    wait_until(lambda: doveadm.homes == kept, "the removal of Anna's mail")

    def noted() -> bool:
        found = gate.read(deleted_mailboxes.find)
        return [(one.address, one.octets) for one in found] == [(BOB, 5 * 1024)]

    wait_until(noted, "the record of Bob alone, with its size")
    entries = [one for one in gate.read(audit.find) if one.action == "mailbox.purge"]
    assert [(one.object, one.actor) for one in entries] == [(ANNA, "purge@accounts")]
    # the login and the address were gone at once
    assert gate.userdb(ANNA).word == gate.userdb(BOB).word == "unknown"
    assert gate.verify(BOB).word == "unknown"


def test_dovecot_learns_the_folder_of_each_mailbox(
    make: Callable[..., DovecotDaemon], doveadm: DoveadmServer
) -> None:
    gate = make()
    gate.change(people)
    gate.daemon.start()
    first = gate.home(BOB)
    assert gate.userdb(BOB).fields["home_folder"] == first
    assert gate.verify(BOB).fields["userdb_home_folder"] == first
    gate.change(lambda w: mailboxes.rename(w, BOB, "rob@example.org"))
    assert gate.userdb("rob@example.org").fields["home_folder"] == first
    gate.change(lambda w: mailboxes.rename(w, "rob@example.org", BOB))
    gate.change(lambda w: mailboxes.remove(w, BOB))
    gate.change(lambda w: mailboxes.add(w, BOB))
    second = gate.userdb(BOB).fields["home_folder"]
    assert second == gate.home(BOB) != first
    # doveadm alone opens what was removed
    number = gate.read(lambda c: deleted_mailboxes.pick(c, BOB)).id
    told = gate.userdb(name_of(number), "doveadm")
    assert (told.word, told.fields) == ("ok", {"user": name_of(number), "home_folder": first})
    for protocol in ("lmtp", "imap", "pop3", "lda"):
        assert gate.userdb(name_of(number), protocol).word == "unknown", protocol
    assert gate.userdb(name_of(number + 1), "doveadm").word == "unknown"
    assert gate.verify(name_of(number)).word == "unknown"


def run(gate: DovecotDaemon, *words: str) -> subprocess.CompletedProcess[str]:
    command = [str(gatepost_command()), "user", *words, "--json", "--config", str(gate.config)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_removes_mail(
    make: Callable[..., DovecotDaemon], doveadm: DoveadmServer
) -> None:
    gate = make()
    gate.change(people)
    anna, bob = gate.home(ANNA), gate.home(BOB)
    doveadm.homes = {anna, bob}
    gate.change(remove_long_ago)
    doveadm.stuck = {anna}
    failed = run(gate, "purge")
    assert failed.returncode == 75
    assert f"the mail of {ANNA} is not removed: {doveadm.url}: it does not remove" in failed.stderr
    assert json.loads(run(gate, "list", "--deleted").stdout)[0]["is_claimed"]
    doveadm.stuck = set()
    gate.change(lambda w: make_old(w, claimed=LONG_AGO))
    done = run(gate, "purge")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"removed": [ANNA], "failed": []}
    assert doveadm.homes == {bob}
    # nothing is left to do, and a folder that is gone is no error
    assert json.loads(run(gate, "purge").stdout) == {"removed": [], "failed": []}
    gate.change(lambda w: make_old(w, removed=LONG_AGO, claimed=None))
    doveadm.homes = set()
    assert json.loads(run(gate, "purge", BOB, "-y").stdout) == {"removed": [BOB], "failed": []}
    doveadm.broken = True
    assert run(gate, "purge").returncode == 0
