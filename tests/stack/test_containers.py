"""What the containers are allowed, and that it is enough."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed import images
from testbed.container import Container
from testbed.pod import Network
from testbed.podman import podman
from testbed.waiting import wait_until
from tests.stack.conftest import StartStack
from tests.stack.stack import ALICE, COLLEAGUE, Stack

CONTAINERS = ("milters", "policyd", "postfix")
SEVEN = 0b1110_1011 | 1 << 10
"""CHOWN, DAC_OVERRIDE, FOWNER, KILL, SETGID, SETUID and NET_BIND_SERVICE (capabilities(7))."""
ANY_USER = 54321


def status(container: Container, field: str) -> list[str]:
    """A field of /proc/PID/status of its process 1 (proc(5))."""
    for line in Path(f"/proc/{container.pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return value.split()
    raise AssertionError(f"no {field}")


def capabilities(container: Container) -> int:
    return int(status(container, "CapBnd")[0], 16)


@pytest.mark.parametrize("short", CONTAINERS)
def test_the_root_file_system_is_read_only(stack: Stack, short: str) -> None:
    container = stack.container(short)
    for path in ("/new", "/usr/bin/new", "/etc/new", "/var/lib/new"):
        done = container.attempt("touch", path)
        assert done.returncode != 0
        assert "Read-only file system" in done.stderr


@pytest.mark.parametrize("short", CONTAINERS)
def test_nobody_in_it_can_gain_privileges(stack: Stack, short: str) -> None:
    container = stack.container(short)
    assert status(container, "NoNewPrivs") == ["1"]
    assert status(container, "Seccomp") == ["2"]


@pytest.mark.parametrize("short", ["milters", "policyd"])
def test_gatepost_is_not_root_and_has_no_capability(stack: Stack, short: str) -> None:
    container = stack.container(short)
    assert status(container, "Uid") == ["10001"] * 4
    assert capabilities(container) == 0
    names = {Path(f"/proc/{pid}/comm").read_text().strip() for pid in container.processes()}
    assert names == {"gatepost"}


def test_postfix_has_seven_capabilities_and_its_services_are_not_root(stack: Stack) -> None:
    container = stack.container("postfix")
    assert capabilities(container) == SEVEN
    owners = {
        Path(f"/proc/{pid}/comm").read_text().strip(): Path(f"/proc/{pid}").stat().st_uid
        for pid in container.processes()
    }
    assert owners["master"] == 0
    assert {owners["qmgr"], owners["postscreen"]} == {10025}


@pytest.mark.parametrize("short", CONTAINERS)
def test_no_secret_is_in_the_environment(stack: Stack, short: str) -> None:
    environment = Path(f"/proc/{stack.container(short).pid}/environ").read_bytes()
    secrets = [text for folder in stack.secrets.values() for text in folder.files().values()]
    assert len(secrets) == 4
    for line in (line for text in secrets for line in text.splitlines()[1:-1]):
        assert line.encode() not in environment


def test_any_user_will_do(start_stack: StartStack) -> None:
    """As OpenShift chooses one: it owns nothing, and is in group 0."""
    stack = start_stack(user=ANY_USER)
    assert status(stack.container("policyd"), "Uid") == [str(ANY_USER)] * 4
    own = stack.send(
        "any user", client=COLLEAGUE, sender=ALICE, recipients=("carol@remote.example",)
    )
    assert own.accepted, own.transcript
    assert len(stack.remote.wait_for_subject("any user").fields("DKIM-Signature")) == 2
    # the policy server writes into its volume
    new = stack.send("any user, new", client="203.0.113.9", sender="a@plain.example")
    assert new.reply.text.endswith("[greylist-new]")


@pytest.mark.parametrize("image", images.NAMES)
def test_the_bill_of_materials_is_in_the_image(network: Network, image: str) -> None:
    argv = ("cat", "/usr/share/gatepost.cdx.json")
    text = podman("run", "--rm", "--network=none", "--entrypoint=", images.tag(image), *argv)
    assert '"bomFormat": "CycloneDX"' in text
    wanted = {"gatepost": "pkg:pypi/pymilter@", "postfix": "deb/debian/postfix@"}
    assert wanted.get(image, "deb/debian/valkey-server@") in text


@pytest.fixture
def valkey(network: Network) -> Iterator[Container]:
    """Valkey as nobody in particular, read-only, with a password in a file."""
    # pytest's tmp_path can be reached by root alone
    with tempfile.TemporaryDirectory(prefix="gatepost-test-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        (Path(folder) / "password").write_text("correct-horse\n")
        (Path(folder) / "password").chmod(0o440)
        name = network.new_name()
        try:
            _run_valkey(name, folder)
            yield Container("valkey", name, ["probe"])
        finally:
            network.remove(name)


def _run_valkey(name: str, secrets: str) -> None:
    podman(
        "run",
        "--detach",
        f"--name={name}",
        "--network=none",
        "--read-only",
        "--tmpfs=/tmp",
        f"--user={ANY_USER}:0",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        f"--volume={secrets}:/secrets:ro",
        "--env=VALKEY_PASSWORD_FILE=/secrets/password",
        images.tag("valkey"),
    )


def test_valkey_asks_for_its_password_and_stops_in_good_order(valkey: Container) -> None:
    valkey.wait_ready()
    podman("healthcheck", "run", valkey.name)
    assert status(valkey, "Uid") == [str(ANY_USER)] * 4
    assert "NOAUTH" in valkey.execute("valkey-cli", "SET", "a", "b")
    assert b"correct-horse" not in Path(f"/proc/{valkey.pid}/environ").read_bytes()
    assert b"correct-horse" not in Path(f"/proc/{valkey.pid}/cmdline").read_bytes()
    podman("stop", valkey.name)
    wait_until(lambda: not valkey.pid, "Valkey to end")
    assert valkey.state["State"]["ExitCode"] == 0
