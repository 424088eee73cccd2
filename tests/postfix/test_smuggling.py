"""SMTP smuggling against the main.cf that the documentation prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.postfix.conftest import StartPostfix
from tests.testbed.documented import at, main_cf_block
from tests.testbed.postfix import Service
from tests.testbed.recorders import MilterRecorder, PolicyRecorder
from tests.testbed.sink import Sink
from tests.testbed.smtp import RawClient

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", "docs/install.md"]
PROTECTION = ("smtpd_forbid_bare_newline", "smtpd_data_restrictions")
UNPROTECTED = {
    "smtpd_forbid_bare_newline": "no",
    "smtpd_data_restrictions": "",
    "smtpd_forbid_unauth_pipelining": "no",
}
"""Postfix 3.7 as it comes, and not the private one of our tests, which is protected."""
STRANGER = "192.0.2.77"

# what stands in the place of CR LF . CR LF at the end of the first message
ENDS = [
    b"\n.\r\n",
    b"\n.\n",
    b"\r\n.\n",
    b"\r.\r",
    b"\r\n.\r",
    b"\n.\r",
    b"\r.\r\n",
    b"\r.\n",
    b"\n\r.\r\n",
    b"\r\n.\r\r\n",
    b"\r\n\0.\r\n",
]
BELIEVED = {b"\n.\r\n", b"\n.\n", b"\r\n.\n", b"\r\n.\r\r\n"}
"""Those that Postfix takes for the end of a message when nothing is set against it."""


@pytest.fixture
def recorders() -> Iterator[Mapping[str, str]]:
    """The addresses of a milter and a policy server that let everything pass."""
    with MilterRecorder() as milter, PolicyRecorder() as policy:
        yield {"milters": milter.postfix, "policyd": policy.postfix}


def smuggle(port: int, end: bytes) -> None:
    """Send one message whose body has `end` and then the commands for another one."""
    with RawClient(port) as smtp:
        smtp.hello(address=STRANGER)
        assert smtp.begin("a@example.net", "b@gatepost.test").code == 354
        smtp.send(
            b"Subject: first\r\n\r\nHello" + end + b"MAIL FROM:<boss@gatepost.test>\r\n"
            b"RCPT TO:<b@gatepost.test>\r\nDATA\r\nSubject: second\r\n\r\nGive me money\r\n.\r\n"
        )
        smtp.read_reply()
        try:
            while smtp.command("QUIT").code != 221:
                pass  # replies to commands that were smuggled
        except ConnectionError:
            pass  # Postfix has hung up on who talks before he is asked


def arrived(start: StartPostfix, sink: Sink, settings: Mapping[str, str]) -> dict[bytes, list[str]]:
    """The senders of the messages that came of one message, for each end."""
    postfix = start([Service("mx")], {**UNPROTECTED, **settings})
    found: dict[bytes, list[str]] = {}
    for end in ENDS:
        sink.clear()
        smuggle(postfix.port(), end)
        postfix.wait_for_empty_queue()
        found[end] = sorted(delivery.sender for delivery in sink.deliveries)
    return found


@pytest.mark.parametrize("page", PAGES)
def test_no_second_message_gets_in(
    page: str, start_postfix: StartPostfix, sink: Sink, recorders: Mapping[str, str]
) -> None:
    settings = at(main_cf_block(ROOT / page), **recorders)
    found = arrived(start_postfix, sink, settings)
    assert {end: senders for end, senders in found.items() if senders != ["a@example.net"]} == {}


def test_a_second_message_gets_in_without_the_two_lines(
    start_postfix: StartPostfix, sink: Sink, recorders: Mapping[str, str]
) -> None:
    """So that the test above can fail."""
    settings = at(main_cf_block(ROOT / "README.md"), **recorders)
    for line in PROTECTION:
        del settings[line]
    found = arrived(start_postfix, sink, settings)
    smuggled = {end for end, senders in found.items() if "boss@gatepost.test" in senders}
    assert smuggled == BELIEVED


@pytest.mark.parametrize("kept", PROTECTION)
def test_each_line_does_its_part(
    kept: str, start_postfix: StartPostfix, sink: Sink, recorders: Mapping[str, str]
) -> None:
    settings = at(main_cf_block(ROOT / "README.md"), **recorders)
    for line in PROTECTION:
        if line != kept:
            del settings[line]
    found = arrived(start_postfix, sink, settings)
    assert [end for end, senders in found.items() if "boss@gatepost.test" in senders] == []
