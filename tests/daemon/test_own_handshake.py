"""`/handshake` of the daemons, and the image's `probe`, which asks for it."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from gatepost.daemon import own_handshake
from gatepost.daemon.own_handshake import MAX_WAITING, OwnHandshake, reached_at
from gatepost.daemon.sockets import listening_socket
from gatepost.handshake import smtp
from gatepost.listen import Inet, SocketAddress, Unix
from gatepost.metrics import MetricsServer, Probes
from tests.testbed.daemon import Daemon, gatepost_command
from tests.testbed.ports import free_ports
from tests.testbed.waiting import DEADLINE, wait_until

PROBE = Path(__file__).resolve().parents[2] / "images" / "gatepost" / "probe"
MORE = {
    "milters": 'keys = "keys"\nworkers = 2',
    "policyd": 'store = { kind = "memory" }',
    "delivery": 'spam = { engine = "none" }',
    "accounts": "sasl_listen = []\ndomains_listen = []\nmailboxes_listen = []\naliases_listen = []",
}
SAID = {
    "milters": "milter protocol 6",
    "policyd": "action=DUNNO",
    "delivery": "LMTP",
    "accounts": "probe.invalid: NOTFOUND",
}


def get(port: int) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    connection.request("GET", "/handshake")
    answer = connection.getresponse()
    said = answer.status, answer.read().decode()
    connection.close()
    return said


def probe(port: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROBE, str(port)], capture_output=True, text=True, timeout=DEADLINE)


@pytest.mark.parametrize(
    ("word", "family"),
    [
        *(("milters", "unix"), ("milters", "inet"), ("policyd", "unix"), ("policyd", "inet")),
        *(("delivery", "inet"), ("accounts", "unix")),
    ],
)
def test_a_daemon_shakes_hands_with_itself(word: str, family: str, tmp_path: Path) -> None:
    port, metrics_port = free_ports(2)
    address = f"unix:{tmp_path}/socket" if family == "unix" else f"inet:{port}"
    config = tmp_path / "gatepost.toml"
    (tmp_path / "keys").mkdir()
    more = MORE[word]
    if word == "accounts":
        database = f"sqlite:///{tmp_path}/accounts.db"
        more += f'\ndatabase = {{ url = "{database}" }}'
    config.write_text(
        f'[{word}]\nlisten = "{address}"\n'
        f'metrics_listen = "inet:{metrics_port}@127.0.0.1"\n{more}\n'
    )
    if word == "accounts":
        migrate: list[str | Path] = [gatepost_command(), "accounts", "migrate", "--config", config]
        subprocess.run(migrate, check=True, capture_output=True)
    with Daemon(word, config, tmp_path):
        status, said = get(metrics_port)
        assert status == 200
        assert SAID[word] in said
        done = probe(metrics_port)
        assert (done.returncode, done.stderr) == (0, "")
        # the whole cost of the process that a kubelet would start: below 20 ms
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        for _ in range(10):
            probe(metrics_port)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        assert used / 10 < 0.02
    assert probe(metrics_port).returncode == 1


def sockets() -> int:
    """The number of open sockets of this process."""
    found = 0
    for descriptor in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found += os.readlink(f"/proc/self/fd/{descriptor}").startswith("socket:")
    return found


class Serving:
    """The port of the metrics of a daemon that listens at `address`."""

    def __init__(self, address: SocketAddress) -> None:
        (self.port,) = free_ports(1)
        probes = Probes()
        self.handshake = OwnHandshake(smtp, address)
        probes.shakes_hands(self.handshake)
        self.server = MetricsServer(listening_socket(Inet("127.0.0.1", self.port)), probes)
        self.server.start()


@pytest.fixture
def silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A daemon that accepts connections and answers nothing."""
    monkeypatch.setattr(own_handshake, "TIMEOUT", 1.0)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "silent"))
        listening.listen(200)
        yield listening


def test_a_daemon_that_is_silent_fails_in_a_bounded_time(
    tmp_path: Path, silent: socket.socket
) -> None:
    serving = Serving(Unix(tmp_path / "silent"))
    try:
        began = time.monotonic()
        said: list[tuple[int, str]] = []
        asking = [
            threading.Thread(target=lambda: said.append(get(serving.port))) for _ in range(20)
        ]
        for one in asking:
            one.start()
        for one in asking:
            one.join()
        # they share a handshake or two: twenty would take twenty seconds
        assert time.monotonic() - began < 10
        assert said == [(503, "no answer within 1 s\n")] * 20
        done = probe(serving.port)
        assert (done.returncode, done.stderr) == (1, "probe: no answer within 1 s\n")
    finally:
        serving.server.close()


def test_a_flood_of_requests_leaves_few_threads_waiting(
    tmp_path: Path, silent: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread of a connection that was closed for a newer one goes on waiting."""
    monkeypatch.setattr(own_handshake, "TIMEOUT", DEADLINE)
    serving = Serving(Unix(tmp_path / "silent"))
    before = threading.active_count()
    try:
        for _ in range(4 * MAX_WAITING):
            with socket.create_connection(("127.0.0.1", serving.port), DEADLINE) as connection:
                connection.sendall(b"GET /handshake HTTP/1.0\r\n\r\n")
        wait_until(lambda: serving.handshake._places._value == 0, "as many as may to wait")
        # the others end at once
        wait_until(
            lambda: threading.active_count() <= before + MAX_WAITING, "the others to be answered"
        )
        assert get(serving.port) == (503, "not asked yet\n")
        accepted, _ = silent.accept()
        accepted.close()
        wait_until(lambda: threading.active_count() <= before, "all of them to be answered")
    finally:
        serving.server.close()


def test_metrics_do_not_wait_for_a_silent_daemon(
    tmp_path: Path, silent: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_handshake, "TIMEOUT", DEADLINE)
    serving = Serving(Unix(tmp_path / "silent"))
    try:
        waiting = threading.Thread(target=get, args=(serving.port,))
        waiting.start()
        accepted, _ = silent.accept()
        connection = HTTPConnection("127.0.0.1", serving.port, timeout=DEADLINE)
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200
        connection.close()
        if (pid := os.fork()) == 0:
            before = sockets()
            serving.server.leave()
            # the port, the connection of the request, and that of the handshake
            os._exit(0 if before - sockets() >= 3 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        accepted.close()
        waiting.join(DEADLINE)
    finally:
        serving.server.close()


def test_one_that_speaks_another_protocol_fails(tmp_path: Path, silent: socket.socket) -> None:
    def answer() -> None:
        accepted, _ = silent.accept()
        accepted.sendall(b"no such thing\r\n")
        accepted.close()

    threading.Thread(target=answer, daemon=True).start()
    ok, said = OwnHandshake(smtp, Unix(tmp_path / "silent"))()
    assert not ok
    assert "not the answer of an SMTP server" in said


@pytest.mark.parametrize(
    ("host", "reached"), [("", "127.0.0.1"), ("127.0.0.1", "127.0.0.1"), ("localhost", "127.0.0.1")]
)
def test_an_address_is_reached_without_a_name_server(host: str, reached: str) -> None:
    (port,) = free_ports(1)
    with listening_socket(Inet(host, port)) as listening:
        address = reached_at(Inet(host, port), listening)
        assert isinstance(address, Inet)
        assert address == Inet(address.host, port)
        assert address.host in (reached, "::1")
        socket.create_connection((address.host, port), timeout=DEADLINE).close()
