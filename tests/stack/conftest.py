"""The containers, played by podman from k8s/mail.yaml, as the world and their user see them.

``make stack`` builds the images and runs these tests, as root. The test process lives in a network
namespace of its own; podman makes the bridge of the pod in there, and all addresses of `WORLD` are
this machine's in there. So a client really has the address that it connects from.

How to use it:

- `stack` is one running pod for all tests that leave it as they found it; `start_stack(...)` starts
  another one for a test that kills, stops or changes it, with settings of its own.
- ``stack.send(...)`` is swaks from outside, from the address ``client=...``; the reply is a
  `tests.testbed.swaks.Exchange`. Mail that Postfix delivers arrives at `stack.sink`
  (`tests.testbed.sink.Sink`), and everybody asks `stack.dns` (`tests.testbed.dns.DnsServer`):
  `stack.dns.add(...)` publishes. Mail that our users send to remote.example arrives at
  `stack.remote`.
- ``stack.address`` is where the pod is reached (port 25, and 12525 with PROXY protocol), for a
  client of your own such as smtp-source or `tests.testbed.smtp.RawClient(25, host=stack.address)`.
- ``stack.container("postfix")``, ``"milters"``, ``"policyd"`` is a
  `tests.testbed.container.Container`: `kill()` (SIGKILL to its process 1; podman starts it again),
  `kill_and_wait_ready()`, `execute(...)`, `log()`, `log_entries(...)`, `wait_for_log(...)`,
  `memory()`, `restarts`, `pid`.
- ``stack.configure("mail-gatepost", {"gatepost.toml": ...})`` changes a ConfigMap under the running
  pod as the kubelet does; ``stack.gatepost_toml(...)`` is the present one with keys laid over it.
- ``stack.secrets["mail-tls"]`` and ``["mail-dkim"]`` are the folders of the Secrets: `update()`
  changes them; ``stack.metric("milters", NAME)`` reads a metric.
- `mailboxes` is a pod with Dovecot and accounts (`tests.stack.mailboxes.Mailboxes`); its Sieve
  scripts send mail to `world.sink`.
- `up` is the whole system of `make up` (`tests.stack.up.WholeSystem`), with webmail.
- ``stack.stop()`` takes the whole pod down, its volumes stay; ``stack.start()`` plays it again.

Postfix's postscreen lets a new client wait; `GREET_WAIT` shortens that. The greylist delays for
`DELAY` seconds; clients in `KNOWN` are never delayed, those in `OFFICE` are our own users.
"""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.conftest import WATCH
from tests.stack import mailboxes as pod_of_mailboxes
from tests.stack.mailboxes import Mailboxes
from tests.stack.stack import (
    DNS_HOST,
    LOGIN_HOST,
    LOGINS,
    REMOTE_HOST,
    SINK_HOST,
    WORLD,
    Stack,
    World,
    published_keys,
    zone,
)
from tests.stack.up import WholeSystem
from tests.testbed import images, podman
from tests.testbed.dns import DnsServer
from tests.testbed.logins import LoginServer
from tests.testbed.pod import Network
from tests.testbed.sink import Sink

TIMEOUT = 300
"""Seconds for one test here: pods start, are killed and drain."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Set the time limit of each test here, and let those of `up` come last.

    It takes the ports of this machine, which other systems take before, and publishes its key.
    """
    last = {item.path for item in items if "up" in getattr(item, "fixturenames", ())}
    items.sort(key=lambda item: item.path in last)
    for item in items:
        if "tests/stack/" in item.path.as_posix() and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(TIMEOUT))


@pytest.fixture(scope="session", autouse=True)
def _containers_run_here() -> None:
    """Where no container can run these tests fail, unless the machine says that it runs none."""
    reason = _why_not()
    if reason and os.environ.get(podman.WITHOUT_CONTAINERS):
        pytest.skip(f"{reason}, and {podman.WITHOUT_CONTAINERS} is set")
    if reason:
        pytest.fail(
            f"the containers cannot be tested: {reason}\n"
            f"Use `make stack`, as root; on a machine where containers cannot run, "
            f"{podman.WITHOUT_CONTAINERS}=1 skips these tests.",
            pytrace=False,
        )


def _why_not() -> str:
    if os.geteuid() != 0:
        return "only root can play many addresses in a network namespace of its own"
    if [name for _, name in socket.if_nameindex()] != ["lo"]:
        return "the test process could not make a network namespace of its own"
    try:
        tags = {name: images.tag(name) for name in images.NAMES}
        if absent := [name for name, tag in tags.items() if not podman.exists("image", tag)]:
            return f"the images {', '.join(absent)} are not built"
        podman.podman("run", "--rm", "--network=none", "--entrypoint=true", tags["valkey"])
    except podman.PodmanError as error:
        return str(error)
    return ""


@pytest.fixture(scope="session", autouse=True)
def _ended_by_a_signal(_containers_run_here: None) -> Iterator[None]:
    """SIGTERM ends the run as Ctrl-C does: what was started is removed."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def network(_containers_run_here: None) -> Iterator[Network]:
    """A network of podman's, and all addresses of `WORLD` on this machine."""
    for each in WORLD:
        subprocess.run(["ip", "route", "replace", "local", each, "dev", "lo"], check=True)
    with Network() as network:
        # podman's own networks, and ours
        WATCH.own_networks += [ipaddress.IPv4Network(each) for each in (*WORLD, network.subnet)]
        yield network


@pytest.fixture(scope="session")
def world(network: Network) -> Iterator[World]:
    """DNS, the mail store behind the pod, another site, and who knows the logins."""
    with (
        DnsServer(zone(), host=DNS_HOST, port=53) as dns,
        Sink(host=SINK_HOST, port=25) as sink,
        Sink(host=REMOTE_HOST, port=25) as remote,
        LoginServer(LOGINS, LOGIN_HOST) as logins,
    ):
        yield World(dns, sink, remote, logins, published_keys(dns))


@pytest.fixture(scope="session")
def stack(network: Network, world: World) -> Iterator[Stack]:
    """A running pod for all tests that leave it as they found it."""
    running = Stack(network, world)
    try:
        running.start()
        yield running
    finally:
        running.remove()


class StartStack(Protocol):
    """Starts a pod of its own: keys laid over gatepost.toml and over the ConfigMap for Postfix, and
    the user of the containers that are not root."""

    def __call__(
        self,
        gatepost: Mapping[str, Any] | None = None,
        postfix: Mapping[str, str] | None = None,
        user: int | None = None,
    ) -> Stack: ...


@pytest.fixture
def start_stack(network: Network, world: World) -> Iterator[StartStack]:
    """Starts pods for one test; at its end they are removed with their volumes."""
    started: list[Stack] = []

    def start(
        gatepost: Mapping[str, Any] | None = None,
        postfix: Mapping[str, str] | None = None,
        user: int | None = None,
    ) -> Stack:
        stack = Stack(network, world, gatepost=gatepost, postfix=postfix, user=user)
        started.append(stack)
        stack.start()
        return stack

    try:
        yield start
    finally:
        for stack in started:
            stack.remove()


@pytest.fixture(scope="session")
def mailboxes(network: Network, world: World) -> Iterator[Mailboxes]:
    """A running pod of mailboxes for all tests that leave its settings as they found them."""
    with pod_of_mailboxes.running(network) as running:
        yield running


@pytest.fixture(scope="session")
def up(network: Network, world: World) -> Iterator[WholeSystem]:
    """The whole system of `make up`, for all tests that leave its settings as they found them.

    The last tests of test_up.py end it, so the files that use it come before that one.
    """
    world.dns.add("far.example", "MX", "10 mx.remote.example")
    with tempfile.TemporaryDirectory(prefix="gatepost-test-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        whole = WholeSystem(network, world, Path(folder) / "state")
        try:
            assert whole.start() is not None
            whole.hurry()
            yield whole
        finally:
            whole.close()
