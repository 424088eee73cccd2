"""The milter behind MTAs that break off, stay silent, do not read, or come in crowds."""

from __future__ import annotations

import contextlib
import resource
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from gatepost.listen import Unix
from tests.daemon.milters import DOMAIN, INSIDE, SIMPLE, Milters, memory, waiting
from tests.testbed.dns import DnsServer
from tests.testbed.miltermta import ACTIONS, STEPS, MilterClient, Result, encode
from tests.testbed.waiting import DEADLINE, wait_until

OFFER = encode(b"O", struct.pack(">III", 6, ACTIONS, STEPS))
MAIL = encode(b"M", b"<a@sender.example>\0")
WRONG = "not the milter protocol, connection closed"


@pytest.fixture(scope="module")
def dns() -> Iterator[DnsServer]:
    with DnsServer() as server:
        yield server


@pytest.fixture(scope="module", params=["unix", "tcp"])
def milters(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, dns: DnsServer
) -> Iterator[Milters]:
    with Milters(tmp_path_factory.mktemp("milters"), dns, tcp=request.param == "tcp") as daemon:
        yield daemon


def plug(milters: Milters) -> socket.socket:
    """A bare connection."""
    address = milters.address
    plugged = socket.socket(socket.AF_UNIX if isinstance(address, Unix) else socket.AF_INET)
    plugged.settimeout(DEADLINE)
    try:
        plugged.connect(
            str(address.path) if isinstance(address, Unix) else (address.host, address.port)
        )
    except BaseException:
        plugged.close()
        raise
    return plugged


def is_closed(plugged: socket.socket) -> bool:
    """Whether the milter hangs up, whatever it says before."""
    try:
        while plugged.recv(65536):
            pass
    except ConnectionError:
        pass
    return True


def still_works(milters: Milters) -> None:
    with milters.client(INSIDE) as client:
        assert len(client.message(SIMPLE).values("DKIM-Signature")) == 2


@pytest.mark.parametrize(
    ("octets", "what"),
    [
        (b"\xff\xff\xff\xff", "a packet of 4294967295 octets"),
        (b"GET / HTTP/1.1\r\n\r\n", "a packet of 1195725856 octets"),
        (OFFER + OFFER, "the command 'O' is out of order"),
        (OFFER + encode(b"B", b"body"), "the command 'B' is out of order"),
        (OFFER + encode(b"?"), "the command '?' is unknown"),
        (OFFER + MAIL + encode(b"L", b"From\0no end"), "a truncated header field"),
        (encode(b"O", struct.pack(">III", 1, 0, 0)), "version 1 of the protocol"),
        (
            encode(b"O", struct.pack(">III", 6, 0x1FE, 0x1FFFFF)),
            "the MTA does not offer ADD_HEADERS, which the milter requires",
        ),
    ],
)
def test_what_no_mta_sends_closes_the_connection(
    milters: Milters, octets: bytes, what: str
) -> None:
    before = len(milters.log_entries(event=WRONG, what=what))
    with plug(milters) as plugged:
        plugged.sendall(octets)
        assert is_closed(plugged)
    wait_until(lambda: milters.log_entries(event=WRONG, what=what)[before:], "its line")
    still_works(milters)
    assert len(milters.log_entries(event=WRONG, what=what)) == before + 1


@pytest.mark.parametrize(
    "octets", [b"", b"\0", OFFER[:-1], OFFER, OFFER + MAIL, OFFER + MAIL[:7], OFFER + MAIL + b"\0"]
)
def test_an_mta_that_breaks_off_leaves_nothing_behind(milters: Milters, octets: bytes) -> None:
    with plug(milters) as plugged:
        plugged.sendall(octets)
    wait_until(lambda: milters.metric("gatepost_milters_connections") == 0, "it to be gone")
    still_works(milters)
    assert not milters.log_entries(level="error")


def test_an_mta_that_sends_octet_by_octet(milters: Milters) -> None:
    with plug(milters) as plugged:
        for octet in OFFER + MAIL + encode(b"L", b"From\0 a@b.example\0") + encode(b"E"):
            plugged.sendall(bytes([octet]))
        said = b""
        while not said.endswith(encode(b"c")):
            said += plugged.recv(65536)
        assert b"Authentication-Results\0" in said


def test_silence_is_bounded(tmp_path: Path, dns: DnsServer) -> None:
    milters = Milters(tmp_path, dns)
    milters.configure('idle_timeout = "1s"')
    with milters, plug(milters) as nothing, plug(milters) as half, plug(milters) as message:
        half.sendall(OFFER[:7])
        message.sendall(OFFER + MAIL)
        for silent in (nothing, half, message):
            assert is_closed(silent)
        assert len(milters.log_entries(event="silent connection closed")) == 3
        still_works(milters)


def test_an_mta_that_does_not_read_is_not_read_either(tmp_path: Path, dns: DnsServer) -> None:
    milters = Milters(tmp_path, dns)
    milters.configure('workers = 1\nidle_timeout = "3s"')
    message = MAIL + encode(b"L", b"From\0 a@b.example\0") + encode(b"E")
    with milters:
        still_works(milters)
        (worker,) = milters.workers()
        before = memory(worker)
        with plug(milters) as deaf:
            deaf.sendall(OFFER)
            deaf.settimeout(0.5)
            with contextlib.suppress(TimeoutError):  # it does not get rid of them
                while True:
                    deaf.sendall(message * 100)
            still_works(milters)
            assert memory(worker) - before < 4 << 20
            deaf.settimeout(DEADLINE)
            milters.wait_for_log(event="silent connection closed")
        still_works(milters)


def test_many_messages_at_once_do_not_keep_others_waiting(tmp_path: Path, dns: DnsServer) -> None:
    milters = Milters(tmp_path, dns)
    milters.configure("workers = 1")
    message = MAIL + encode(b"L", b"From\0 a@b.example\0") + encode(b"E")
    with milters, plug(milters) as crowd:
        count = 1000
        crowd.sendall(OFFER + message * count)
        still_works(milters)
        done = milters.metric("gatepost_milters_messages_total", origin="outside")
        assert done < count, "the one message was served between them"
        answers = 0
        while answers < count:
            answers += crowd.recv(65536).count(encode(b"c"))


def test_a_message_that_waits_for_dns_keeps_no_other_waiting(
    tmp_path: Path, dns: DnsServer
) -> None:
    milters = Milters(tmp_path, dns)
    milters.configure("workers = 1")
    selectors = [f"silent{number}" for number in range(4)]
    waits = waiting(dns, selectors)
    results: list[Result] = []

    def wait() -> None:
        with milters.client() as client:
            results.append(client.message(waits, queue_id="4WAITS"))

    with milters:
        thread = threading.Thread(target=wait)
        thread.start()
        wait_until(lambda: dns.asked(f"{selectors[0]}._domainkey.{DOMAIN}"), "the question")
        still_works(milters)
        assert not results
        thread.join()
    (value,) = results[0].values("Authentication-Results")
    assert value.count("dkim=temperror") == len(selectors)


def test_two_thousand_connections(tmp_path: Path, dns: DnsServer) -> None:
    count = 2000
    milters = Milters(tmp_path, dns)
    milters.configure("max_connections = 1500")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with milters, ExitStack() as stack:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 3 * count), hard))
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        clients = [stack.enter_context(milters.client(INSIDE)) for _ in range(count)]
        for client in (clients[0], clients[-1]):
            assert len(client.message(SIMPLE).values("DKIM-Signature")) == 2
        still_works(milters)
        assert milters.metric("gatepost_milters_connections") >= count
        assert not milters.log_entries(level="error")


def test_a_connection_beyond_the_bound_waits_for_its_turn(tmp_path: Path, dns: DnsServer) -> None:
    milters = Milters(tmp_path, dns)
    milters.configure("workers = 1\nmax_connections = 2")
    with milters, ExitStack() as stack:
        first, second = (stack.enter_context(milters.client(INSIDE)) for _ in range(2))
        third = stack.enter_context(plug(milters))
        third.sendall(OFFER)
        milters.wait_for_log(event="no more connections are accepted for now")
        assert second.message(SIMPLE).code == 250
        first.close()
        assert third.recv(65536)


def test_no_room_for_another_file(tmp_path: Path, dns: DnsServer) -> None:
    milters = Milters(tmp_path, dns)
    milters.configure("workers = 1")
    with milters, milters.client(INSIDE) as kept:
        (worker,) = milters.workers()
        files = len(list(Path(f"/proc/{worker}/fd").iterdir()))
        before = resource.prlimit(worker, resource.RLIMIT_NOFILE)
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (files, before[1]))
        with plug(milters) as further:
            further.sendall(OFFER)
            line = milters.wait_for_log(event="a connection cannot be accepted")
            assert "Too many open files" in line["error"]
            used = processor_ticks(worker)
            time.sleep(1)
            assert processor_ticks(worker) - used < 50, "it does not spin"
            assert kept.message(SIMPLE).code == 250
            resource.prlimit(worker, resource.RLIMIT_NOFILE, before)
            assert further.recv(65536)


def processor_ticks(pid: int) -> int:
    """Hundredths of a second of processor time that a process has used (proc(5), stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def open_sockets(pid: int) -> int:
    return sum(
        1
        for link in Path(f"/proc/{pid}/fd").iterdir()
        if link.readlink().name.startswith("socket:")
    )


@pytest.mark.parametrize("tcp", [False, True], ids=["unix", "tcp"])
def test_connections_are_shared_among_the_workers(
    tmp_path: Path, dns: DnsServer, tcp: bool
) -> None:
    milters = Milters(tmp_path, dns, tcp=tcp)
    milters.configure("workers = 2")

    def taken() -> list[int]:
        """Open 16 connections and return how many each worker has."""
        wait_until(
            lambda: {pid: open_sockets(pid) for pid in before} == before, "no connection to be left"
        )
        with ExitStack() as stack:
            for _ in range(16):
                stack.enter_context(milters.client(INSIDE))
            found = [open_sockets(pid) - before[pid] for pid in before]
            assert sum(found) == 16
            return found

    with milters:
        wait_until(milters.ready, "both workers")
        before = {pid: open_sockets(pid) for pid in milters.workers()}
        # a worker leaves a connection to the other for a millisecond: on a busy machine, the other
        # may not run in that time
        wait_until(lambda: min(taken()) >= 5, "a fair share for both")


def test_a_submission_listener_of_another_kind(tmp_path: Path, dns: DnsServer) -> None:
    milters = Milters(tmp_path, dns, tcp=True)
    other = Unix(tmp_path / "submission")
    milters.configure(f'submission_listen = "{other}"')
    with milters, milters.client() as mx, MilterClient(other) as submission:
        submission.connect("unknown", "192.0.2.1")
        assert len(submission.message(SIMPLE).values("DKIM-Signature")) == 2
        assert not mx.message(SIMPLE).values("DKIM-Signature")
