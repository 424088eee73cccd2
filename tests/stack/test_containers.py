"""What the containers are allowed, and that it is enough."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from tests.stack.conftest import StartStack
from tests.stack.stack import ALICE, COLLEAGUE, Stack
from tests.testbed.container import Container, process_status
from tests.testbed.smtp import RawClient

CONTAINERS = ("milters", "policyd", "postfix")
SEVEN = 0b1110_1011 | 1 << 10
"""CHOWN, DAC_OVERRIDE, FOWNER, KILL, SETGID, SETUID and NET_BIND_SERVICE (capabilities(7))."""
ANY_USER = 54321


def capabilities(container: Container) -> int:
    return int(process_status(container, "CapBnd")[0], 16)


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
    assert process_status(container, "NoNewPrivs") == ["1"]
    assert process_status(container, "Seccomp") == ["2"]


@pytest.mark.parametrize("short", ["milters", "policyd"])
def test_gatepost_is_not_root_and_has_no_capability(stack: Stack, short: str) -> None:
    container = stack.container(short)
    assert process_status(container, "Uid") == ["10001"] * 4
    assert capabilities(container) == 0
    names = {Path(f"/proc/{pid}/comm").read_text().strip() for pid in container.processes()}
    assert names == {"gatepost"}


def test_postfix_has_seven_capabilities_and_its_services_are_not_root(stack: Stack) -> None:
    container = stack.container("postfix")
    assert capabilities(container) == SEVEN
    # postscreen ends when nobody has connected for a while
    with RawClient(25, host=stack.address):
        owners = {}
        for pid in container.processes():
            with contextlib.suppress(OSError):  # it has ended meanwhile
                name = Path(f"/proc/{pid}/comm").read_text().strip()
                owners[name] = Path(f"/proc/{pid}").stat().st_uid
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
    assert process_status(stack.container("policyd"), "Uid") == [str(ANY_USER)] * 4
    own = stack.send(
        "any user", client=COLLEAGUE, sender=ALICE, recipients=("carol@remote.example",)
    )
    assert own.accepted, own.transcript
    assert len(stack.remote.wait_for_subject("any user").fields("DKIM-Signature")) == 2
    # the policy server writes into its volume
    new = stack.send("any user, new", client="203.0.113.9", sender="a@plain.example")
    assert new.reply.text.endswith("[greylist-new]")
