import http.client
import socket
from collections.abc import Iterator

import pytest

from gatepost.listen import Inet
from gatepost.metrics import Counter, MetricsServer, Probes


@pytest.fixture
def probes() -> Probes:
    return Probes()


@pytest.fixture
def port(probes: Probes) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        number: int = free.getsockname()[1]
    server = MetricsServer(Inet("127.0.0.1", number), probes)
    server.start()
    yield number
    server.close()


def get(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
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
