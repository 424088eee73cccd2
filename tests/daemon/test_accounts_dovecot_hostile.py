"""``gatepost accounts`` under floods, halves and bulk, of Dovecot or of anybody in its place."""

from __future__ import annotations

import contextlib
import signal
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from accounts.directory import mailboxes
from accounts.store.transaction import Write
from gatepost.listen import Unix
from tests.daemon.accounts_dovecot import TOKEN, DictClient, DovecotDaemon
from tests.daemon.accounts_process import people
from tests.daemon.accounts_serving import Client
from tests.daemon.test_accounts_away import Database, File, Server
from tests.testbed.postgres import PostgresServer
from tests.testbed.waiting import wait_until

ANNA = "anna@example.org"
NAME = "priv/sieve/name/rules"
HEAD = f"POST /dovecot/verify HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\n"


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[DovecotDaemon]:
    settings = {"request_timeout": 2, "max_connections": 1000}
    daemon = DovecotDaemon(tmp_path, settings)
    daemon.change(people)
    with daemon:
        yield daemon


def resident(gate: DovecotDaemon) -> int:
    """Return the memory of the process, in octets."""
    status = Path(f"/proc/{gate.daemon.process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


def together(number: int, work: Callable[[], str]) -> Counter[str]:
    """Do the same in many threads; how often each result was."""
    results: Counter[str] = Counter()
    lock = threading.Lock()

    def run() -> None:
        result = work()
        with lock:
            results[result] += 1

    threads = [threading.Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_a_flood_refuses_nobody(gate: DovecotDaemon) -> None:
    clients = iter(range(1, 10_000))
    known = together(60, lambda: gate.userdb(ANNA).word)
    assert known == {"ok": 60}
    # more than the threads for passwords can take: some have to come again, none is wrong
    words = together(60, lambda: gate.verify(ANNA, client=f"192.0.2.{next(clients)}").word)
    assert set(words) <= {"ok", "temporary"}
    assert words["ok"] >= 1
    wrong = together(
        60, lambda: gate.verify(ANNA, "wrong", client=f"198.51.100.{next(clients) % 250}").word
    )
    assert set(wrong) <= {"mismatch", "temporary"}
    assert gate.userdb(ANNA).word == "ok"
    assert not gate.daemon.log_entries(level="error")


def test_a_flood_of_forged_tokens_tells_nothing(gate: DovecotDaemon) -> None:
    for _ in range(100):
        told = gate.verify(ANNA, token="x" * 32)
        assert (told.word, told.text) == ("", "token\n")
    assert gate.daemon.metric("gatepost_accounts_dovecot_requests_total", answer="token") == 100
    assert gate.daemon.metric("gatepost_accounts_logins_total") == 0
    lines = gate.daemon.log_entries(event="request from Dovecot refused")
    assert 1 <= len(lines) <= 3
    assert "x" * 32 not in gate.daemon.log.read_text()


def test_a_client_that_is_gone_gets_in_without_a_token_nowhere(gate: DovecotDaemon) -> None:
    """The system does not know its address any more; only clients of unix sockets have none."""
    form = b"user=anna%40example.org&password=x&protocol=imap"
    head = f"POST /dovecot/verify HTTP/1.1\r\nHost: a\r\nContent-Length: {len(form)}\r\n\r\n"
    gate.daemon.process.signal(signal.SIGSTOP)
    try:
        for _ in range(20):
            client = gate.tcp()
            client.send(head.encode() + form)
            # with a reset
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
    finally:
        gate.daemon.process.signal(signal.SIGCONT)
    assert gate.verify(ANNA).word == "ok"
    assert gate.daemon.metric("gatepost_accounts_logins_total") == 1


@pytest.mark.parametrize(
    "part",
    [
        b"",
        b"POST /dov",
        HEAD.encode(),
        (HEAD + "Content-Length: 1000\r\n\r\nuser=anna").encode(),
    ],
)
def test_half_a_request_is_not_waited_for(gate: DovecotDaemon, part: bytes) -> None:
    client = gate.tcp()
    client.send(part)
    began = time.monotonic()
    assert client.ended()
    assert time.monotonic() - began < 15
    assert gate.verify(ANNA).word == "ok"


def test_a_huge_body_is_not_kept(gate: DovecotDaemon) -> None:
    before = resident(gate)
    for _ in range(5):
        client = gate.tcp()
        client.send((HEAD + f"Content-Length: {1 << 30}\r\n\r\n").encode())
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(300):
                client.send(b"user=" + b"x" * 65_531)
        assert client.ended()
    assert gate.verify(ANNA).word == "ok"
    assert resident(gate) - before < 30_000_000


def test_a_thousand_silent_connections_keep_nobody_out(gate: DovecotDaemon) -> None:
    silent = [gate.tcp() for _ in range(1100)]
    dictionaries = [DictClient(gate.dict) for _ in range(1100)]
    assert gate.verify(ANNA).word == "ok"
    assert gate.userdb(ANNA).word == "ok"
    assert gate.look_up(ANNA, NAME).startswith("O")
    for client in dictionaries:
        client.close()
    assert len(silent) == 1100


@pytest.mark.parametrize(
    "octets",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\0" * 70_000,
        b"H9\t0\t0\t\tx\n",
        b"Lpriv/x\n",
        b"H4\t0\t0\t\tsieve\nX\n",
    ],
)
def test_what_is_no_dict_is_closed(gate: DovecotDaemon, octets: bytes) -> None:
    with Client(Unix(gate.dict)) as client:
        client.send(octets)
        assert client.ended()
    assert gate.look_up(ANNA, NAME).startswith("O")


def test_a_token_is_changed_without_a_restart(gate: DovecotDaemon) -> None:
    gate.token.write_text("f" * 32)
    wait_until(lambda: gate.userdb(ANNA, token="f" * 32).word == "ok", "the new token")
    assert gate.userdb(ANNA).status == 403
    # one that is too short is not taken
    gate.token.write_text("short")
    gate.daemon.wait_for_log(event="configuration not reloaded, the old one stays in use")
    assert gate.userdb(ANNA, token="f" * 32).word == "ok"


def test_all_mailboxes_of_many(gate: DovecotDaemon) -> None:
    def many(write: Write) -> None:
        for number in range(2500):
            mailboxes.add(write, f"b{number:04}@example.org")

    gate.change(many)
    listed = gate.users()
    assert len(listed) == 2503
    assert listed == sorted(set(listed))


# -- the database is away -------------------------------------------------------------------------


@pytest.fixture(params=["file", "stop", "pause"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "file":
        yield File(tmp_path)
        return
    with PostgresServer() as server:
        yield Server(server, request.param)


def test_known_mailboxes_and_rules_stay(tmp_path: Path, database: Database) -> None:
    gate = DovecotDaemon(tmp_path, url=database.url)
    gate.change(people)
    with gate:
        revision = gate.look_up(ANNA, NAME)[1:]
        assert gate.userdb(ANNA).word == "ok"
        assert gate.userdb("nobody@example.org").word == "unknown"
        assert gate.verify(ANNA).word == "ok"
        end = threading.Event()
        words: Counter[str] = Counter()

        def ask() -> None:
            while not end.is_set():
                words[gate.userdb(ANNA).word] += 1
                words[gate.look_up(ANNA, NAME)] += 1

        home = gate.home(ANNA)
        asking = threading.Thread(target=ask)
        asking.start()
        try:
            database.away()
            wait_until(
                lambda: gate.daemon.metric("gatepost_accounts_database_up") == 0, "it to be away"
            )
            assert gate.userdb(ANNA).fields == {"user": ANNA, "home_folder": home}
            assert gate.look_up(ANNA, f"priv/sieve/data/{revision}").startswith("O# ")
            # nobody is unknown, and no password is wrong
            for user in ("nobody@example.org", "off@example.org", "new@example.org"):
                assert gate.userdb(user).word == "temporary"
                assert gate.look_up(user, NAME) == "Fthe database is away"
            assert gate.verify(ANNA).word == "temporary"
            assert gate.verify(ANNA, "wrong").word == "temporary"
            assert gate.verify("nobody@example.org").word == "temporary"
            told = gate.request("GET", "/dovecot/users", token=TOKEN)
            assert (told.word, told.status) == ("temporary", 503)
            database.back()
            wait_until(lambda: gate.userdb("off@example.org").word == "ok", "it to be back")
            wait_until(lambda: gate.verify(ANNA).word == "ok", "logins to be back")
            assert gate.userdb("nobody@example.org").word == "unknown"
            assert ANNA in gate.users()
        finally:
            end.set()
            asking.join()
        assert set(words) == {"ok", f"O{revision}"}
        assert not gate.daemon.log_entries(level="error")
