"""The life of the milter: drain, reload, crashes, and what stops it from starting."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost.listen import Unix
from tests.daemon.milters import DOMAIN, INSIDE, OUTSIDE, SIMPLE, Milters, exists, memory
from tests.postfix.site import open_directory
from tests.testbed.daemon import Daemon, gatepost_command
from tests.testbed.dns import DnsServer
from tests.testbed.miltermta import NR_RCPT, STEPS, MilterClient
from tests.testbed.waiting import wait_until


@pytest.fixture(scope="module")
def dns() -> Iterator[DnsServer]:
    with DnsServer() as server:
        yield server


@pytest.fixture(params=["unix", "tcp"])
def milters(request: pytest.FixtureRequest, tmp_path: Path, dns: DnsServer) -> Iterator[Milters]:
    with Milters(tmp_path, dns, tcp=request.param == "tcp") as daemon:
        yield daemon


def attentive(milters: Milters, client: str = INSIDE) -> MilterClient:
    """A connection on which the milter answers RCPT: by then it knows of the message."""
    return milters.client(client, steps=STEPS & ~NR_RCPT)


def begin(client: MilterClient) -> None:
    """The first half of a message."""
    client.mail_from("user@signer.example")
    assert client.rcpt("rcpt@receiver.example") == "continue"
    client.data()
    client.header("From", b" user@signer.example")


def finish(client: MilterClient) -> int:
    """The second half; how many signatures it got."""
    client.end_of_headers()
    client.body(b"Hello\r\n")
    return len(client.end_of_message().values("DKIM-Signature"))


def is_refused(milters: Milters) -> bool:
    try:
        MilterClient(milters.address, timeout=10).close()
    except OSError:
        return True
    return False


def test_a_drain_finishes_the_message_under_way(milters: Milters) -> None:
    with attentive(milters) as busy, attentive(milters) as idle:
        begin(busy)
        milters.process.signal(signal.SIGTERM)
        milters.wait_for_log(event="draining: finishing messages in progress")
        wait_until(lambda: is_refused(milters), "new connections to be refused")
        assert milters.running
        assert finish(busy) == 2
        assert milters.process.wait() == 0
        for client in (busy, idle):
            with pytest.raises(OSError):  # noqa: PT011  # reset or closed, as the kernel likes
                client.read()
    if isinstance(milters.address, Unix):
        assert not milters.address.path.exists()
    assert not milters.log_entries(level="error")


def test_the_service_manager_may_signal_the_workers_too(milters: Milters) -> None:
    with attentive(milters) as client:
        begin(client)
        for pid in (*milters.workers(), milters.process.pid):
            os.kill(pid, signal.SIGTERM)
        milters.wait_for_log(event="draining: finishing messages in progress")
        assert finish(client) == 2
    assert milters.process.wait() == 0


def test_grace_is_bounded(milters: Milters) -> None:
    milters.stop()
    milters.configure('drain_grace = "200ms"')
    milters.start()
    with attentive(milters) as client:
        begin(client)
        milters.process.signal(signal.SIGTERM)
        assert milters.process.wait() == 0


def test_a_worker_that_is_killed_is_replaced_and_nothing_is_accepted(milters: Milters) -> None:
    before = milters.workers()
    with attentive(milters) as client:
        begin(client)
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(OSError):  # noqa: PT011
            finish(client)
    wait_until(lambda: len(set(milters.workers()) - set(before)) == len(before), "new workers")
    wait_until(milters.ready, "them to be ready")
    with attentive(milters) as client:
        assert len(client.message(SIMPLE).values("DKIM-Signature")) == 2
    assert milters.metric("gatepost_worker_restarts_total") == len(before)


def test_workers_do_not_outlive_their_parent(milters: Milters) -> None:
    workers = milters.workers()
    with attentive(milters) as client:
        begin(client)
        os.kill(milters.process.pid, signal.SIGKILL)
        assert finish(client) == 2
    wait_until(lambda: not any(map(exists, workers)), "the workers to end")


def test_a_dead_parent_is_followed_while_a_worker_drains(milters: Milters, tmp_path: Path) -> None:
    with attentive(milters) as client:
        begin(client)
        os.kill(milters.process.pid, signal.SIGKILL)
        wait_until(lambda: is_refused(milters), "the workers to let go of the listener")
        logs = tmp_path / "successor"
        logs.mkdir()
        with Daemon("milters", milters.config, logs), attentive(milters) as another:
            assert len(another.message(SIMPLE).values("DKIM-Signature")) == 2
            assert finish(client) == 2


def test_a_socket_that_is_taken_away_ends_the_daemon_in_order(
    tmp_path: Path, dns: DnsServer
) -> None:
    with Milters(tmp_path, dns) as milters, attentive(milters) as client:
        begin(client)
        assert isinstance(milters.address, Unix)
        milters.address.path.unlink()
        milters.wait_for_log(event="draining: finishing messages in progress")
        assert finish(client) == 2
        assert milters.process.wait() == 1
        assert "was removed: nobody can connect any more" in milters.log.read_text()
        milters.start()
        with attentive(milters) as another:
            assert len(another.message(SIMPLE).values("DKIM-Signature")) == 2


def wait_for_workers(milters: Milters, generation: int) -> None:
    wait_until(
        lambda: milters.metric("gatepost_config_generation") == generation,
        f"generation {generation} in every process",
    )


def test_a_reload_in_the_middle_of_a_message(milters: Milters) -> None:
    with attentive(milters, OUTSIDE) as client:
        begin(client)
        milters.configure('authserv_id = "new.example"')
        milters.reload()
        wait_for_workers(milters, 2)
        client.end_of_headers()
        (old,) = client.end_of_message().values("Authentication-Results")
        (new,) = client.message(SIMPLE).values("Authentication-Results")
    assert old.split(";")[0].strip() == "mx.receiver.example"
    assert new.split(";")[0].strip() == "new.example"


def test_a_broken_configuration_leaves_the_last_good_one(milters: Milters) -> None:
    good = milters.config.read_text()
    milters.config.write_text(good + "nonsense = 1\n")
    milters.reload()
    line = milters.wait_for_log(event="configuration not reloaded, the old one stays in use")
    assert "nonsense" in line["problems"]
    assert milters.metric("gatepost_config_last_reload_success") == 0
    with milters.client(INSIDE) as client:
        assert len(client.message(SIMPLE).values("DKIM-Signature")) == 2


def test_a_table_of_owners_is_watched(tmp_path: Path, dns: DnsServer) -> None:
    table = tmp_path / "owners"
    table.write_text("@signer.example bob\n")
    milters = Milters(tmp_path, dns)
    milters.configure('[milters.ownership]\nenforce = true\nowners_files = ["owners"]')
    with milters, milters.client() as client:

        def code() -> int:
            return client.message(SIMPLE, macros={"{auth_authen}": "alice"}).code

        assert code() == 550
        table.write_text("@signer.example bob, alice\n")
        wait_for_workers(milters, 2)
        assert code() == 250
        table.write_text("signer.example alice\n")
        line = milters.wait_for_log(event="configuration not reloaded, the old one stays in use")
        assert f"[milters.ownership]: {table}:1: 'signer.example alice' is no owner" in str(line)
        assert code() == 250


def test_a_mistake_in_the_section_of_another_daemon_stops_neither_start_nor_reload(
    tmp_path: Path, dns: DnsServer
) -> None:
    milters = Milters(tmp_path, dns)
    milters.configure("[policyd]\nnonsense = 1")
    with milters:
        milters.configure("[policyd]\nnonsense = 2", hostname="new.example")
        milters.reload()
        wait_for_workers(milters, 2)
        assert milters.metric("gatepost_config_last_reload_success") == 1
        with milters.client(OUTSIDE) as client:
            (results,) = client.message(SIMPLE).values("Authentication-Results")
        assert results.split(";")[0].strip() == "new.example"


def test_a_reload_is_told_once_for_all_workers(tmp_path: Path, dns: DnsServer) -> None:
    """The signal and the change of the file are one reload, and the workers' are part of it."""
    milters = Milters(tmp_path, dns)
    milters.configure("workers = 3")
    with milters:
        for generation in (2, 3):
            milters.configure(f'workers = 3\nauthserv_id = "g{generation}.example"')
            milters.reload()
            wait_for_workers(milters, generation)
        good = milters.config.read_text()
        milters.config.write_text(good + "nonsense = 1\n")
        milters.reload()
        milters.wait_for_log(event="configuration not reloaded, the old one stays in use")
        milters.config.write_text(good)  # this is seen without a signal
        wait_for_workers(milters, 4)
        told = milters.log_entries(event="configuration reloaded")
    assert [line["generation"] for line in told] == [2, 3, 4]
    bad = "configuration not reloaded, the old one stays in use"
    assert len(milters.log_entries(event=bad)) == 1


def test_a_key_that_breaks_leaves_the_old_ones_in_use(milters: Milters) -> None:
    (milters.directory / "keys" / DOMAIN / "r.pem").write_text("this is no key")
    milters.reload()
    wait_for_workers(milters, 2)
    with milters.client(INSIDE) as client:
        assert len(client.message(SIMPLE).values("DKIM-Signature")) == 2
    assert milters.ready()
    assert milters.metric("gatepost_milters_broken_keys") >= 1


def test_a_key_that_is_broken_at_the_start_disables_itself_alone(
    tmp_path: Path, dns: DnsServer
) -> None:
    milters = Milters(tmp_path, dns)
    (milters.directory / "keys" / DOMAIN / "r.pem").write_text("this is no key")
    with milters, milters.client(INSIDE) as client:
        (signature,) = client.message(SIMPLE).values("DKIM-Signature")
    assert "ed25519" in signature


def test_the_watch_sees_a_change_without_a_signal(milters: Milters) -> None:
    milters.configure('authserv_id = "new.example"')
    wait_for_workers(milters, 2)


def run(milters: Milters) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [gatepost_command(), "milters", "--config", milters.config],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_second_daemon_is_told_so_in_one_line(milters: Milters) -> None:
    second = run(milters)
    assert second.returncode == 1
    assert second.stderr.startswith(f"gatepost: cannot listen on {milters.address}")
    assert second.stderr.count("\n") == 1
    with milters.client(INSIDE) as client:
        assert client.message(SIMPLE).code == 250


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('user = "nobody-of-that-name"', "no user"),
        ('[milters.sign]\noversign = ["Received"]', "received"),
        ('submission_listen = "inet:1@192.0.2.1"', "address"),
        ('[milters.ownership]\nenforce = true\nowners_files = ["none"]', "none: does not exist"),
        ("[milters.ownership.senders]\nalice = []", "`senders` is now `owners`"),
    ],
)
def test_what_stops_the_start(tmp_path: Path, dns: DnsServer, lines: str, words: str) -> None:
    milters = Milters(tmp_path, dns, tcp=True)
    milters.configure(lines)
    done = run(milters)
    assert done.returncode in (1, 2)
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_socket_that_a_dead_daemon_left_is_replaced(tmp_path: Path, dns: DnsServer) -> None:
    milters = Milters(tmp_path, dns)
    assert isinstance(milters.address, Unix)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(milters.address.path))
    with milters, milters.client(INSIDE) as client:
        assert milters.address.path.stat().st_mode & 0o777 == 0o660
        assert client.message(SIMPLE).code == 250


def test_a_submission_listener_signs_whoever_comes(tmp_path: Path, dns: DnsServer) -> None:
    milters = Milters(tmp_path, dns)
    others = Unix(tmp_path / "submission"), Unix(tmp_path / "submissions")
    milters.configure(f'submission_listen = ["{others[0]}", "{others[1]}"]')
    with milters:
        with milters.client() as client:
            assert not client.message(SIMPLE).values("DKIM-Signature")
        for other in others:
            with MilterClient(other) as client:
                client.connect("unknown", "192.0.2.1")
                assert len(client.message(SIMPLE).values("DKIM-Signature")) == 2


def test_what_a_reload_cannot_change_is_told(milters: Milters) -> None:
    milters.configure("workers = 1\nmax_header = 100000")
    line = milters.wait_for_log(
        event="some changes need a restart: these keys are only read at the start"
    )
    assert line["keys"] == ["milters.workers"]


def test_memory_does_not_grow_with_the_message(tmp_path: Path, dns: DnsServer) -> None:
    milters = Milters(tmp_path, dns)
    milters.configure("workers = 1")
    megabyte = (b"x" * 70 + b"\r\n") * (1_048_576 // 72)
    with milters, attentive(milters) as client:
        assert client.message(SIMPLE).code == 250
        (worker,) = milters.workers()
        before = memory(worker)
        begin(client)
        client.end_of_headers()
        for _ in range(50):
            client.body(megabyte)
        assert len(client.end_of_message().values("DKIM-Signature")) == 2
        assert memory(worker) - before < 8 << 20


def test_drop_of_privileges(dns: DnsServer) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to leave it")
    with open_directory() as folder:
        milters = Milters(folder, dns)
        milters.configure('user = "nobody"')
        for path in (folder / "keys").rglob("*"):
            os.chown(path, 65534, 65534)
        with milters:
            pids = [milters.process.pid, *milters.workers()]
            for pid in pids:
                status = Path(f"/proc/{pid}/status").read_text()
                assert "Uid:\t65534\t65534\t65534\t65534" in status
            with milters.client(INSIDE) as client:
                assert len(client.message(SIMPLE).values("DKIM-Signature")) == 2
            wait_until(lambda: milters.metric("gatepost_milters_messages_total") == 1, "its count")
