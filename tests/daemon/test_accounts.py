"""``gatepost accounts`` as a process: answers, logins, changes, reload, floods and its end."""

from __future__ import annotations

import base64
import hashlib
import os
import resource
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from accounts.directory import aliases, app_passwords, domains, mailboxes
from accounts.store.migrate import upgrade
from accounts.store.revisions import VERSION_TABLE
from accounts.store.transaction import Write
from tests.daemon import accounts_postgres
from tests.daemon.accounts_process import SECRET, AccountsDaemon, people, quick_hash
from tests.daemon.accounts_serving import Client
from tests.postfix.site import open_directory
from tests.testbed.daemon import gatepost_command
from tests.testbed.postgres import PostgresServer
from tests.testbed.process import ProcessDied
from tests.testbed.waiting import wait_until

ANNA, BOB, OFF = "anna@example.org", "bob@example.org", "off@example.org"


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    """The URL of a database with tables and without data; empty for a file of the daemon."""
    if request.param == "sqlite":
        return ""
    server: PostgresServer = request.getfixturevalue("postgres")
    return accounts_postgres.make(server).url


@pytest.fixture
def gate(tmp_path: Path, url: str) -> Iterator[AccountsDaemon]:
    """A daemon that runs and knows a few people."""
    daemon = AccountsDaemon(tmp_path, url=url)
    daemon.change(people)
    with daemon:
        yield daemon


def test_every_map_by_both_protocols(gate: AccountsDaemon) -> None:
    expected = {
        ("domains", "example.org"): "example.org",
        ("domains", "example.com"): None,
        ("mailboxes", "Anna+news@EXAMPLE.net"): ANNA,
        ("mailboxes", "nobody@example.org"): None,
        ("mailboxes", OFF): None,
        ("aliases", "info@example.org"): f"{ANNA}, {BOB}, bob@far.example",
        ("aliases", "sales-2@example.org"): ANNA,
        ("senders", ANNA): ANNA,
        ("transport", ANNA): None,
        ("relay", "example.org"): None,
    }
    for (table, key), value in expected.items():
        assert gate.ask(table, key) == ("NOTFOUND " if value is None else f"OK {value}"), key
        if table in gate.tables:
            with gate.connect(f"{table}_listen") as client:
                client.send(f"get {key}\n".encode())
                said = "500 no such name" if value is None else f"200 {value.replace(' ', '%20')}"
                assert client.read_line() == said
    counted = gate.daemon.metric
    assert counted("gatepost_accounts_lookups_total", map="mailboxes", answer="found") == 2
    assert counted("gatepost_accounts_lookups_total", map="mailboxes", answer="not_found") == 4
    assert counted("gatepost_accounts_stale_lookups_total") == 0
    assert gate.probe() == (200, "ok\n")


def test_logins(gate: AccountsDaemon) -> None:
    assert gate.log_in("Anna@example.net") == f"OK\t1\tuser={ANNA}"
    assert gate.log_in(ANNA, "guessed-1") == f"FAIL\t1\tuser={ANNA}"
    unknown = "nobody@example.org"
    assert gate.log_in(unknown, "guessed-2") == f"FAIL\t1\tuser={unknown}"
    refused = gate.log_in(OFF)
    assert refused.endswith("reason=this account is disabled\tcode=user_disabled")
    assert gate.log_in(OFF, "guessed-3") == f"FAIL\t1\tuser={OFF}"
    assert gate.log_in("my-password-by-mistake").startswith("FAIL\t")
    lines = gate.daemon.log_entries(event="login")
    assert [(line["result"], line["reason"]) for line in lines] == [
        ("ok", "ok"),
        ("wrong", "wrong-password"),
        ("wrong", "unknown-user"),
        ("disabled", "disabled"),
        ("wrong", "wrong-password"),
        ("wrong", "malformed-login"),
    ]
    assert {line["client"] for line in lines} == {"203.0.113.5"}
    assert {line["protocol"] for line in lines} == {"smtp"}
    assert [line["address"] for line in lines] == [ANNA, ANNA, unknown, OFF, OFF, ""]
    logged = gate.daemon.log.read_text()
    for secret in (SECRET, "guessed-", "my-password-by-mistake"):
        assert secret not in logged
    assert gate.daemon.metric("gatepost_accounts_logins_total", result="ok") == 1
    assert gate.daemon.metric("gatepost_accounts_logins_total", result="wrong") == 4
    assert gate.daemon.metric("gatepost_accounts_logins_total", reason="disabled") == 1


def test_a_login_leaves_its_time_and_a_better_hash(gate: AccountsDaemon) -> None:
    digest = hashlib.sha512(SECRET.encode() + b"salt").digest()
    old = "{SSHA512}" + base64.b64encode(digest + b"salt").decode()

    def prepare(write: Write) -> None:
        mailboxes.change(write, ANNA, None, password=old)
        app_passwords.add(write, BOB, "printer", password=quick_hash("drawn"), protocols=["smtp"])

    gate.change(prepare)
    generation = gate.daemon.metric("gatepost_accounts_generation")
    assert gate.log_in(ANNA).startswith("OK")
    assert gate.log_in(BOB, "drawn").startswith("OK")
    wait_until(
        lambda: gate.daemon.metric("gatepost_accounts_password_upgrades_total") == 1, "the upgrade"
    )
    anna = gate.read(lambda connection: mailboxes.get(connection, ANNA))
    assert anna.last_login is not None
    used = gate.read(lambda connection: app_passwords.get(connection, BOB, "printer"))
    assert (used.last_used is not None, used.last_client) == (True, "203.0.113.5")
    stored = gate.read(
        lambda connection: connection.exec_driver_sql(
            f"SELECT password FROM mailbox WHERE address = '{ANNA}'"  # noqa: S608
        ).scalar_one()
    )
    assert stored.startswith("{ARGON2ID}")
    assert gate.log_in(ANNA).startswith("OK")
    assert gate.daemon.metric("gatepost_accounts_generation") >= generation
    assert gate.daemon.wait_for_log(event="password hashed again")["address"] == ANNA


def test_what_another_process_writes_counts_at_once(gate: AccountsDaemon) -> None:
    assert gate.ask("mailboxes", "carl@example.org") == "NOTFOUND "

    def add(write: Write) -> None:
        mailboxes.add(write, "carl@example.org", password=quick_hash())
        aliases.add(write, "new@example.org", targets=["carl@example.org"])

    gate.change(add)
    assert gate.ask("mailboxes", "carl@example.org") == "OK carl@example.org"
    assert gate.ask("aliases", "new@example.org") == "OK carl@example.org"
    assert gate.log_in("carl@example.org").startswith("OK")
    gate.change(lambda write: mailboxes.change(write, "carl@example.org", None, enabled=False))
    assert "user_disabled" in gate.log_in("carl@example.org")
    gate.change(lambda write: domains.change(write, "example.org", None, enabled=False))
    assert gate.ask("domains", "example.org") == "NOTFOUND "
    assert "user_disabled" in gate.log_in(ANNA)


def test_wrong_passwords_wait_and_a_new_password_ends_that(gate: AccountsDaemon) -> None:
    """The attempts come from everywhere, so that the limit is that of the account."""
    said = [gate.log_in(ANNA, f"guess {n}", f"198.51.{n}.1") for n in range(12)]
    assert said[0].startswith("FAIL")
    assert said[-1] == "closed"
    assert gate.daemon.log_entries(event="login")[-1]["reason"] == "too-many-attempts"
    assert gate.log_in(BOB).startswith("OK")
    changed = quick_hash("another good secret")
    gate.change(lambda write: mailboxes.change(write, ANNA, None, password=changed))
    wait_until(
        lambda: gate.log_in(ANNA, "another good secret", "192.0.2.77").startswith("OK"),
        "the new password to be taken",
        deadline=5,
    )


def test_a_reload_takes_what_is_new_and_keeps_what_is_good(gate: AccountsDaemon) -> None:
    with gate.connect() as client:
        assert client.ask("mailboxes", "anna-x@example.org") == "NOTFOUND "
        gate.write({"recipient_delimiter": "-", "default_domain": "example.org"})
        gate.daemon.wait_for_log(event="configuration reloaded")
        assert client.ask("mailboxes", "anna-x@example.org") == f"OK {ANNA}"
        assert gate.log_in("anna").startswith("OK")
        gate.write({"recipient_delimiter": 5})
        gate.daemon.reload()
        gate.daemon.wait_for_log(event="configuration not reloaded, the old one stays in use")
        assert client.ask("mailboxes", "anna-x@example.org") == f"OK {ANNA}"
    gate.write({"recipient_delimiter": "+", "max_connections": 1})
    gate.daemon.wait_for_log(event="configuration reloaded", generation=3)
    assert gate.log_in("anna").startswith("FAIL")


def test_a_pipelined_flood_is_answered_in_order(gate: AccountsDaemon) -> None:
    # more octets than the buffers of a socket hold, in requests as long as they can be
    domain = ".".join(["x" * 59] * 4)
    gate.change(lambda write: domains.add(write, domain, alias_of="example.org"))
    users = ["anna" if n % 2 else f"u{n}" for n in range(1_600)]
    requests = b"".join(netstring(f"mailboxes {user}@{domain}") for user in users)
    assert len(requests) > 400_000
    expected = b"".join(netstring(f"OK {ANNA}" if u == "anna" else "NOTFOUND ") for u in users)
    with gate.connect() as client:
        sender = threading.Thread(target=client.send, args=(requests,))
        sender.start()
        assert gate.ask("domains", "example.org") == "OK example.org"
        assert client.read_octets(len(expected)) == expected
        sender.join()


def netstring(text: str) -> bytes:
    return b"%d:%b," % (len(text.encode()), text.encode())


def test_the_end_answers_what_is_under_way(gate: AccountsDaemon) -> None:
    """Logins that are being checked get their answer, and nothing is refused for the end."""
    said: list[str] = []

    def log_in(number: int) -> None:
        try:
            said.append(gate.log_in(ANNA, client=f"192.0.2.{number}"))
        except (FileNotFoundError, ConnectionRefusedError):
            said.append("closed")  # this thread came after the end

    threads = [threading.Thread(target=log_in, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    wait_until(lambda: gate.daemon.log_entries(event="login"), "the first answer")
    assert gate.daemon.stop() == 0
    for thread in threads:
        thread.join()
    assert len(said) == len(threads)
    assert all(one.startswith("OK") or one == "closed" for one in said), said
    assert any(one.startswith("OK") for one in said)
    assert not gate.socket.exists()
    assert not gate.sasl.exists()
    assert gate.read(lambda connection: mailboxes.get(connection, ANNA)).last_login is not None


def test_killed_under_load_it_starts_again(gate: AccountsDaemon) -> None:
    with gate.connect() as client:
        client.send(netstring(f"mailboxes {ANNA}") * 2000)
        client.read_netstring()
        gate.daemon.kill()
        with suppress(EOFError, ConnectionResetError):
            while True:
                assert client.read_netstring() == f"OK {ANNA}"
    gate.daemon.start()
    assert gate.ask("mailboxes", ANNA) == f"OK {ANNA}"
    assert gate.log_in(ANNA).startswith("OK")


def test_bad_input_hurts_nobody_else(gate: AccountsDaemon) -> None:
    nasty = [
        "a" * 300 + "@example.org",
        "../../etc/passwd@example.org",
        "' OR 1=1 --@example.org",
        "<script>@example.org",
        "jörg@bücher.example",
        "a\x00b@example.org",
        "\udcff@example.org",
    ]
    with gate.connect() as client:
        for key in nasty:
            request = b"mailboxes " + key.encode("utf-8", "surrogateescape")
            client.send(b"%d:%b," % (len(request), request))
            assert client.read_netstring() == "NOTFOUND "
        assert client.ask("mailboxes", ANNA) == f"OK {ANNA}"
    for login in (*nasty[:5], "a" * 10_000):
        assert gate.log_in(login, "' OR 1=1 --").startswith("FAIL")
    assert gate.log_in(ANNA).startswith("OK")


@pytest.fixture
def many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8000), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
def test_five_thousand_connections_keep_nobody_out(tmp_path: Path) -> None:
    gate = AccountsDaemon(tmp_path)
    gate.change(people)
    clients: list[Client] = []
    with gate:
        try:
            clients += [gate.connect() for _ in range(5000)]
            for client in clients[::100]:
                client.send(b"20:half a")
            wait_until(
                lambda: (
                    gate.daemon.metric("gatepost_accounts_connections", listener="socketmap")
                    == 5000
                ),
                "all to be open",
            )
            assert gate.ask("mailboxes", ANNA) == f"OK {ANNA}"
            assert clients[-1].ask("mailboxes", ANNA) == f"OK {ANNA}"
            assert gate.log_in(ANNA).startswith("OK")
        finally:
            for client in clients:
                client.close()
    assert not gate.daemon.log_entries(level="error")


def test_it_needs_data_of_its_revision(tmp_path: Path, url: str) -> None:
    """A later version of Gatepost has been there."""
    gate = AccountsDaemon(tmp_path, url=url)
    gate.change(
        lambda write: write.connection.exec_driver_sql(
            f"UPDATE {VERSION_TABLE} SET version_num = '9999'"  # noqa: S608
        )
    )
    with pytest.raises(ProcessDied, match=r"later version of Gatepost \(revision '9999'"):
        gate.daemon.start()


def test_without_tables_it_names_the_command(tmp_path: Path, postgres: PostgresServer) -> None:
    for url in ("", accounts_postgres.make(postgres, migrated=False).url):
        gate = AccountsDaemon(tmp_path / str(bool(url)), url=url, migrated=False)
        with pytest.raises(ProcessDied, match="`gatepost accounts migrate`"):
            gate.daemon.start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_it_gives_up_root() -> None:
    with open_directory() as directory:
        shutil.chown(directory, "nobody")
        gate = AccountsDaemon(directory, {"user": "nobody"}, migrated=False)
        upgrade(gate.database)
        gate.change(people)
        assert gate.file.stat().st_uid == directory.stat().st_uid
        for file in directory.glob("accounts.db-*"):
            shutil.chown(file, "nobody")
        with gate:
            status = Path(f"/proc/{gate.daemon.process.pid}/status").read_text()
            assert "\nUid:\t65534\t65534\t65534\t65534\n" in status
            assert gate.log_in(ANNA).startswith("OK")
        assert gate.read(lambda connection: mailboxes.get(connection, ANNA)).last_login


def check(gate: AccountsDaemon, user: str) -> tuple[int, str]:
    """Run ``gatepost config check`` for a daemon that runs as `user`."""
    done = subprocess.run(
        [gatepost_command(), "config", "check", "--config", gate.config, "--user", user],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_the_check_opens_the_database_as_the_user_of_the_daemon() -> None:
    with open_directory() as directory:
        gate = AccountsDaemon(directory, migrated=False)
        status, said = check(gate, "root")
        assert status == 2
        assert "accounts.database.url: there is no datastore" in said
        assert "`gatepost accounts migrate` creates it" in said
        gate = AccountsDaemon(directory)
        status, said = check(gate, "root")
        assert (status, "accounts: root can open everything it needs" in said) == (0, True), said
        os.chmod(gate.config, 0o644)
        status, said = check(gate, "nobody")
        assert status == 2
        assert "accounts.listen: uid 65534 may not create a socket in" in said
        assert "accounts.database.url: " in said
        assert "Permission denied" in said


def test_a_probe_leaves_no_trace(gate: AccountsDaemon) -> None:
    for kind, path, said in (
        ("socketmap", gate.socket, "probe.invalid: NOTFOUND"),
        ("sasl", gate.sasl, "offers PLAIN LOGIN"),
    ):
        address = f"unix:{path}"
        done = subprocess.run(
            [gatepost_command(), "probe", kind, address], capture_output=True, text=True, check=True
        )
        assert done.stdout == f"{kind} {address}: {said}\n"
    assert not gate.daemon.log_entries(event="login")
    assert gate.daemon.metric("gatepost_accounts_malformed_total") == 0
