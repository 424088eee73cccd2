"""The Rspamd image: its password, and the data of users in Valkey."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.stack.alone import ANY_USER, Alone, configuration
from tests.testbed import images
from tests.testbed.container import Container, process_status
from tests.testbed.pod import Network
from tests.testbed.podman import podman
from tests.testbed.waiting import wait_until

DATA = "/var/lib/rspamd"
PASSWORD = "correct-horse-battery"
ANN, BOB = "ann@example.org", "bob@example.org"
HEAD = (
    "From: Carl <carl@example.net>\r\nTo: ann@example.org\r\nSubject: lunch\r\n"
    "Date: Fri, 27 Nov 2026 01:00:00 +0000\r\nMessage-ID: <{name}@example.net>\r\n\r\n"
)
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*" + "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"

ASK_INSIDE = r"""
for path in "$@"; do
  exec 3<>/dev/tcp/127.0.0.1/11334
  printf 'POST %s HTTP/1.0\r\nContent-Length: 6\r\n\r\nA: b\r\n' "$path" >&3
  read -r line <&3
  echo "$path $line"
  exec 3>&-
done
"""


def message(name: str, text: str) -> bytes:
    return f"{HEAD.format(name=name)}{text}\r\n".encode()


class Rspamd:
    """Rspamd in its container, which the test reaches by its address."""

    def __init__(self, container: Container, network: Network) -> None:
        self.container = container
        networks = container.state["NetworkSettings"]["Networks"]
        self.address = str(networks[network.name]["IPAddress"])

    def ask(self, path: str, body: bytes, **fields: str) -> tuple[int, Any]:
        link = http.client.HTTPConnection(self.address, 11334, timeout=60)
        link.request("POST", path, body, {"Password": PASSWORD, **fields})
        answer = link.getresponse()
        text = answer.read()
        link.close()
        return answer.status, json.loads(text) if text.startswith(b"{") else text

    def symbols(self, body: bytes, user: str) -> dict[str, Any]:
        status, found = self.ask("/checkv2", body, Rcpt=user)
        assert status == 200, found
        symbols: dict[str, Any] = found["symbols"]
        return symbols


@pytest.fixture(scope="module")
def valkey(network: Network) -> Iterator[str]:
    """The address of Valkey."""
    name = network.new_name()
    try:
        podman(
            "run",
            "--detach",
            f"--name={name}",
            f"--network={network.name}",
            "--read-only",
            "--tmpfs=/tmp",
            images.tag("valkey"),
        )
        container = Container("valkey", name, ["probe"])
        container.wait_ready()
        yield str(container.state["NetworkSettings"]["Networks"][network.name]["IPAddress"])
    finally:
        network.remove(name)


@pytest.fixture(scope="module")
def settings() -> Iterator[Path]:
    with configuration() as folder:
        (folder / "password").write_text(f"{PASSWORD}\n")
        yield folder


@pytest.fixture(scope="module")
def rspamd(network: Network, valkey: str, settings: Path) -> Iterator[Rspamd]:
    alone = Alone(network, "rspamd", settings, DATA)
    try:
        container = alone.start(
            f"--network={network.name}",
            "--env=RSPAMD_LISTEN=*",
            f"--env=RSPAMD_VALKEY={valkey}:6379",
            "--env=RSPAMD_MIN_LEARNED=1",
            "--env=GATE_WATCH_INTERVAL=1",
        )
        # the first start compiles patterns for half a minute
        wait_until(container.is_ready, "Rspamd to be ready", deadline=200, pause=0.5)
        yield Rspamd(container, network)
    finally:
        alone.remove()


def test_nobody_comes_in_without_the_password_not_even_from_loopback(rspamd: Rspamd) -> None:
    podman("healthcheck", "run", rspamd.container.name)
    assert process_status(rspamd.container, "Uid") == [str(ANY_USER)] * 4
    paths = (
        "/checkv2",
        "/learnspam",
        "/learnham",
        "/stat",
        "/auth",
        "/history",
        "/metrics",
        "/graph",
    )
    said = rspamd.container.execute("bash", "-c", ASK_INSIDE, "ask", *paths).splitlines()
    assert [line.split()[2] for line in said] == ["401"] * len(paths)
    for path in paths:
        assert rspamd.ask(path, b"A: b\r\n", Password="wrong")[0] in (401, 403)
    for file in ("environ", "cmdline"):
        assert PASSWORD.encode() not in Path(f"/proc/{rspamd.container.pid}/{file}").read_bytes()


def test_it_judges(rspamd: Rspamd) -> None:
    status, found = rspamd.ask("/checkv2", message("gtube", GTUBE), Rcpt=ANN)
    assert status == 200
    assert "GTUBE" in found["symbols"]
    found = rspamd.symbols(message("plain", "Shall we meet for lunch?"), ANN)
    # our milter and our policy server do these
    for name in ("R_DKIM_NA", "R_SPF_NA", "DMARC_NA", "ARC_NA", "GREYLIST"):
        assert name not in found


def test_the_training_of_one_user_is_not_that_of_another(rspamd: Rspamd) -> None:
    spam = "cheap watches and pills for everybody who reads this wonderful offer today " * 8
    ham = "the minutes of our meeting about the garden and the new fence by the river " * 8
    for path, text in (("/learnspam", spam), ("/learnham", ham)):
        status, said = rspamd.ask(path, message(f"from{path[1:]}", text), Rcpt=ANN)
        assert status == 200, said
    assert "BAYES_SPAM" in rspamd.symbols(message("again", spam), ANN)
    assert not {"BAYES_SPAM", "BAYES_HAM"} & set(rspamd.symbols(message("again", spam), BOB))
    # no news for ann, but for bob
    assert rspamd.ask("/learnspam", message("more", spam), Rcpt=ANN)[0] in (204, 208)
    assert rspamd.ask("/learnspam", message("more", spam), Rcpt=BOB)[0] == 200


def test_a_bad_change_leaves_it_as_it_is_and_the_volume_makes_the_next_start_small(
    rspamd: Rspamd, settings: Path
) -> None:
    (settings / "password").unlink()
    rspamd.container.wait_for_log("the old one stays in use")
    assert rspamd.ask("/stat", b"")[0] == 200
    (settings / "password").write_text("another-horse-battery\n")
    rspamd.container.wait_for_log("started again with the new configuration")
    wait_until(rspamd.container.is_ready, "Rspamd to be ready", deadline=200, pause=0.5)
    assert rspamd.ask("/stat", b"")[0] in (401, 403)
    assert rspamd.ask("/stat", b"", Password="another-horse-battery")[0] == 200
    assert rspamd.container.memory() < 160 << 20
