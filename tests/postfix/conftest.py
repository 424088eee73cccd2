"""What the tests with a real Postfix stand on. Without root they are skipped, and say so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import pytest

from tests.postfix.site import open_directory
from tests.testbed import postfix as private_postfix
from tests.testbed.dns import DnsServer
from tests.testbed.postfix import PrivatePostfix, Service
from tests.testbed.sink import Sink
from tools.install import missing


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = private_postfix.missing()
    # the environment that runs us is there
    left = [package for package in missing("demo") if package != "python3-venv"]
    if not reason and left:
        reason = f"make test installs what is missing: {', '.join(left)}"
    if reason:
        for item in items:
            if item.path.is_relative_to(Path(__file__).parent):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def directory() -> Iterator[Path]:
    """An empty directory that the user postfix can reach."""
    with open_directory() as path:
        yield path


@pytest.fixture
def sink() -> Iterator[Sink]:
    """Where all mail arrives that Postfix accepts."""
    with Sink() as server:
        yield server


@pytest.fixture
def dns() -> Iterator[DnsServer]:
    """A DNS server without any name: `dns.add()` publishes, `dns.address` is for the daemons."""
    with DnsServer() as server:
        yield server


class StartPostfix(Protocol):
    """Starts a Postfix that relays to the sink; see `tests.testbed.postfix.PrivatePostfix`."""

    def __call__(
        self, services: Sequence[Service] = (), settings: Mapping[str, str] | None = None
    ) -> PrivatePostfix: ...


@pytest.fixture
def start_postfix(directory: Path, sink: Sink) -> Iterator[StartPostfix]:
    """Starts Postfix as the test wants it; all that were started are stopped at its end."""
    started: list[PrivatePostfix] = []

    def start(
        services: Sequence[Service] = (), settings: Mapping[str, str] | None = None
    ) -> PrivatePostfix:
        instance = PrivatePostfix(
            directory / f"postfix-{len(started)}",
            sink.postfix,
            services=services,
            settings=settings,
        )
        started.append(instance)
        instance.start()
        return instance

    yield start
    for instance in started:
        instance.stop()


@pytest.fixture
def postfix(start_postfix: StartPostfix) -> PrivatePostfix:
    """A Postfix with the services "mx" and "submission", without milter and policy server."""
    return start_postfix()
