"""The milter behind more connections than it holds, most of which say nothing or little."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from milters import connection, worker
from tests.daemon.milters import INSIDE, SIMPLE, Milters, waiting
from tests.daemon.shortage import no_more_files
from tests.daemon.test_milters_hostile import MAIL, OFFER, is_closed, plug, still_works
from tests.testbed.dns import DnsServer
from tests.testbed.waiting import wait_until


@pytest.fixture(scope="module")
def dns() -> Iterator[DnsServer]:
    with DnsServer() as server:
        yield server


def closed(milters: Milters, why: str) -> float:
    return milters.metric("gatepost_milters_connections_closed_total", why=why)


def is_open(plugged: socket.socket) -> bool:
    """Return whether the milter has neither said anything more nor hung up."""
    plugged.setblocking(False)
    try:
        return plugged.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


def test_connections_that_do_not_negotiate_keep_nobody_out(tmp_path: Path, dns: DnsServer) -> None:
    milters = Milters(tmp_path, dns)
    milters.configure("workers = 2\nmax_connections = 20")
    with milters, ExitStack() as stack, milters.client(INSIDE) as kept:
        for _ in range(300):
            stack.enter_context(plug(milters))
        began = time.monotonic()
        still_works(milters)
        # Postfix would wait for 30 s
        assert time.monotonic() - began < 20
        assert milters.ready()
        assert kept.message(SIMPLE).code == 250, "it was not its turn to make room"
        assert closed(milters, "room") >= 200
        milters.wait_for_log(event="closing the longest-idle connections to make room")


@pytest.mark.parametrize("behind", ["nothing", "the negotiation"])
def test_an_octet_now_and_then_keeps_no_place(tmp_path: Path, dns: DnsServer, behind: str) -> None:
    """Neither in the offer, nor in a packet that comes later."""
    milters = Milters(tmp_path, dns)
    milters.configure("workers = 1\nmax_connections = 5")
    first, drops = (b"", b"\0\0\1\0O") if behind == "nothing" else (OFFER, b"\0\0\1\0H")
    end = threading.Event()

    def drip(slow: list[socket.socket]) -> None:
        for octet in drops + bytes(200):
            for one in slow:
                with suppress(OSError):
                    one.sendall(bytes([octet]))
            if end.wait(0.3):
                return

    with milters, ExitStack() as stack:
        slow = [stack.enter_context(plug(milters)) for _ in range(5)]
        for one in slow:
            one.sendall(first)
        thread = threading.Thread(target=drip, args=(slow,))
        thread.start()
        stack.callback(thread.join)
        stack.callback(end.set)
        still_works(milters)
        assert closed(milters, "room") >= 1


def test_who_can_be_spared_most_makes_room(tmp_path: Path, dns: DnsServer) -> None:
    milters = Milters(tmp_path, dns)
    milters.configure("workers = 1\nmax_connections = 4")
    with milters, ExitStack() as stack:
        message, old, new, mute = (stack.enter_context(plug(milters)) for _ in range(4))
        message.sendall(OFFER + MAIL)
        assert message.recv(65536)
        for idle in (old, new):
            idle.sendall(OFFER)
            assert idle.recv(65536)
            time.sleep(0.2)
        later = []
        for gone in (mute, old, new):
            later.append(stack.enter_context(plug(milters)))
            later[-1].sendall(OFFER)
            assert later[-1].recv(65536), "it was taken"
            later[-1].sendall(MAIL)  # so that it cannot be spared soon
            assert not is_open(gone)
            assert is_open(message)
        message.setblocking(True)
        assert all(map(is_open, later))


def test_a_negotiation_that_does_not_come_is_not_waited_for(tmp_path: Path, dns: DnsServer) -> None:
    milters = Milters(tmp_path, dns)
    with milters, plug(milters) as mute, plug(milters) as half, plug(milters) as idle:
        half.sendall(OFFER[:7])
        idle.sendall(OFFER)
        assert idle.recv(65536)
        began = time.monotonic()
        assert is_closed(mute)
        assert is_closed(half)
        assert time.monotonic() - began > worker.NEGOTIATION_TIMEOUT - 1
        wait_until(lambda: closed(milters, "negotiation") == 2, "both to be counted")
        assert is_open(idle), "Postfix holds it for its next message"


def test_the_probe_tells_that_no_connection_is_taken(tmp_path: Path, dns: DnsServer) -> None:
    milters = Milters(tmp_path, dns)
    milters.configure("workers = 1\nmax_connections = 1")
    waits = waiting(dns, [f"silent{number}" for number in range(8)])
    with milters:
        with milters.client() as busy:
            thread = threading.Thread(target=busy.message, args=(waits,))
            thread.start()
            wait_until(lambda: not milters.ready(), "the probe to tell of it", deadline=10)
            thread.join()
        wait_until(milters.ready, "the probe to tell that it is over")
        still_works(milters)


def test_the_probe_tells_that_no_file_can_be_opened(tmp_path: Path, dns: DnsServer) -> None:
    milters = Milters(tmp_path, dns)
    milters.configure("workers = 1")
    with milters:
        (pid,) = milters.workers()
        with no_more_files(pid):
            wait_until(lambda: not milters.ready(), "the probe to tell of it")
        wait_until(milters.ready, "the probe to tell that it is over")


def test_the_probe_tells_of_a_worker_that_hangs(tmp_path: Path, dns: DnsServer) -> None:
    milters = Milters(tmp_path, dns)
    milters.configure("workers = 2")
    with milters:
        pid = milters.workers()[0]
        os.kill(pid, signal.SIGSTOP)
        try:
            wait_until(lambda: not milters.ready(), "the probe to tell of it")
        finally:
            os.kill(pid, signal.SIGCONT)
        wait_until(milters.ready, "the probe to tell that it is over")


def test_what_can_be_spared_is_shorter_than_an_mta_waits() -> None:
    # milter_connect_timeout of Postfix
    assert max(connection.SPARE_AFTER.values()) <= 30
    assert list(connection.SPARE_AFTER.values()) == sorted(connection.SPARE_AFTER.values())
