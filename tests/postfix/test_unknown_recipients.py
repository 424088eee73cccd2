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


@pytest.mark.parametrize(
    ("reported", "told"),
    [
        (
            "5.1.1 host store[10.0.0.5] said: 550 5.1.1 unknown",
            "5.1.1 Recipient address is not known",
        ),
        ("5.1.10 null MX", "5.1.1 Recipient address is not known"),
        # of the sender, which is ours
        ("5.1.8 bad sender", "5.7.1 The mail store does not take mail for this recipient"),
        ("5.7.1 relay access denied", "5.7.1 The mail store does not take mail for this recipient"),
        ("5.0.0 no", "5.7.1 The mail store does not take mail for this recipient"),
        ("5.2.2 over quota", "5.2.2 The mailbox is full"),
        ("4.2.2 over quota", "4.2.2 The mailbox is full, try again later"),
        (
            "4.7.1 greylisted by store[10.0.0.5]",
            "4.7.1 The mail store cannot take mail for this recipient now, try again later",
        ),
        (
            "4.4.1 connect to store[10.0.0.5]:24: Connection refused",
            "4.4.1 The mail store cannot be reached now, try again later",
        ),
        ("4.4.2 lost connection", "4.4.1 The mail store cannot be reached now, try again later"),
        # a name that is not in DNS may belong to a service that is about to start
        (
            "5.4.4 Host or domain name not found. Name service error",
            "4.4.4 The mail store cannot be reached now, try again later",
        ),
        (
            "5.4.4 unable to look up host store: Name or service not known",
            "4.4.4 The mail store cannot be reached now, try again later",
        ),
    ],
)
def test_what_strangers_are_told(directory: Path, reported: str, told: str) -> None:
    (directory / "main.cf").write_text("compatibility_level = 3.6\n")
    table = f"regexp:{IMAGE / 'recipient_status'}"
    found = subprocess.run(
        ["postmap", "-c", directory, "-q", reported, table],
        env={"PATH": f"{os.environ['PATH']}:/usr/sbin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == f"{told}\n"
