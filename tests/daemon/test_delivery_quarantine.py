"""The quarantine folder of `gatepost delivery`: a virus is kept, shown, released and deleted."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.daemon.delivery_site import HEAD, DeliverySite
from tests.daemon.quarantine_client import HolderClient
from tests.daemon.test_delivery_scanner import StubClamd
from tests.testbed.daemon import gatepost_command
from tests.testbed.ports import LOOPBACK
from tests.testbed.waiting import wait_until

VIRUS = HEAD.replace(b"Subject: hello", b"Subject: =?utf-8?q?b=C3=B6se?=") + b"\r\na virus\r\n"
ANN, BOB, CARL = "ann@example.org", "bob@example.net", "carl@example.org"


class QuarantineSite(DeliverySite):
    """A site with clamd and a quarantine folder."""

    def __init__(self, directory: Path, **quarantine: object) -> None:
        self.clamd = StubClamd()
        self.client = HolderClient(directory)
        self.folder = directory / "quarantine"
        settings = {
            "virus": {"enabled": True, "address": self.clamd.address},
            "quarantine": {"folder": str(self.folder), **self.client.settings, **quarantine},
        }
        super().__init__(directory, settings)

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self.clamd.close()

    @property
    def names(self) -> list[str]:
        return sorted(one.name for one in self.folder.iterdir())

    def restart(self) -> None:
        self.daemon.stop()
        self.daemon.start()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., QuarantineSite]]:
    sites = []

    def one(**quarantine: object) -> QuarantineSite:
        site = QuarantineSite(tmp_path, **quarantine)
        sites.append(site)
        site.__enter__()
        return site

    yield one
    for site in sites:
        site.__exit__(None, None, None)


@pytest.fixture
def site(make: Callable[..., QuarantineSite]) -> QuarantineSite:
    return make()


def test_a_virus_is_kept_shown_and_released_once(site: QuarantineSite) -> None:
    answers = site.send(VIRUS, ANN, BOB, sender="sender@example.com")
    assert answers == ["250 2.0.0 Kept in quarantine"] * 2
    assert site.store.messages == []
    (mail,) = site.client.mails()
    assert (mail["kind"], mail["reason"], mail["sender"]) == (
        "virus",
        "Eicar-Test",
        "sender@example.com",
    )
    assert mail["recipients"] == [ANN, BOB]
    assert mail["subject"] == "böse"
    assert (mail["queue_id"], mail["message_id"]) == ("4XyzAb12", "<1@example.com>")
    assert site.client.content(mail["id"]).endswith(b"\r\n\r\na virus\r\n")
    assert site.client.content(mail["id"], most=20) == VIRUS[:20]

    done = site.client.ask("/release", id=mail["id"], by="root")
    assert done["released"] == [ANN, BOB]
    assert done["kept"] == {}
    (first,) = site.store.of(ANN)
    assert first.fields("X-Virus-Status") == ["Infected (Eicar-Test), released by root"]
    assert first.status == "No"  # scanned for spam like other mail
    assert len(site.store.of(BOB)) == 1
    assert site.client.mails() == []
    assert site.names == []
    assert site.client.post("/release", {"domains": None, "id": mail["id"]})[0] == 404
    assert len(site.store.messages) == 2
    entry = site.daemon.log_entries(event="quarantine", action="released")[0]
    assert (entry["by"], entry["recipients"], entry["kept"]) == ("root", 2, 0)


def test_of_two_who_release_one_does(site: QuarantineSite) -> None:
    site.send(VIRUS, ANN)
    (mail,) = site.client.mails()
    site.store.gate.clear()  # the store keeps the first one waiting
    statuses: list[int] = []

    def release() -> None:
        statuses.append(site.client.post("/release", {"domains": None, "id": mail["id"]})[0])

    first = threading.Thread(target=release)
    first.start()
    wait_until(lambda: site.names == [f"{mail['id']}.taken"], "the mail to be taken")
    release()
    assert statuses == [404]
    assert site.client.post("/delete", {"domains": None, "id": mail["id"]})[0] == 404
    site.store.gate.set()
    first.join()
    assert statuses == [404, 200]
    assert len(site.store.of(ANN)) == 1


def test_a_recipient_whose_store_refuses_stays(site: QuarantineSite) -> None:
    site.send(VIRUS, ANN, BOB)
    (mail,) = site.client.mails()
    site.store.replies[BOB] = b"552 5.2.2 over quota"
    done = site.client.ask("/release", id=mail["id"], by="root")
    assert done["released"] == [ANN]
    assert done["kept"] == {BOB: "552 5.2.2 over quota"}
    (left,) = site.client.mails()
    assert (left["id"], left["recipients"]) == (mail["id"], [BOB])
    assert site.client.content(mail["id"]).endswith(b"a virus\r\n")
    del site.store.replies[BOB]
    assert site.client.ask("/release", id=mail["id"], by="root")["released"] == [BOB]
    assert [len(site.store.of(one)) for one in (ANN, BOB)] == [1, 1]


def test_an_administrator_reaches_the_recipients_of_their_domains(site: QuarantineSite) -> None:
    site.send(VIRUS, ANN, BOB, CARL)
    (mail,) = site.client.mails(domains=["example.org"])
    assert mail["recipients"] == [ANN, CARL]
    assert mail["has_others"]
    assert site.client.mails(domains=["example.com"]) == []
    assert site.client.mails(domains=[]) == []
    other = {"domains": ["example.com"], "id": mail["id"], "most": 100}
    for path in ("/read", "/release", "/delete"):
        assert site.client.post(path, other)[0] == 404
    mine = {"domains": ["example.org"], "id": mail["id"]}
    assert site.client.post("/delete", mine)[0] == 403
    status, octets = site.client.post("/release", mine)
    assert (status, json.loads(octets)["released"]) == (200, [ANN, CARL])
    assert site.store.of(BOB) == []
    (left,) = site.client.mails()
    assert left["recipients"] == [BOB]


def test_a_deleted_mail_is_gone(site: QuarantineSite) -> None:
    site.send(VIRUS, ANN)
    (mail,) = site.client.mails()
    assert site.client.ask("/delete", id=mail["id"], by="root")["mail"]["message_id"]
    assert site.names == []
    assert site.store.messages == []
    assert site.daemon.log_entries(event="quarantine", action="deleted")[0]["by"] == "root"


def test_a_file_that_cannot_be_read_is_listed_and_deleted(site: QuarantineSite) -> None:
    site.send(VIRUS, ANN)
    (good,) = site.client.mails()
    broken = site.folder / "0123abcd.held"
    broken.write_bytes(b"no mail")
    found = next(one for one in site.client.mails() if one["id"] == "0123abcd")
    assert (found["kind"], found["size"]) == ("unreadable", 7)
    assert site.client.content("0123abcd") == b"no mail"
    status, octets = site.client.post("/release", {"domains": None, "id": "0123abcd"})
    assert (status, "cannot be read" in json.loads(octets)["error"]) == (503, True)
    for path in ("/read", "/release", "/delete"):
        asked = {"domains": ["example.org"], "id": "0123abcd", "most": 100}
        assert site.client.post(path, asked)[0] == 404
    assert broken.exists()
    assert site.client.ask("/delete", id="0123abcd", by="root")["mail"]["kind"] == "unreadable"
    assert not broken.exists()
    assert [one["id"] for one in site.client.mails()] == [good["id"]]


def test_a_kill_during_a_release_keeps_the_mail(site: QuarantineSite) -> None:
    site.send(VIRUS, ANN)
    (mail,) = site.client.mails()
    site.store.gate.clear()

    def release() -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            site.client.post("/release", {"domains": None, "id": mail["id"]})

    threading.Thread(target=release, daemon=True).start()
    wait_until(lambda: site.names == [f"{mail['id']}.taken"], "the mail to be taken")
    site.daemon.kill()
    (site.folder / "0123.new").write_bytes(b"half")
    site.daemon.start()
    site.store.gate.set()
    (left,) = site.client.mails()
    assert left["note"].startswith("A release was interrupted")
    assert site.names == [f"{mail['id']}.doubt"]
    assert site.client.ask("/release", id=mail["id"], by="root")["released"] == [ANN]


def test_mail_survives_a_restart_and_goes_when_its_time_is_over(
    make: Callable[..., QuarantineSite],
) -> None:
    site = make(keep=86_400)
    site.send(VIRUS, ANN)
    (mail,) = site.client.mails()
    site.restart()
    assert site.client.mails() == [mail]
    # as if it had come two days earlier
    old = f"{int((mail['held_at'] - 2 * 86_400) * 1000):012x}00000000"
    os.rename(site.folder / f"{mail['id']}.held", site.folder / f"{old}.held")
    site.restart()
    wait_until(lambda: site.names == [], "the old mail to go")
    site.daemon.wait_for_log(event="quarantine", action="expired")


def test_a_full_or_lost_folder_makes_mail_wait(make: Callable[..., QuarantineSite]) -> None:
    site = make(max_size=1 << 20)
    big = VIRUS + b"x" * 70 + b"\r\n"
    big += (b"y" * 70 + b"\r\n") * 9000
    assert site.send(big, ANN) == ["250 2.0.0 Kept in quarantine"]
    (answer,) = site.send(big, ANN)
    assert answer.startswith("451 ")
    assert answer.endswith("[quarantine-failed]")
    assert len(site.client.mails()) == 1
    os.rename(site.folder, site.directory / "elsewhere")
    (answer,) = site.send(VIRUS, ANN)
    assert answer.endswith("[quarantine-failed]")
    assert site.client.post("/list", {"domains": None})[0] == 503


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[" * 100_000, 400),
        (b"{}", 400),
        (b'{"domains": "example.org"}', 400),
        (b'{"domains": null, "id": "../../etc/passwd"}', 400),
        (b'{"domains": null, "id": ".."}', 400),
        (b'{"domains": null, "id": 7}', 400),
        (b'{"domains": null}', 400),
        (b'{"domains": null, "id": "no-such"}', 404),
        (b'{"domains": null, "id": "a", "holder": "another"}', 404),
    ],
)
def test_bad_requests(site: QuarantineSite, body: bytes, status: int) -> None:
    for path in ("/read", "/release", "/delete"):
        assert site.client.post(path, raw=body)[0] == status


def test_only_the_token_opens_it(site: QuarantineSite) -> None:
    site.send(VIRUS, ANN)
    (mail,) = site.client.mails()
    for token in ("", "0123456789abcdef0124", "0" * 500):
        site.client.token = token
        for path in ("/list", "/read", "/release", "/delete"):
            assert site.client.post(path, {"domains": None, "id": mail["id"]})[0] == 401
    assert site.names == [f"{mail['id']}.held"]
    assert (site.folder / site.names[0]).stat().st_mode & 0o777 == 0o600
    assert site.folder.stat().st_mode & 0o777 == 0o700


def test_the_command_by_way_of_two_holders(site: QuarantineSite, tmp_path: Path) -> None:
    config = tmp_path / "accounts.toml"
    config.write_text(
        'hostname = "mx.example.org"\n[accounts.database]\n'
        f'url = "sqlite:///{tmp_path}/accounts.db"\n[accounts.quarantine]\n'
        f'holders = ["inet:{site.client.port}@{LOOPBACK}", "unix:{tmp_path}/nobody"]\n'
        f'token_file = "{site.client.token_file}"\n'
    )

    def run(*arguments: str, status: int = 0) -> str:
        command = [str(gatepost_command()), *arguments, "--config", str(config)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == status, (done.stdout, done.stderr)
        return done.stdout + done.stderr

    run("domain", "add", "example.org")
    site.send(VIRUS, ANN)
    site.send(VIRUS, BOB)
    listed = run("quarantine", "list", status=1)  # a holder is away
    assert "ann@example.org" in listed
    assert "nobody does not answer: No such file" in listed
    second, first = site.client.mails()
    name = site.client.ask("/list", limit=1)["holder"]
    shown = run("quarantine", "show", f"{name}/{first['id']}")
    assert "Subject: böse" in shown
    assert "a virus" in shown
    released = run("quarantine", "release", f"{name}/{first['id']}", "--yes")
    assert "released to ann@example.org" in released
    (arrived,) = site.store.of(ANN)
    assert "released by " in arrived.fields("X-Virus-Status")[0]
    run("quarantine", "delete", f"{name}/{second['id']}", "--yes")
    assert site.names == []
    # somebody else was faster; the holder that is away might have it
    assert "does not answer" in run(
        "quarantine", "delete", f"{name}/{second['id']}", "--yes", status=1
    )
    with closing(sqlite3.connect(tmp_path / "accounts.db")) as database:
        rows = database.execute("SELECT action FROM audit ORDER BY id").fetchall()
    actions = [action for (action,) in rows if "quarantine" in action]
    assert actions[:3] == [f"quarantine.{one}" for one in ("show", "release", "delete")]
