"""Mail through a real Postfix with the milter and the LMTP proxy, to a mail store of the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.delivery_site import GTUBE, DeliverySite, StubStore
from tests.postfix.site import OUTSIDE, Site, mail, open_directory, running_site
from tests.testbed.postfix import HOSTNAME
from tests.testbed.waiting import wait_until

ANN, BOB = "ann@box.example", "bob@box.example"
FORGED = (
    f"Authentication-Results: {HOSTNAME}; dmarc=pass header.from=signer.example".encode(),
    f"ARC-Authentication-Results: i=1; {HOSTNAME}; dmarc=pass".encode(),
    b"X-Spam-Flag: NO",
    b"x-spam-status: No, score=-100",
)


class MailSystem:
    """Postfix with the milter, and the proxy behind it."""

    def __init__(self, site: Site, delivery: DeliverySite) -> None:
        self.site = site
        self.delivery = delivery

    @property
    def store(self) -> StubStore:
        return self.delivery.store

    def send(self, message: bytes, *recipients: str, client: str = OUTSIDE) -> None:
        reply = self.site.send(message, client=client, recipients=recipients)
        assert reply.code == 250, reply

    def flush(self) -> None:
        self.site.postfix.flush()


@pytest.fixture
def system(tmp_path: Path) -> Iterator[MailSystem]:
    with open_directory() as folder:
        delivery = DeliverySite(tmp_path)
        delivery.settings["authserv_id"] = HOSTNAME
        delivery.daemon.write(delivery.settings)
        settings = {
            "virtual_mailbox_domains": "box.example",
            "virtual_mailbox_maps": "static:there",
            "virtual_transport": f"lmtp:inet:127.0.0.1:{delivery.daemon.port}",
            "lmtp_host_lookup": "native",
            "lmtp_destination_concurrency_failed_cohort_limit": "0",
        }
        with running_site(folder, settings=settings) as site, delivery:
            yield MailSystem(site, delivery)


def test_a_message_from_outside(system: MailSystem) -> None:
    system.send(mail(*FORGED, body=GTUBE.encode() + b"\r\n"), ANN, BOB)
    wait_until(lambda: len(system.store.messages) == 2, "the message")
    message = system.store.of(ANN)[0]
    assert message.fields("X-Spam-Flag") == ["YES"]
    assert len(message.fields("X-Spam-Status")) == 1
    (results,) = message.fields("Authentication-Results")
    assert "dmarc=pass" in results
    (request,) = system.delivery.spamd.requests
    # the field of our milter alone, above our own Received
    top, _, rest = request.message.partition(b"Received: ")
    assert top.startswith(b"Return-Path: <user@signer.example>\r\nAuthentication-Results: ")
    assert b"dmarc=pass header.from=signer.example" in top
    assert b"uthentication-Results" not in rest
    system.site.postfix.wait_for_empty_queue()
    log = system.site.postfix.log_text()
    (line, _) = system.delivery.daemon.log_entries(event="delivered")
    assert f"{line['queue_id']}: to=<{line['recipient']}>" in log


def test_a_forgery_is_told_to_the_scanner_as_one(system: MailSystem) -> None:
    system.site.dns.add("_dmarc.signer.example", "TXT", "v=DMARC1; p=none")
    system.send(mail(*FORGED), ANN, client="192.0.2.5")
    wait_until(lambda: system.store.messages, "the message")
    (request,) = system.delivery.spamd.requests
    assert b"dmarc=fail" in request.message
    assert b"dmarc=pass" not in request.message


def test_mail_waits_in_the_queue_while_spamd_is_away(system: MailSystem) -> None:
    system.delivery.spamd.close()
    system.send(mail(), ANN, BOB)
    system.site.postfix.wait_for_log(r"\[scanner-away\]")
    assert system.store.messages == []
    assert len(system.site.postfix.queue_ids()) == 1
    system.delivery.restart_spamd()
    system.flush()
    wait_until(lambda: len(system.store.messages) == 2, "the message")
    assert [len(system.store.of(one)) for one in (ANN, BOB)] == [1, 1]
    assert {one.status for one in system.store.messages} == {"No"}
    system.site.postfix.wait_for_empty_queue()


def test_only_who_was_deferred_gets_it_again(system: MailSystem) -> None:
    system.store.replies[BOB] = b"452 4.2.2 full"
    system.send(mail(), ANN, BOB)
    system.site.postfix.wait_for_log("452 4.2.2 full")
    del system.store.replies[BOB]
    system.flush()
    wait_until(lambda: len(system.store.messages) == 2, "the message for bob")
    assert [len(system.store.of(one)) for one in (ANN, BOB)] == [1, 1]


def test_utf8_addresses_and_dots(system: MailSystem) -> None:
    system.store.extensions.append(b"SMTPUTF8")
    reply = system.site.send(
        mail("Subject: Grüße".encode(), body=b".\r\n..\r\nx\r\n"),
        recipients=("jörg@box.example",),
        parameters="SMTPUTF8",
    )
    assert reply.code == 250, reply
    wait_until(lambda: system.store.messages, "the message")
    (message,) = system.store.of("jörg@box.example")
    assert message.data.endswith(b"\r\n\r\n.\r\n..\r\nx\r\n")
    assert "SMTPUTF8" in system.store.mails[0]


def test_nothing_is_lost_while_the_proxy_is_killed(system: MailSystem) -> None:
    """Each accepted message is found; again only if the store had it when the proxy died."""
    killed = 0
    for number in range(60):
        system.send(mail(f"X-Number: {number}".encode()), ANN)
        if number % 12 == 11:
            system.delivery.daemon.kill()
            killed += 1
            system.delivery.daemon.start()
    numbers = {str(number) for number in range(60)}

    def found() -> bool:
        system.flush()
        return {one.fields("X-Number")[0] for one in list(system.store.messages)} == numbers

    wait_until(found, "all messages", pause=1.0)
    system.site.postfix.wait_for_empty_queue()
    assert killed == 5
    assert len(system.store.messages) <= 60 + 20 * killed
    assert {one.status for one in system.store.messages} == {"No"}
