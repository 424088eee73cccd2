"""Findings of `gatepost config check --postfix` about the milter are effects that Postfix has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.daemon.milters import Milters
from tests.postfix.conftest import StartPostfix
from tests.testbed.dns import DnsServer
from tests.testbed.oracles import dkimpy_verdicts
from tests.testbed.postfix import default_services
from tests.testbed.sink import Delivery, Sink
from tests.testbed.smtp import RawClient

SETTINGS = 'internal_networks = ["10.0.0.0/8"]\n[milters.sign]\ncanonicalization = "simple/simple"'
MESSAGE = b"From: alice@signer.example\r\nSubject:no blank\r\n\r\nHi\r\n"
WITHOUT_LOGIN = "i {mail_addr}"


class Site:
    """A milter, and a Postfix with other settings for each test."""

    def __init__(
        self, milters: Milters, dns: DnsServer, sink: Sink, start_postfix: StartPostfix
    ) -> None:
        self.milters, self.dns, self.sink, self._start = milters, dns, sink, start_postfix

    def send(self, settings: Mapping[str, str], client: str, login: str = "") -> Delivery:
        """The message as it arrives, sent by a client with this address and login."""
        postfix = self._start(default_services(milters=self.milters.postfix), settings)
        with RawClient(postfix.port("mx")) as smtp:
            smtp.command("EHLO x")
            known = f"LOGIN={login}" if login else ""
            smtp.command(f"XCLIENT ADDR={client} NAME=[UNAVAILABLE] {known}".rstrip())
            smtp.command("EHLO client.example.net")
            assert smtp.begin("alice@signer.example", "b@gatepost.test").code == 354
            smtp.send(MESSAGE)
            assert smtp.end().code == 250
            (delivery,) = self.sink.wait_for(lambda _: True)
            return delivery


@pytest.fixture
def site(
    directory: Path, dns: DnsServer, sink: Sink, start_postfix: StartPostfix
) -> Iterator[Site]:
    (directory / "milters").mkdir()
    milters = Milters(directory / "milters", dns, tcp=True)
    milters.configure(SETTINGS)
    # it has its ports before Postfix chooses others
    with milters:
        yield Site(milters, dns, sink, start_postfix)


@pytest.mark.parametrize("version", ["2", "3", "4", "6"])
def test_the_milter_asks_for_its_macros_whatever_main_cf_lists(site: Site, version: str) -> None:
    """So no list of macros is a finding."""
    site.send(
        {"milter_protocol": version, "milter_mail_macros": WITHOUT_LOGIN}, "192.0.2.77", "alice"
    )
    assert site.milters.wait_for_log(event="message")["origin"] == "authenticated"


@pytest.mark.parametrize(
    ("settings", "is_signed"), [({}, False), ({"milter_macro_defaults": "{auth_authen}=x"}, True)]
)
def test_a_default_for_the_login_has_strangers_mail_signed(
    site: Site, settings: Mapping[str, str], is_signed: bool
) -> None:
    arrived = site.send(settings, "192.0.2.77")
    assert bool(arrived.fields("DKIM-Signature")) == is_signed


@pytest.mark.parametrize(("version", "verifies"), [("6", True), ("4", False), ("2", False)])
def test_an_older_protocol_hides_white_space(site: Site, version: str, verifies: bool) -> None:
    arrived = site.send({"milter_protocol": version}, "10.1.2.3")
    verdicts = {verdict for _, verdict in dkimpy_verdicts(arrived.octets, site.dns)}
    assert (verdicts == {"pass"}) == verifies
