"""Scanners that are down, slow, broken or killed: no mail is lost, none passes without a mark."""

from __future__ import annotations

import json
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gatepost.clamd.instream import HEAD as CLAMD_HEAD
from tests.daemon.delivery_site import (
    GTUBE,
    HAM,
    HEAD,
    SPAM,
    DeliverySite,
    Server,
    SpamdRequest,
    by_content,
    delivery_site,
)
from tests.testbed.waiting import wait_until

AWAY = "451 4.3.0 The spam scanner does not answer, please try again later [scanner-away]"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[DeliverySite]:
    with delivery_site(tmp_path) as site:
        yield site


def waits_and_recovers(site: DeliverySite) -> None:
    """The same message is deferred now, and delivered with a score when spamd works again."""
    assert site.send(HAM, "ann@example.org", "bob@example.org") == [AWAY, AWAY]
    assert site.store.messages == []
    assert site.daemon.metric("gatepost_delivery_scanner_outage", scanner="spam") == 1
    assert site.daemon.metric("gatepost_delivery_refused_total", reason="scanner-away") == 2
    line = site.daemon.wait_for_log(event="not delivered", recipient="bob@example.org")
    assert (line["reason"], line["queue_id"]) == ("scanner-away", "4XyzAb12")
    site.spamd.close()
    site.restart_spamd()
    assert [one[:3] for one in site.send(HAM, "ann@example.org", "bob@example.org")] == ["250"] * 2
    assert [message.status for message in site.store.messages] == ["No", "No"]
    assert site.daemon.metric("gatepost_delivery_scanner_outage", scanner="spam") == 0
    site.daemon.wait_for_log(event="scanner answers again")


def test_spamd_that_is_down(site: DeliverySite) -> None:
    site.spamd.close()
    waits_and_recovers(site)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"Invalid response",
        b"\xff" * 5000,
        b"SPAMD/1.5 75 EX_TEMPFAIL\r\n\r\n",
        b"SPAMD/1.1 0 EX_OK\r\nContent-length: 99\r\nSpam: False ; 0.5 / 5.0\r\n\r\nA,",
        b"SPAMD/1.1 0 EX_OK\r\nSpam: False ; nan / 5.0\r\n\r\n",
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_spamd_that_answers_garbage(site: DeliverySite, answer: bytes) -> None:
    site.spamd.answer = lambda _: answer
    waits_and_recovers(site)


def test_spamd_that_never_answers(tmp_path: Path) -> None:
    with delivery_site(tmp_path, {"spam": {"timeout": 0.5}}) as site:
        site.spamd.answer = lambda _: None
        waits_and_recovers(site)


def test_spamd_that_is_killed_in_the_middle_of_a_scan(site: DeliverySite) -> None:
    site.spamd.answer = lambda _: None
    with site.daemon.connect() as client:
        client.begin("ann@example.org")
        client.content(HAM)
        wait_until(lambda: site.spamd.requests, "the scan to begin")
        site.spamd.close()
        assert client.reply() == AWAY
        site.restart_spamd()
        client.command("RSET")
        assert client.send(HAM, "ann@example.org") == ["250 2.0.0 <ann@example.org> Saved"]


def test_spamd_that_is_killed_while_it_reads(site: DeliverySite) -> None:
    site.spamd.hang_in_message.set()
    with site.daemon.connect() as client:
        client.begin("ann@example.org")
        client.content(HEAD + b"\r\n" + (b"x" * 70 + b"\r\n") * 6000)
        wait_until(lambda: site.spamd.open, "the scan to begin")
        site.spamd.close()
        assert client.reply() == AWAY


def test_after_an_outage_mail_is_delivered_with_a_mark(tmp_path: Path) -> None:
    with delivery_site(tmp_path, {"spam": {"unchecked_after": 2}}) as site:
        site.spamd.close()
        assert site.send(SPAM, "ann@example.org") == [AWAY]
        time.sleep(2)
        assert site.send(SPAM, "ann@example.org") == ["250 2.0.0 <ann@example.org> Saved"]
        (message,) = site.store.messages
        assert message.fields("X-Spam-Status") == ["Unchecked, reason=scanner-away"]
        assert message.fields("X-Spam-Flag") == []
        assert site.daemon.metric("gatepost_delivery_unchecked_total", scanner="spam") == 1
        (line,) = site.daemon.log_entries(event="delivered")
        assert (line["verdict"], line["cause"]) == ("unchecked", "scanner-away")
        site.restart_spamd()
        site.send(SPAM, "ann@example.org")
        assert site.store.messages[1].status == "Yes"
        site.spamd.close()
        # a new outage begins
        other = SPAM.replace(b"4XyzAb12", b"4XyzAb34")
        assert site.send(other, "ann@example.org") == [AWAY]


def test_a_message_that_spamd_never_survives_is_delivered_at_last(tmp_path: Path) -> None:
    def answer(request: SpamdRequest) -> bytes:
        return b"" if b"poison" in request.message else by_content(request)

    poison = HEAD.replace(b"4XyzAb12", b"4Poison99") + b"\r\npoison\r\n"
    with delivery_site(tmp_path, {"spam": {"unchecked_after": 2}}) as site:
        site.spamd.answer = answer
        assert site.send(poison, "ann@example.org") == [AWAY]
        time.sleep(2)
        assert site.send(HAM, "ann@example.org")[0].startswith("250")
        assert site.send(poison, "ann@example.org")[0].startswith("250")
        assert [message.status for message in site.store.messages] == ["No", "Unchecked"]


def test_while_spamd_hangs_only_one_message_waits_for_it(tmp_path: Path) -> None:
    with delivery_site(tmp_path, {"spam": {"timeout": 2}}) as site:
        site.spamd.answer = lambda _: None
        assert site.send(HAM, "ann@example.org") == [AWAY]
        time.sleep(2)
        trying = site.daemon.connect()
        trying.begin("ann@example.org")
        trying.content(HAM)
        wait_until(lambda: len(site.spamd.requests) == 2, "the second scan to begin")
        for _ in range(5):
            assert site.send(HAM, "ann@example.org") == [AWAY]
        assert len(site.spamd.requests) == 2
        assert trying.reply() == AWAY
        trying.close()


def test_scans_at_the_same_time_are_bounded(tmp_path: Path) -> None:
    running, most, lock = 0, 0, threading.Lock()

    def answer(request: SpamdRequest) -> bytes:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.05)
        with lock:
            running -= 1
        return by_content(request)

    folder = tmp_path / "users" / "example.org"
    names = [f"user{number}@example.org" for number in range(20)]
    for name in names:
        (folder / name.partition("@")[0]).mkdir(parents=True)
        (folder / name.partition("@")[0] / "user_prefs").touch()
    spam = {"max_scans": 3, "users_folder": str(folder.parent)}
    with delivery_site(tmp_path / "site", {"spam": spam}) as site:
        site.spamd.answer = answer
        assert [one[:3] for one in site.send(HAM, *names)] == ["250"] * 20
        assert sorted(request.user for request in site.spamd.requests) == sorted(names)
    assert most == 3


class StubClamd(Server):
    """clamd as far as INSTREAM goes."""

    def __init__(self) -> None:
        self.limit = 10**9
        self.is_silent = False
        self.seen: list[bytes] = []
        super().__init__()

    def serve(self, connection: Any) -> None:
        with connection.makefile("rb") as file:
            assert file.read(10) == b"zINSTREAM\0"
            data = bytearray()
            while size := struct.unpack(">I", file.read(4))[0]:
                data += file.read(size)
                if len(data) > self.limit:
                    connection.sendall(b"INSTREAM size limit exceeded. ERROR\0")
                    return
            self.seen.append(bytes(data))
            if self.is_silent:
                return
            found = b"Eicar-Test FOUND" if b"a virus" in data else b"OK"
            connection.sendall(b"stream: %b\0" % found)


VIRUS = HEAD + b"\r\na virus\r\n"


@pytest.fixture
def clamd() -> Iterator[StubClamd]:
    with StubClamd() as clamd:
        yield clamd


@pytest.fixture
def guarded(tmp_path: Path, clamd: StubClamd) -> Iterator[DeliverySite]:
    virus = {"enabled": True, "address": clamd.address, "quarantine": "quarantine@example.org"}
    with delivery_site(tmp_path, {"virus": virus}) as site:
        yield site


def test_a_virus_goes_to_the_quarantine_once(guarded: DeliverySite, clamd: StubClamd) -> None:
    answers = guarded.send(VIRUS, "ann@example.org", "bob@example.org")
    assert answers == ["250 2.0.0 Kept in quarantine"] * 2
    (message,) = guarded.store.messages
    assert message.recipients == ("quarantine@example.org",)
    assert message.fields("X-Virus-Status") == ["Infected (Eicar-Test)"]
    assert message.fields("X-Envelope-To") == ["<ann@example.org>", "<bob@example.org>"]
    assert message.data.endswith(VIRUS)
    assert clamd.seen == [CLAMD_HEAD + VIRUS]
    assert guarded.daemon.metric("gatepost_delivery_quarantined_total") == 1
    lines = guarded.daemon.log_entries(event="delivered", virus="Eicar-Test")
    assert [line["recipient"] for line in lines] == ["ann@example.org", "bob@example.org"]


def test_nobody_else_says_who_was_to_get_a_virus(guarded: DeliverySite) -> None:
    forged = b"X-Envelope-To: <eve@example.net>\r\nx-envelope-to : <eve@example.net>\r\n"
    for user in ("ann@example.org", "bob@example.org"):
        (answer,) = guarded.send(forged + VIRUS, user)
        assert answer == "250 2.0.0 Kept in quarantine"
        assert guarded.store.messages[-1].fields("X-Envelope-To") == [f"<{user}>"]
    assert len(guarded.store.messages) == 2


def test_a_virus_waits_while_the_quarantine_takes_none(guarded: DeliverySite) -> None:
    guarded.store.replies["quarantine@example.org"] = b"452 4.2.2 full"
    (answer,) = guarded.send(VIRUS, "ann@example.org")
    assert answer.startswith("451 4.3.0 ")
    assert answer.endswith("[quarantine-failed]")
    guarded.store.rcpt["quarantine@example.org"] = b"550 5.1.1 unknown"
    assert guarded.send(VIRUS, "ann@example.org") == [answer]
    guarded.store.close()
    assert guarded.send(VIRUS, "ann@example.org") == [answer]
    assert guarded.store.messages == []


def test_a_clean_message_goes_on(guarded: DeliverySite) -> None:
    guarded.send(HAM, "ann@example.org")
    (message,) = guarded.store.messages
    assert message.fields("X-Virus-Status") == ["Clean"]
    assert message.status == "No"


def test_clamd_that_fails_delays(guarded: DeliverySite, clamd: StubClamd) -> None:
    clamd.is_silent = True
    (answer,) = guarded.send(VIRUS, "ann@example.org")
    assert answer.endswith("[virus-scanner-away]")
    clamd.is_silent, clamd.limit = False, 100_000
    big = HEAD + b"\r\n" + (b"x" * 70 + b"\r\n") * 60_000
    assert guarded.send(big, "ann@example.org") == [answer]
    problem = guarded.daemon.log_entries(event="not delivered")[-1]["problem"]
    assert "size limit exceeded" in problem  # its answer is read although it takes no more
    clamd.close()
    assert guarded.send(VIRUS, "ann@example.org") == [answer]
    assert guarded.store.messages == []


class StubRspamd(Server):
    """Rspamd as far as /checkv2 goes."""

    def __init__(self) -> None:
        self.heads: list[list[str]] = []
        self.action = ""
        super().__init__()

    def serve(self, connection: Any) -> None:
        with connection.makefile("rb") as file:
            head = []
            while line := file.readline().decode().strip():
                head.append(line)
            self.heads.append(head)
            size = next(int(one.partition(" ")[2]) for one in head if one.startswith("Content-L"))
            data = file.read(size)
            is_spam = GTUBE.encode() in data
            action = self.action or ("reject" if is_spam else "no action")
            body = json.dumps(
                {
                    "is_skipped": False,
                    "score": 19.5 if is_spam else 0.1,
                    "required_score": 15,
                    "action": action,
                    "symbols": {"GTUBE": {"score": 0}},
                }
            )
            head_out = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head_out.encode() + body.encode())


def test_rspamd_in_place_of_spamd(tmp_path: Path) -> None:
    tmp_path.joinpath("password").write_text("secret\n")
    tmp_path.joinpath("password").chmod(0o600)
    with StubRspamd() as rspamd:
        spam = {
            "engine": "rspamd",
            "address": rspamd.address,
            "per_user": True,
            "password_file": str(tmp_path / "password"),
        }
        with delivery_site(tmp_path / "site", {"spam": spam}) as site:
            answers = site.send(SPAM, "ann@example.org", "bob@example.org")
            assert [one[:3] for one in answers] == ["250"] * 2
            assert [one.fields("X-Spam-Flag") for one in site.store.messages] == [["YES"]] * 2
            for name in ("ann", "bob"):
                assert [
                    "POST /checkv2 HTTP/1.0",
                    f"Rcpt: {name}@example.org",
                    "From: sender@example.com",
                    "Queue-Id: 4XyzAb12",
                    "Password: secret",
                ] in [head[:5] for head in rspamd.heads]
            site.send(HAM, "ann@example.org")
            assert site.store.messages[-1].status == "No"
            rspamd.action = "soft reject"
            (answer,) = site.send(HAM, "ann@example.org")
            assert answer.startswith("451 4.7.1 ")
            assert answer.endswith("[scanner-waits]")
            assert site.daemon.metric("gatepost_delivery_scanner_outage", scanner="spam") == 0
