"""The Postfix image asks the mail store for recipients: an outage is no unknown recipient."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.testbed.documented import parse_main_cf
from tests.testbed.ports import free_ports
from tests.testbed.postfix import PrivatePostfix, default_services
from tests.testbed.sink import Sink
from tests.testbed.smtp import RawClient, Reply

IMAGE = Path(__file__).resolve().parents[2] / "images" / "postfix"


class AskingPostfix(PrivatePostfix):
    """A private Postfix with what `render` of the image writes about such questions."""

    def __init__(self, directory: Path, next_hop: str) -> None:
        table = directory / "recipient_status"
        directory.mkdir(mode=0o755)
        shutil.copy(IMAGE / "recipient_status", table)
        table.chmod(0o644)
        out = directory / "rendered"
        out.mkdir()
        subprocess.run(
            ["bash", IMAGE / "bin" / "render", out],
            env={
                "PATH": os.environ["PATH"],
                "GATE_CONFIG": str(directory / "none"),
                "GATE_TLS": str(directory / "none"),
                "GATE_IMAGE": str(IMAGE),
                "POSTFIX_HOSTNAME": "mail.gatepost.test",
                "POSTFIX_DOMAINS": "gatepost.test",
                "POSTFIX_NEXT_HOP": next_hop,
            },
            check=True,
        )
        rendered = parse_main_cf((out / "main.cf").read_text())
        settings = {
            name: value
            for name, value in rendered.items()
            if name.startswith(("address_verify_", "unverified_recipient_"))
        }
        (service,) = re.findall(r"(?m)^ask\w+ .*\n(?: .*\n)+", (out / "master.cf").read_text())
        self.asking = service.replace(str(IMAGE), str(directory))
        mx = default_services()[0]
        restrictions = mx.settings["smtpd_recipient_restrictions"]
        super().__init__(
            directory,
            next_hop,
            services=[
                type(mx)(
                    "mx",
                    {
                        **mx.settings,
                        "smtpd_recipient_restrictions": f"{restrictions},"
                        " reject_unverified_recipient",
                    },
                )
            ],
            settings={**settings, "address_verify_map": "btree:$data_directory/verify"},
        )

    def write_configuration(self) -> None:
        super().write_configuration()
        with (self.configuration / "master.cf").open("a") as file:
            file.write(self.asking)

    def ask(self, recipient: str) -> Reply:
        with RawClient(self.port("mx")) as smtp:
            smtp.hello()
            smtp.command("MAIL FROM:<someone@sender.example>")
            return smtp.command(f"RCPT TO:<{recipient}@gatepost.test>")


@pytest.fixture(params=["smtp:[127.0.0.1]", "lmtp:inet:127.0.0.1"])
def asking(directory: Path, request: pytest.FixtureRequest) -> Iterator[AskingPostfix]:
    (port,) = free_ports(1)
    postfix = AskingPostfix(directory / "asking", f"{request.param}:{port}")
    # as in the image, but sooner, and not before smtpd has read the answer
    assert postfix.settings["address_verify_negative_refresh_time"] == "1m"
    assert postfix.settings["address_verify_negative_expire_time"] == "2m"
    postfix.settings["address_verify_negative_refresh_time"] = "5s"
    postfix.settings["address_verify_negative_expire_time"] = "10s"
    postfix.start()
    yield postfix
    postfix.stop()


def store(asking: AskingPostfix) -> Sink:
    """The next hop, which was away until now."""
    port = int(asking.next_hop.rpartition(":")[2])
    return Sink(port=port, lmtp=asking.next_hop.startswith("lmtp"))


def test_an_unknown_recipient_is_unknown(asking: AskingPostfix) -> None:
    with store(asking) as sink:
        sink.refuse_recipients("nobody@gatepost.test")
        assert asking.ask("anna").code == 250
        reply = asking.ask("nobody")
        assert reply.code == 550
        assert "Recipient address is not known" in reply.text
        # what the mail store said is its own
        assert "no such user here" not in reply.text
        assert "127.0.0.1" not in reply.text


def test_an_outage_is_none_and_ends_with_it(asking: AskingPostfix) -> None:
    reply = asking.ask("anna")
    assert reply.code == 450
    assert "cannot be reached now, try again later" in reply.text
    assert "known" not in reply.text
    assert "127.0.0.1" not in reply.text
    with store(asking):
        time.sleep(11)
        assert asking.ask("anna").code == 250
