import contextlib
import http.client
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator

import pytest

from gatepost.daemon import listening_socket
from gatepost.listen import Inet
from gatepost.metrics import Counter, MetricsServer, Probes
from gatepost.metrics.server import MAX_CONNECTIONS
from tests.testbed.waiting import DEADLINE, wait_until


@pytest.fixture
def probes() -> Probes:
    return Probes()


@pytest.fixture
def port(probes: Probes) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        number: int = free.getsockname()[1]
    server = MetricsServer(listening_socket(Inet("127.0.0.1", number)), probes)
    server.start()
    yield number
    server.close()


def get(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    connection.request("GET", path)
    response = connection.getresponse()
    status, body = response.status, response.read().decode()
    connection.close()
    return status, body


def test_probes_say_what_is_not_ready(probes: Probes, port: int) -> None:
    assert get(port, "/readyz") == (200, "ok\n")
    probes.ready_when("store", lambda: "does not answer")
    assert get(port, "/readyz") == (503, "store: does not answer\n")
    assert get(port, "/healthz") == (200, "ok\n")
    probes.healthy_when("workers", lambda: "none is alive")
    assert get(port, "/healthz") == (503, "workers: none is alive\n")
    assert get(port, "/readyz") == (503, "workers: none is alive\nstore: does not answer\n")


def test_metrics_are_counted(port: int) -> None:
    Counter("gatepost_test_total", "For this test").inc(3)
    status, body = get(port, "/metrics")
    assert status == 200
    assert "gatepost_test_total 3.0" in body
    assert "gatepost_build_info{version=" in body


def test_any_other_path_says_what_there_is(port: int) -> None:
    assert get(port, "/") == (404, "see /metrics, /healthz, /readyz\n")


def test_many_connections_that_say_nothing_keep_nobody_waiting(port: int) -> None:
    with contextlib.ExitStack() as connections:
        silent = [
            connections.enter_context(socket.create_connection(("127.0.0.1", port), 50))
            for _ in range(MAX_CONNECTIONS * 3)
        ]
        for connection in silent:
            connection.sendall(b"G")
        assert get(port, "/healthz") == (200, "ok\n")
        assert silent[0].recv(1) == b""  # the oldest made room
        wait_until(
            lambda: (
                sum("process_request" in one.name for one in threading.enumerate())
                <= MAX_CONNECTIONS
            ),
            f"all threads but {MAX_CONNECTIONS} to end",
        )
        silent[-1].sendall(b"ET /healthz HTTP/1.0\r\n\r\n")
        assert silent[-1].recv(12) == b"HTTP/1.0 200"


PROCESSES = textwrap.dedent(
    """
    import os
    from prometheus_client import generate_latest
    from gatepost import metrics
    from gatepost.metrics.families import registry

    counter = metrics.Counter("gatepost_test_total", "Help", ["who"])
    gauge = metrics.Gauge("gatepost_test_now", "Help", across="max")
    kinds = metrics.Gauge("gatepost_test_kinds", "Help", ["kind"], across="sum")
    counter.labels("parent").inc()
    gauge.set(1)

    def worker(number, now):
        if (pid := os.fork()) == 0:
            metrics.become_worker(number)
            counter.labels("parent").inc(10)
            counter.labels("worker").inc(5)
            gauge.set(now)
            kinds.labels(str(number)).add(1)
            try:
                metrics.Counter("gatepost_unknown_total", "Help")
            except RuntimeError:
                os._exit(7)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7

    def show():
        text = generate_latest(registry()).decode()
        print(*[line for line in text.splitlines() if line[0] != "#" and "_test_" in line])

    metrics.share(2)
    show()
    worker(0, 3)
    worker(1, 2)
    show()
    metrics.worker_ended(0)
    show()
    worker(0, 0)
    show()
    assert b"process_" not in generate_latest(registry())
    """
)


def test_processes_are_added_up_and_the_dead_say_nothing_about_now() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROCESSES], capture_output=True, text=True, check=True
    )
    parent, worker = 'gatepost_test_total{who="parent"}', 'gatepost_test_total{who="worker"}'
    first, second = 'gatepost_test_kinds{kind="0"}', 'gatepost_test_kinds{kind="1"}'
    assert done.stdout.splitlines() == [
        f"{parent} 1.0 gatepost_test_now 1.0",
        f"{parent} 21.0 {worker} 10.0 gatepost_test_now 3.0 {first} 1.0 {second} 1.0",
        f"{parent} 21.0 {worker} 10.0 gatepost_test_now 2.0 {second} 1.0",
        f"{parent} 31.0 {worker} 15.0 gatepost_test_now 2.0 {first} 1.0 {second} 1.0",
    ]
