"""The Gatepost image by itself, run as its README says, by anybody and with next to nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.testbed import images
from tests.testbed.container import Container, process_status
from tests.testbed.pod import Network
from tests.testbed.podman import podman
from tests.testbed.waiting import wait_until

ANY_USER = 54321
SOCKETS, STORE = "/run/gatepost", "/var/lib/gatepost"
CONFIG = """
hostname = "mail.example.org"
[milters]
listen = "unix:/run/gatepost/milter.sock"
keys = "/etc/gatepost/keys"
workers = 2
[policyd]
listen = "unix:/run/gatepost/policyd.sock"
"""

Run = Callable[..., Container]


@pytest.fixture
def run(network: Network) -> Iterator[Run]:
    """Runs a daemon with nothing to write to but the volumes named; all go at the end."""
    names: list[str] = []
    # pytest's tmp_path can be reached by root alone
    with tempfile.TemporaryDirectory(prefix="gatepost-test-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        (Path(folder) / "keys").mkdir()
        (Path(folder) / "gatepost.toml").write_text(CONFIG)

        def start(daemon: str, probe: str, *volumes: str) -> Container:
            name = network.new_name()
            names.append(name)
            podman(
                "run",
                "--detach",
                f"--name={name}",
                "--network=none",
                "--read-only",
                "--read-only-tmpfs=false",
                f"--user={ANY_USER}:0",
                "--cap-drop=ALL",
                "--security-opt=no-new-privileges",
                f"--volume={folder}:/etc/gatepost:ro",
                *(f"--volume={name}-{number}:{at}" for number, at in enumerate(volumes)),
                images.tag("gatepost"),
                daemon,
            )
            return Container(daemon, name, ["gatepost", "probe", *probe.split()])

        try:
            yield start
        finally:
            for name in names:
                network.remove(name)


def mounts(container: Container) -> set[str]:
    return {each["Destination"] for each in container.state["Mounts"]}


def test_the_milter_keeps_nothing(run: Run) -> None:
    milters = run("milters", "milter unix:/run/gatepost/milter.sock", SOCKETS)
    milters.wait_ready()
    assert process_status(milters, "Uid") == [str(ANY_USER)] * 4
    assert milters.attempt("touch", "/tmp/new").returncode != 0  # noqa: S108 (of the container)
    assert STORE not in mounts(milters)


def test_the_policy_server_writes_its_store_alone(run: Run) -> None:
    policyd = run("policyd", "policy unix:/run/gatepost/policyd.sock", SOCKETS, STORE)
    policyd.wait_ready()
    assert "policyd.sqlite" in policyd.execute("ls", STORE)


def test_a_policy_server_that_cannot_keep_what_it_learns_says_so(run: Run) -> None:
    """And not into a volume without a name, which nobody finds again."""
    policyd = run("policyd", "policy unix:/run/gatepost/policyd.sock", SOCKETS)
    wait_until(lambda: not policyd.pid, "it to end")
    assert "cannot open the store /var/lib/gatepost/policyd.sqlite" in policyd.log()
    assert STORE not in mounts(policyd)
