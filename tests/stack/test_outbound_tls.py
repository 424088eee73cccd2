"""Policies of MTA-STS, which Postfix asks a service for before it sends."""

from __future__ import annotations

import socketserver
from collections.abc import Iterator

import pytest

from tests.stack.stack import COLLEAGUE, DNS_HOST, OFFICE, SMTP, World
from tests.stack.test_postfix_image import CAPABILITIES, SETTINGS
from tests.testbed import images, swaks
from tests.testbed.closing import StreamServer
from tests.testbed.container import Container
from tests.testbed.pod import Network
from tests.testbed.podman import podman
from tests.testbed.swaks import Client

POLICIES_HOST = "192.0.2.28"


class Policies(StreamServer):
    """A socketmap with the map `postfix`, as postfix-mta-sts-resolver serves it."""

    def __init__(self) -> None:
        self.answers: dict[str, str] = {}
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while digits := self._until_colon():
                    name, _, key = self.rfile.read(int(digits)).decode().partition(" ")
                    assert self.rfile.read(1) == b","
                    found = outer.answers.get(key) if name == "postfix" else None
                    reply = (f"OK {found}" if found else "NOTFOUND ").encode()
                    self.wfile.write(b"%d:%b," % (len(reply), reply))

            def _until_colon(self) -> str:
                digits = b""
                while (octet := self.rfile.read(1)) not in (b":", b""):
                    digits += octet
                return digits.decode()

        super().__init__(Handler, POLICIES_HOST)


@pytest.fixture
def policies() -> Iterator[Policies]:
    with Policies() as server:
        yield server


@pytest.fixture
def postfix(network: Network, world: World, policies: Policies) -> Iterator[Container]:
    name = network.new_name()
    settings = {
        **SETTINGS,
        "POSTFIX_NETWORKS": f"127.0.0.0/8 {OFFICE}",
        "POSTFIX_MTA_STS": policies.postfix,
    }
    podman(
        "run",
        "--detach",
        f"--name={name}",
        f"--network={network.name}",
        f"--dns={DNS_HOST}",
        "--read-only",
        "--cap-drop=ALL",
        f"--cap-add={CAPABILITIES}",
        "--security-opt=no-new-privileges",
        *(f"--env={name}={value}" for name, value in settings.items()),
        images.tag("postfix"),
    )
    try:
        container = Container("postfix", name, ["probe"])
        container.wait_ready()
        yield container
    finally:
        network.remove(name)


def test_a_policy_is_obeyed(
    network: Network, world: World, policies: Policies, postfix: Container
) -> None:
    """The host that receives offers no TLS."""
    world.dns.add("strict.example", "MX", "10 mx.remote.example")
    policies.answers["strict.example"] = "secure match=mx.remote.example servername=hostname"
    address = postfix.state["NetworkSettings"]["Networks"][network.name]["IPAddress"]
    for recipient in ("carol@strict.example", "carol@remote.example"):
        sent = swaks.send(
            SMTP,
            host=str(address),
            sender="bob@example.org",
            recipients=[recipient],
            subject=f"to {recipient}",
            client=Client(interface=COLLEAGUE),
        )
        assert sent.accepted, sent.transcript
    world.remote.wait_for_subject("to carol@remote.example")
    log = postfix.wait_for_log("TLS is required, but was not offered by host mx.remote.example")
    assert "to=<carol@strict.example>" in log
    assert "status=deferred" in log
    assert not world.remote.matching(
        lambda one: one.message["Subject"] == "to carol@strict.example"
    )
