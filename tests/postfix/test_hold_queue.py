"""The hold queue of a real Postfix: mail that the milter puts there, released and deleted."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from tests.daemon.quarantine_client import HolderClient
from tests.postfix.site import MILTERS, Site, mail, open_directory, running_site
from tests.testbed.daemon import gatepost_command
from tests.testbed.ports import LOOPBACK
from tests.testbed.waiting import wait_until

STRANGER = "198.51.100.9"
RCPT = "rcpt@gatepost.test"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    milters = f'{MILTERS}\n[milters.policy]\nquarantine = "hold"'
    domains = ("gatepost.test", "elsewhere.test")
    with (
        open_directory() as folder,
        running_site(folder, milters=milters, relay_domains=domains) as running,
    ):
        yield running


@pytest.fixture(scope="module")
def client(site: Site) -> Iterator[HolderClient]:
    client = HolderClient(site.postfix.directory)
    command = [
        *(str(gatepost_command()), "hold-queue"),
        *("--listen", f"inet:{client.port}@{LOOPBACK}"),
        *("--token-file", str(client.token_file)),
        *("--postfix", str(site.postfix.configuration)),
    ]
    with subprocess.Popen(command) as process:
        try:
            wait_until(lambda: _answers(client), "the hold queue to be served")
            yield client
        finally:
            process.terminate()
            assert process.wait(40) == 0


def _answers(client: HolderClient) -> bool:
    try:
        return client.post("/list", {"domains": None, "limit": 1})[0] == 200
    except OSError:
        return False


def hold(site: Site, *recipients: str, subject: bytes = b"held") -> str:
    """Send mail that DMARC refuses; returns its queue id."""
    before = set(site.postfix.queue_ids())
    message = mail().replace(b"Subject: ", b"Subject: %b " % subject)
    reply = site.send(message, client=STRANGER, recipients=recipients or (RCPT,))
    assert reply.code == 250, reply
    (held,) = set(site.postfix.queue_ids()) - before
    (entry,) = [one for one in site.postfix.queue_entries() if one["queue_id"] == held]
    assert entry["queue_name"] == "hold"
    return held


def test_a_held_mail_is_shown_and_released_once(site: Site, client: HolderClient) -> None:
    site.sink.clear()
    held = hold(site, subject=b"=?utf-8?q?b=C3=B6se?=")
    (found,) = client.mails()
    assert (found["id"], found["kind"], found["queue_id"]) == (held, "hold", held)
    assert (found["sender"], found["recipients"]) == ("user@signer.example", [RCPT])
    assert found["subject"].startswith("böse")
    content = client.content(held)
    assert b"Subject: =?utf-8?q?b" in content
    assert b"\r\n\r\n" in content
    assert b"*** " not in content  # nothing of postcat's own
    assert client.content(held, most=10) == content[:10]
    done = client.ask("/release", id=held, by="root")
    assert (done["released"], done["kept"]) == ([RCPT], {})
    (arrived,) = site.sink.wait_for(lambda _: True)
    assert arrived.recipients == (RCPT,)
    site.postfix.wait_for_empty_queue()
    assert client.post("/release", {"domains": None, "id": held})[0] == 404
    assert client.mails() == []
    assert len(site.sink.wait_for(lambda _: True)) == 1


def test_a_deleted_mail_is_gone(site: Site, client: HolderClient) -> None:
    site.sink.clear()
    kept, gone = hold(site), hold(site)
    assert client.ask("/delete", id=gone, by="root")["mail"]["message_id"]
    assert [one["id"] for one in client.mails()] == [kept]
    assert client.post("/delete", {"domains": None, "id": gone})[0] == 404
    client.ask("/delete", id=kept, by="root")
    assert site.postfix.queue_ids() == []


def test_no_id_means_more_than_one_mail_or_mail_that_is_not_on_hold(
    site: Site, client: HolderClient
) -> None:
    held = hold(site)
    site.sink.clear()
    for name in ("ALL", "-", "hold", "-d", held.lower() + "x", f"{held}0"):
        for path in ("/read", "/release", "/delete"):
            status, _ = client.post(path, {"domains": None, "id": name})
            assert status in (400, 404), (path, name)
    assert site.postfix.queue_ids() == [held]
    client.ask("/delete", id=held, by="root")


def test_who_has_some_of_the_domains_sees_and_does_no_more(
    site: Site, client: HolderClient
) -> None:
    held = hold(site, RCPT, "other@elsewhere.test")
    (found,) = client.mails(domains=["gatepost.test"])
    assert (found["recipients"], found["has_others"]) == ([RCPT], True)
    assert client.mails(domains=["signer.example"]) == []
    for path in ("/release", "/delete"):
        status, octets = client.post(path, {"domains": ["gatepost.test"], "id": held})
        assert status == 403, octets
        assert json.loads(octets)["error"]
        assert client.post(path, {"domains": ["signer.example"], "id": held})[0] == 404
    assert site.postfix.queue_ids() == [held]
    client.ask("/delete", id=held, by="root")
