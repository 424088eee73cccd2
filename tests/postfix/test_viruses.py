"""Viruses through a real Postfix: refused before the queue, by clamd that the milter asks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.daemon.delivery_site import DeliverySite
from tests.postfix.site import INSIDE, MILTERS, OUTSIDE, Site, mail, open_directory, running_site
from tests.testbed.clamd import ATTACHMENT, EICAR, NAME, ClamdServer
from tests.testbed.waiting import wait_until

HEADER = (
    b"From: User <user@signer.example>\r\nSubject: an invoice\r\n"
    b"Date: Sat, 21 Nov 2026 06:56:50 +0000\r\nMessage-ID: <1@signer.example>\r\n"
)
ANN = "ann@box.example"


@pytest.fixture(scope="module")
def clamd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClamdServer]:
    with ClamdServer(tmp_path_factory.mktemp("clamd")) as server:
        yield server


@pytest.fixture(scope="module")
def delivery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeliverySite]:
    with DeliverySite(tmp_path_factory.mktemp("delivery")) as site:
        yield site


@pytest.fixture(scope="module")
def site(clamd: ClamdServer, delivery: DeliverySite) -> Iterator[Site]:
    settings = {
        "virtual_mailbox_domains": "box.example",
        "virtual_mailbox_maps": "static:there",
        "virtual_transport": f"lmtp:inet:127.0.0.1:{delivery.daemon.port}",
        "lmtp_host_lookup": "native",
    }
    milters = f'{MILTERS}\n[milters.virus]\naddress = "{clamd.address}"\ntimeout = "20s"'
    with (
        open_directory() as folder,
        running_site(folder, milters=milters, settings=settings) as running,
    ):
        yield running


@pytest.mark.parametrize("client", [INSIDE, OUTSIDE])
def test_a_virus_gets_550_and_nobody_a_bounce(site: Site, client: str) -> None:
    site.sink.clear()
    reply = site.send(HEADER + ATTACHMENT, client=client)
    assert reply.code == 550
    assert NAME in str(reply)
    assert "[virus]" in str(reply)
    # a plain body too, and the transaction after it goes through
    assert site.send(mail(body=EICAR + b"\r\n"), client=client).code == 550
    arrived = site.arrives(mail(), client=client)
    assert arrived.fields("X-Virus-Status") == ["Clean"]
    assert len(site.sink.wait_for(lambda _: True)) == 1


def test_the_result_is_above_our_received_and_claims_are_gone(site: Site) -> None:
    arrived = site.arrives(mail(b"X-Virus-Status: Clean (really)", b"x-virus-status: Clean"))
    assert arrived.fields("X-Virus-Status") == ["Clean"]
    names = arrived.field_names()
    assert names.index("X-Virus-Status") < names.index("Received")


def test_mail_waits_while_clamd_is_away(site: Site, clamd: ClamdServer) -> None:
    clamd.kill()
    try:
        reply = site.send(mail())
    finally:
        clamd.start()
    assert reply.code == 451
    assert "[virus-scanner-away]" in str(reply)
    assert site.send(mail()).code == 250


def test_the_result_reaches_the_mailbox(site: Site, delivery: DeliverySite) -> None:
    forged = mail(b"X-Virus-Status: Infected (forged)")
    assert site.send(forged, recipients=(ANN,)).code == 250
    wait_until(lambda: delivery.store.messages, "the message")
    (stored,) = delivery.store.messages
    assert stored.fields("X-Virus-Status") == ["Clean"]
    assert b"forged" not in stored.data
