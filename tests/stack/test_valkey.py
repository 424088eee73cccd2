"""The Valkey image: with a password, and as the store of the policy server."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack.conftest import StartStack
from tests.testbed import images
from tests.testbed.container import Container, process_status
from tests.testbed.pod import Network
from tests.testbed.podman import podman
from tests.testbed.swaks import Exchange
from tests.testbed.waiting import wait_until

ANY_USER = 54321
PASSWORD = "correct-horse"


def run(name: str, *options: str) -> Container:
    """Valkey as nobody in particular, with nothing to write to but its volume and /tmp."""
    podman(
        "run",
        "--detach",
        f"--name={name}",
        "--read-only",
        "--tmpfs=/tmp",
        f"--user={ANY_USER}:0",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        *options,
        images.tag("valkey"),
    )
    return Container("valkey", name, ["probe"])


@pytest.fixture
def guarded(network: Network) -> Iterator[Container]:
    """One that asks for a password."""
    name = network.new_name()
    # pytest's tmp_path can be reached by root alone
    with tempfile.TemporaryDirectory(prefix="gatepost-test-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        (Path(folder) / "password").write_text(f"{PASSWORD}\n")
        (Path(folder) / "password").chmod(0o440)
        try:
            yield run(
                name,
                "--network=none",
                f"--volume={folder}:/secrets:ro",
                "--env=VALKEY_PASSWORD_FILE=/secrets/password",
            )
        finally:
            network.remove(name)


@pytest.fixture
def store(network: Network) -> Iterator[Container]:
    """One that the pods reach."""
    name = network.new_name()
    try:
        yield run(name, f"--network={network.name}")
    finally:
        network.remove(name)


def test_it_asks_for_its_password_and_stops_in_good_order(guarded: Container) -> None:
    guarded.wait_ready()
    podman("healthcheck", "run", guarded.name)
    assert process_status(guarded, "Uid") == [str(ANY_USER)] * 4
    assert "NOAUTH" in guarded.execute("valkey-cli", "SET", "a", "b")
    for file in ("environ", "cmdline"):
        assert PASSWORD.encode() not in Path(f"/proc/{guarded.pid}/{file}").read_bytes()
    podman("stop", guarded.name)
    wait_until(lambda: not guarded.pid, "Valkey to end")
    assert guarded.state["State"]["ExitCode"] == 0


def test_the_policy_server_keeps_its_greylist_in_it(
    network: Network, store: Container, start_stack: StartStack
) -> None:
    store.wait_ready()
    address = store.state["NetworkSettings"]["Networks"][network.name]["IPAddress"]
    settings = {"kind": "valkey", "url": f"valkey://{address}:6379/0"}
    stack = start_stack(gatepost={"policyd": {"store": settings}})

    def send() -> Exchange:
        return stack.send("kept in Valkey", client="203.0.113.9", sender="a@plain.example")

    assert send().reply.text.endswith("[greylist-new]")
    assert int(store.execute("valkey-cli", "DBSIZE")) > 0
    # what the policy server has learned outlives it
    stack.container("policyd").kill_and_wait_ready()

    def again() -> Exchange | None:
        sent = send()
        assert sent.accepted or sent.reply.text.endswith("[greylist-early]"), sent.transcript
        return sent if sent.accepted else None

    wait_until(again, "the delay to be over")
    stack.sink.wait_for_subject("kept in Valkey")
