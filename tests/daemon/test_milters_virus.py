"""The milter with clamd: real, hostile, and away."""

from __future__ import annotations

import contextlib
import select
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gatepost.clamd.instream import HEAD
from tests.daemon.delivery_site import Server
from tests.daemon.milters import INSIDE, SIMPLE, Milters, with_headers
from tests.testbed.clamd import ATTACHMENT, NAME, ClamdServer
from tests.testbed.daemon import gatepost_command
from tests.testbed.disk import small_disk
from tests.testbed.dns import Behaviour, DnsServer
from tests.testbed.miltermta import Result
from tests.testbed.waiting import wait_until

HEADER = b"From: user@signer.example\r\nSubject: an invoice\r\n"
VIRUS = HEADER + ATTACHMENT
LARGE = SIMPLE + (b"x" * 70 + b"\r\n") * 20_000


@pytest.fixture(scope="module")
def dns() -> Iterator[DnsServer]:
    with DnsServer() as server:
        yield server


@pytest.fixture(scope="module")
def clamd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClamdServer]:
    with ClamdServer(tmp_path_factory.mktemp("clamd"), "1M") as server:
        yield server


@pytest.fixture(scope="module")
def milters(tmp_path_factory: pytest.TempPathFactory, dns: DnsServer) -> Iterator[Milters]:
    daemon = Milters(tmp_path_factory.mktemp("milters"), dns)
    daemon.configure(section("inet:1@127.0.0.1"))
    with daemon:
        yield daemon


def section(address: str, **keys: object) -> str:
    """The settings with one worker, whose state the tests look at."""
    values = {"address": address, **keys}
    lines = [f'{key} = "{value}"' for key, value in values.items()]
    return "workers = 1\n[milters.virus]\n" + "\n".join(lines)


def use(milters: Milters, address: str, **keys: object) -> None:
    milters.stop()
    milters.configure(section(address, **keys))
    milters.start()


def send(milters: Milters, raw: bytes, client: str = "192.0.2.1", **how: Any) -> Result:
    with milters.client(client) as connection:
        return connection.message(raw, **how)


def status(result: Result) -> list[str]:
    return [value.strip() for value in result.values("X-Virus-Status")]


# clamd itself


def test_a_virus_is_refused_whoever_sends_it(milters: Milters, clamd: ClamdServer) -> None:
    use(milters, clamd.address)
    for client in (INSIDE, "192.0.2.1"):
        result = send(milters, VIRUS, client)
        assert result.reply.startswith(f"550 5.7.1 the message has a virus: {NAME}")
        assert result.reply.endswith(" [virus]")
        assert result.inserted == []
    login = {"{auth_authen}": "user"}
    assert send(milters, VIRUS, macros=login).code == 550
    line = milters.wait_for_log(event="message", reason="virus", origin="authenticated")
    assert line["virus"].startswith(NAME)
    assert (line["action"], line["virus_scan"]) == ("reject", "found")
    assert milters.metric("gatepost_milters_virus_scans_total", result="found") == 3
    assert milters.metric("gatepost_milters_viruses_total", virus=line["virus"]) == 3
    assert milters.metric("gatepost_milters_signatures_total") == 0


def test_clean_mail_says_so_and_claims_of_others_are_gone(
    milters: Milters, clamd: ClamdServer
) -> None:
    use(milters, clamd.address)
    forged = with_headers(b"X-Virus-Status: Clean", b"x-virus-status: Clean (really)")
    for client in (INSIDE, "192.0.2.1"):
        result = send(milters, forged, client)
        assert result.code == 250
        assert status(result) == ["Clean"]
        assert [name.lower() for name, _ in result.deleted] == ["x-virus-status"] * 2
        # nothing that we sign or seal is above it
        assert result.inserted[0][1] == "X-Virus-Status"
        assert len(result.inserted) > 1


def test_no_first_field_hides_an_attachment(milters: Milters, clamd: ClamdServer) -> None:
    use(milters, clamd.address)
    for first in (b"%PDF-1.4: x", b"MZ: x", b"{\\rtf1: x", b"GIF89a: x"):
        assert send(milters, first + b"\r\n" + VIRUS).code == 550, first


def test_a_large_message_is_scanned_from_its_file(milters: Milters, clamd: ClamdServer) -> None:
    use(milters, clamd.address)
    boundary = (
        b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n"
        + (b"x" * 70 + b"\r\n") * 10_000
        + b"--b\r\n"
        + ATTACHMENT.partition(b"\r\n")[2]
        + b"--b--\r\n"
    )
    assert send(milters, HEADER + boundary).code == 550
    assert milters.metric("gatepost_milters_spooled_octets") == 0


def test_more_than_clamd_takes_is_never_clean(milters: Milters, clamd: ClamdServer) -> None:
    """It answers early and closes: the rest of the stream meets a broken pipe."""
    use(milters, clamd.address)
    result = send(milters, LARGE)
    assert result.reply.startswith("451 4.3.0 ")
    assert result.reply.endswith("[virus-scanner-away]")
    line = milters.wait_for_log(event="message", reason="virus-scanner-away")
    assert "size limit exceeded" in line["virus_problem"]
    use(milters, clamd.address, on_error="accept")
    result = send(milters, LARGE)
    assert status(result) == ["Unchecked (virus-scanner-away)"]
    use(milters, clamd.address, scan_size="500K")
    assert send(milters, LARGE).reply.endswith("[virus-scan-incomplete]")
    # a virus in the part that is scanned ends the attempts of the sender
    assert send(milters, VIRUS.replace(b"\r\n\r\n", b"\r\n\r\n", 1) + LARGE[200:]).code == 550
    use(milters, clamd.address, scan_size="500K", on_error="accept")
    assert status(send(milters, LARGE)) == ["Unchecked (virus-scan-incomplete)"]


def test_clamd_that_is_killed_and_comes_back(milters: Milters, clamd: ClamdServer) -> None:
    use(milters, clamd.address, timeout="1s")
    clamd.kill()
    assert send(milters, SIMPLE).reply.endswith("[virus-scanner-away]")
    milters.wait_for_log(event="virus scanner failed")
    assert milters.metric("gatepost_milters_virus_scanner_outage") == 1
    clamd.start()
    clamd.pause()
    began = time.monotonic()
    assert send(milters, SIMPLE).reply.endswith("[virus-scanner-away]")
    assert time.monotonic() - began < 5
    clamd.resume()
    assert status(send(milters, SIMPLE)) == ["Clean"]
    assert milters.metric("gatepost_milters_virus_scanner_outage") == 0
    milters.wait_for_log(event="virus scanner answers again")


def check(milters: Milters, *options: str) -> str:
    done = subprocess.run(
        [gatepost_command(), "config", "check", "--config", milters.config, *options],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_config_check_asks_clamd(milters: Milters, clamd: ClamdServer, tmp_path: Path) -> None:
    milters.configure(section(clamd.address))
    assert "milters.virus" not in check(milters)
    milters.configure(section("inet:1@127.0.0.1", spool_folder=tmp_path / "gone"))
    told = check(milters, "--user", "root")
    assert "milters.virus.address: clamd inet:1@127.0.0.1: Connection refused" in told
    assert f"may not write to {tmp_path / 'gone'}" in told


# A server in its place


class HostileClamd(Server):
    """Takes a message as clamd does, and then does what the test says."""

    def __init__(self) -> None:
        self.answer = b"stream: OK\0"
        self.early = False
        self.reads = True
        self.holds: threading.Event | None = None
        self.seen: list[bytes] = []
        self.most = 0
        super().__init__()

    def serve(self, connection: Any) -> None:
        self.most = max(self.most, len(self.open))
        if self.early:
            connection.sendall(self.answer)
        if not self.reads:
            # until the milter closes
            poll = select.poll()
            poll.register(connection, select.POLLRDHUP)
            poll.poll(20_000)
            return
        with connection.makefile("rb") as file:
            assert file.read(10) == b"zINSTREAM\0"
            data = bytearray()
            while size := struct.unpack(">I", file.read(4))[0]:
                data += file.read(size)
            self.seen.append(bytes(data))
        if self.holds is not None:
            self.holds.wait()
        if not self.early:
            connection.sendall(self.answer)


@pytest.fixture
def hostile() -> Iterator[HostileClamd]:
    with HostileClamd() as server:
        yield server
        if server.holds is not None:
            server.holds.set()


def test_clamd_gets_the_message_as_it_came(milters: Milters, hostile: HostileClamd) -> None:
    use(milters, hostile.address)
    folded = with_headers(b"X-Virus-Status: Clean", b"Subject: two\r\n\tlines")
    assert status(send(milters, folded)) == ["Clean"]
    assert hostile.seen == [HEAD + folded]


RUBBISH = [
    b"",
    b"stream: OK",
    b"OK\0",
    b"stream: OK FOUND OK\0",
    b"PONG\0",
    b"\0",
    b"\xff" * 100_000,
    b"INSTREAM: Memory allocation failed ERROR\0",
]


def test_rubbish_is_never_clean(milters: Milters, hostile: HostileClamd) -> None:
    use(milters, hostile.address, on_error="accept")
    for answer in RUBBISH:
        hostile.answer = answer
        assert status(send(milters, SIMPLE)) == ["Unchecked (virus-scanner-away)"], answer


def test_an_answer_before_the_end_is_never_clean(milters: Milters, hostile: HostileClamd) -> None:
    use(milters, hostile.address, timeout="2s")
    hostile.early, hostile.reads = True, False
    assert send(milters, LARGE * 9).reply.endswith("[virus-scanner-away]")


def test_the_name_of_a_virus_cannot_write_a_reply(milters: Milters, hostile: HostileClamd) -> None:
    use(milters, hostile.address)
    hostile.answer = b"stream: %s\r\n250 ok " + b"A" * 300 + b" FOUND\0"
    reply = send(milters, SIMPLE).reply
    assert reply.endswith("[virus-scanner-away]")  # the line ends there
    hostile.answer = b"stream: %s %\t\x07" + b"A" * 300 + b" FOUND\0"
    reply = send(milters, SIMPLE).reply
    assert reply.startswith("550 5.7.1 the message has a virus: _s_AAA")
    assert len(reply) < 200


def test_silence_bounds_time_and_connections(milters: Milters, hostile: HostileClamd) -> None:
    use(milters, hostile.address, timeout="2s", max_scans=2)
    hostile.reads = False
    results: list[Result] = []
    threads = [
        threading.Thread(target=lambda: results.append(send(milters, SIMPLE))) for _ in range(8)
    ]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert time.monotonic() - began < 8
    assert [one.reply[-20:] for one in results] == ["[virus-scanner-away]"] * 8
    # two that the milter has just closed may still count
    assert hostile.most <= 4


def test_refused_mail_is_never_seen_by_clamd(
    milters: Milters, hostile: HostileClamd, dns: DnsServer
) -> None:
    dns.add("_dmarc.strict.example", "TXT", "v=DMARC1; p=reject")
    milters.stop()
    policy = '[milters.policy.dmarc]\nfail_reject = "reject"\n'
    milters.configure("workers = 1\n" + policy + section(hostile.address).partition("\n")[2])
    milters.start()
    forged = SIMPLE.replace(b"signer.example", b"strict.example")
    assert send(milters, forged).reply.endswith("[dmarc-fail-reject]")
    assert send(milters, with_headers(*[b"X-Virus-Status: Clean"] * 501)).code == 550
    assert hostile.connections == 0
    # the DNS of this one waits; only then it is scanned
    dns.misbehave("_dmarc.slow.example", Behaviour.TIMEOUT)
    assert status(send(milters, SIMPLE.replace(b"signer.example", b"slow.example"))) == ["Clean"]
    assert hostile.connections == 1


def test_an_mta_that_hangs_up_during_a_scan(milters: Milters, hostile: HostileClamd) -> None:
    use(milters, hostile.address)
    hostile.holds = threading.Event()
    connection = milters.client()
    sender = threading.Thread(target=lambda: _ignore(connection))
    sender.start()
    wait_until(lambda: hostile.seen, "the scan")
    connection._socket.shutdown(2)
    connection.close()
    sender.join(10)
    hostile.holds.set()
    assert status(send(milters, SIMPLE)) == ["Clean"]
    assert milters.log_entries(level="error") == []
    # a message in progress is finished when the daemon stops
    hostile.holds = threading.Event()
    results: list[Result] = []
    last = threading.Thread(target=lambda: results.append(send(milters, LARGE)))
    seen = len(hostile.seen)
    last.start()
    wait_until(lambda: len(hostile.seen) > seen, "the scan")
    threading.Timer(0.5, hostile.holds.set).start()
    assert milters.stop() == 0
    last.join(10)
    assert status(results[0]) == ["Clean"]


def _ignore(connection: Any) -> None:
    with contextlib.suppress(OSError):
        connection.message(LARGE)


def test_a_spool_that_cannot_be_written(
    milters: Milters, hostile: HostileClamd, tmp_path: Path
) -> None:
    use(milters, hostile.address, spool_folder=tmp_path / "gone")
    result = send(milters, LARGE)
    assert result.reply.startswith("452 4.3.1 ")
    assert result.reply.endswith("[no-space]")
    assert status(send(milters, SIMPLE)) == ["Clean"]  # it needs no file
    assert len(hostile.seen) == 1


def test_a_full_disk(tmp_path: Path, dns: DnsServer, hostile: HostileClamd, mounts: None) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    daemon = Milters(tmp_path / "milters", dns, within=small_disk(spool, 1 << 20))
    daemon.configure(section(hostile.address, spool_folder=spool))
    with daemon:
        for _ in range(3):  # what was written is given back each time
            assert send(daemon, LARGE).reply.endswith("[no-space]")
            assert status(send(daemon, LARGE[:500_000])) == ["Clean"]
        assert daemon.metric("gatepost_milters_spooled_octets") == 0


def test_a_reload_takes_up_the_scanner(milters: Milters, hostile: HostileClamd) -> None:
    milters.stop()
    milters.configure("workers = 1")
    milters.start()
    assert status(send(milters, SIMPLE)) == []
    milters.configure(section(hostile.address))
    milters.reload()
    wait_until(lambda: status(send(milters, SIMPLE)) == ["Clean"], "the scan")
    hostile.answer = b"stream: Eicar FOUND\0"
    assert send(milters, SIMPLE).code == 550
