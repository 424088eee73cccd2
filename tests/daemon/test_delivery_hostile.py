"""Stores that break, clients that are rude, disks that are full, messages that are huge."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.delivery_site import HAM, HEAD, DeliverySite, StubStore, delivery_site
from tests.testbed.disk import small_disk
from tests.testbed.waiting import wait_until

AWAY = "451 4.4.1 The mail store does not answer, please try again later [store-away]"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[DeliverySite]:
    with delivery_site(tmp_path) as site:
        yield site


def test_a_store_that_closes_between_recipients(site: DeliverySite) -> None:
    site.store.close_after = 2
    names = [f"user{number}@example.org" for number in range(4)]
    assert site.send(HAM, *names) == [
        "250 2.0.0 <user0@example.org> Saved",
        "250 2.0.0 <user1@example.org> Saved",
        AWAY,
        AWAY,
    ]
    (line,) = site.daemon.log_entries(event="not delivered", recipient="user3@example.org")
    assert "it closed the connection" in line["problem"]
    assert line["verdict"] == "ham"


def test_a_store_that_is_down(site: DeliverySite) -> None:
    site.store.close()
    assert site.send(HAM, "ann@example.org") == [AWAY]


def test_connections_to_a_store_are_used_again(site: DeliverySite) -> None:
    for _ in range(5):
        assert site.send(HAM, "ann@example.org")[0].startswith("250")
    assert site.store.connections == 1
    # after a refusal the envelope is open, and the connection is not used again
    site.store.rcpt["bob@example.org"] = b"550 5.1.1 unknown"
    assert site.send(HAM, "bob@example.org") == ["550 5.1.1 unknown"]
    assert site.send(HAM, "ann@example.org")[0].startswith("250")
    assert site.store.connections == 2


@pytest.mark.parametrize("is_back", [True, False])
def test_a_store_that_ends_idle_connections(site: DeliverySite, *, is_back: bool) -> None:
    assert site.send(HAM, "ann@example.org")[0].startswith("250")
    port = site.store.port
    site.store.close()
    if is_back:
        site.store = StubStore(port)
        assert site.send(HAM, "ann@example.org")[0].startswith("250")
        assert len(site.store.messages) == 1
    else:
        assert site.send(HAM, "ann@example.org") == [AWAY]


def test_a_store_that_ends_a_connection_at_the_next_command(site: DeliverySite) -> None:
    assert site.send(HAM, "ann@example.org")[0].startswith("250")
    site.store.drops_next.set()
    assert site.send(HAM, "ann@example.org")[0].startswith("250")
    assert site.store.connections == 2
    assert len(site.store.messages) == 2


def test_a_store_that_says_nothing(tmp_path: Path) -> None:
    with delivery_site(tmp_path, {"stores": {"timeout": 0.5}}) as site:
        site.store.is_silent.set()
        assert site.send(HAM, "ann@example.org") == [AWAY]
        site.store.is_silent.clear()
        site.store.gate.clear()
        assert site.send(HAM, "ann@example.org") == [AWAY]


def test_a_store_that_refuses_within_the_content(site: DeliverySite) -> None:
    big = HEAD + b"\r\n" + (b"x" * 70 + b"\r\n") * 100_000
    site.store.refuse_content = b"552 5.2.3 <ann@example.org> too large\r\n"
    (answer,) = site.send(big, "ann@example.org")
    assert answer in ("552 5.2.3 <ann@example.org> too large", AWAY)
    # a store that says "saved" before it has everything has saved nothing
    site.store.refuse_content = b"250 2.0.0 saved\r\n"
    assert site.send(big, "ann@example.org") == [AWAY]


def test_the_budget_ends_a_delivery(tmp_path: Path) -> None:
    with delivery_site(tmp_path, {"budget": 1, "stores": {"timeout": 60}}) as site:
        site.store.gate.clear()
        (answer,) = site.send(HAM, "ann@example.org")
        assert answer.startswith("451 4.4.2 ")
        assert answer.endswith("[out-of-time]")


def test_a_client_that_is_gone_gets_nothing_delivered_later(site: DeliverySite) -> None:
    site.spamd.answer = lambda _: None
    client = site.daemon.connect()
    client.begin("ann@example.org")
    client.content(HAM)
    wait_until(lambda: site.spamd.requests, "the scan to begin")
    client.close()
    site.daemon.wait_for_log(event="client gone")
    wait_until(lambda: not site.spamd.open, "the scan to be given up")
    assert site.store.connections == 0
    assert site.daemon.metric("gatepost_delivery_abandoned_total") == 1


def test_half_a_message_is_not_delivered(site: DeliverySite) -> None:
    for end in (b"", b".", b".\r", b"\n.\n", b"\r.\r"):
        client = site.daemon.connect()
        client.begin("ann@example.org")
        client.sock.sendall(HAM + end)
        client.close()
    wait_until(
        lambda: site.daemon.metric("gatepost_delivery_abandoned_total") == 5, "five lost messages"
    )
    assert site.spamd.connections == site.store.connections == 0


def test_a_client_that_drips(tmp_path: Path) -> None:
    with delivery_site(tmp_path, {"receive_timeout": 2, "idle_timeout": 60}) as site:
        with site.daemon.connect() as client:
            client.begin("ann@example.org")
            begun = time.monotonic()
            try:
                while time.monotonic() - begun < 30:
                    client.sock.sendall(b"x")
                    time.sleep(0.05)
            except OSError:
                pass
            assert time.monotonic() - begun < 20
        assert site.send(HAM, "ann@example.org")[0].startswith("250")


def test_a_slow_client_is_served_octet_by_octet(site: DeliverySite) -> None:
    message = b"X-Spam-Flag: YES\r\n" + HAM + b"\r\n..\r\n"
    data = b"LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<ann@example.org>\r\nDATA\r\n" + message + b".\r\n"
    with site.daemon.connect() as client:
        for octet in data:
            client.sock.sendall(bytes((octet,)))
        said = [client.reply()[:3] for _ in range(5)]
    assert said == ["250", "250", "250", "354", "250"]
    assert site.store.messages[0].data.endswith(HAM + b"\r\n.\r\n")
    assert b"X-Spam-Flag" not in site.store.messages[0].data


def test_idle_connections_make_room(tmp_path: Path) -> None:
    with delivery_site(tmp_path, {"max_connections": 3}) as site:
        idle = [site.daemon.connect() for _ in range(3)]
        assert site.send(HAM, "ann@example.org")[0].startswith("250")
        assert site.daemon.metric("gatepost_delivery_connections_made_room_total") >= 1
        assert idle[0].reply() == ""
        for client in idle:
            client.close()


def test_busy_connections_wait_for_their_turn(tmp_path: Path) -> None:
    with delivery_site(tmp_path, {"max_connections": 2}) as site:
        answers: list[str] = []

        def send(number: int) -> None:
            answers.extend(site.send(HAM, f"user{number}@example.org"))

        threads = [threading.Thread(target=send, args=(number,)) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert [answer[:3] for answer in answers] == ["250"] * 12
        assert len(site.store.messages) == 12


def resident(pid: int) -> int:
    """KiB of memory of a process at its highest."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmHWM:")[2].split()[0])


def test_a_huge_message_takes_no_memory(site: DeliverySite) -> None:
    site.store.keeps = False
    line = b"x" * 998 + b"\r\n"
    site.send(HAM, "ann@example.org")
    before = resident(site.daemon.process.pid)
    with site.daemon.connect() as client:
        client.begin("ann@example.org", "bob@example.org")
        client.sock.sendall(HEAD + b"\r\n")
        for _ in range(100):
            client.sock.sendall(line * 1000)
        assert site.daemon.metric("gatepost_delivery_spooled_bytes") > 50e6
        client.sock.sendall(b".\r\n")
        assert [client.reply()[:3] for _ in range(2)] == ["250", "250"]
    assert site.store.sizes[-1] > 100e6
    assert resident(site.daemon.process.pid) - before < 20_000
    assert len(site.spamd.requests[-1].message) < 600_000
    assert site.spooled == []
    wait_until(
        lambda: site.daemon.metric("gatepost_delivery_spooled_bytes") == 0, "the file to be closed"
    )


def test_a_message_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    with delivery_site(tmp_path, {"max_size": "1M"}) as site:
        with site.daemon.connect() as client:
            big = HEAD + b"\r\n" + (b"x" * 70 + b"\r\n") * 20_000
            answers = client.send(big, "ann@example.org", "bob@example.org")
            assert answers == ["552 5.3.4 The message is too large [too-large]"] * 2
            # the connection goes on
            assert client.send(HAM, "ann@example.org")[0].startswith("250")
        assert len(site.store.messages) == 1


@pytest.mark.usefixtures("mounts")
def test_a_full_disk_delays(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    folder.mkdir()
    site = DeliverySite(tmp_path, {"spool_folder": str(folder)})
    site.daemon._within = small_disk(folder, 1 << 20)
    with site:
        big = HEAD + b"\r\n" + (b"x" * 70 + b"\r\n") * 40_000
        (answer,) = site.send(big, "ann@example.org")
        assert answer == "452 4.3.1 No space for the message, please try again later [no-space]"
        assert site.send(HAM, "ann@example.org")[0].startswith("250")
        (line,) = site.daemon.log_entries(event="not delivered")
        assert "No space left" in line["problem"]


def test_a_spool_folder_that_is_gone_delays(site: DeliverySite) -> None:
    site.merge({"spool_folder": str(site.directory / "gone")})
    site.daemon.write(site.settings)
    site.daemon.reload()
    site.daemon.wait_for_log(event="configuration reloaded")
    big = HEAD + b"\r\n" + (b"x" * 70 + b"\r\n") * 10_000
    assert site.send(big, "ann@example.org")[0].startswith("452 4.3.1 ")
    assert site.send(HAM, "ann@example.org")[0].startswith("250")


def test_killed_in_the_middle_nothing_is_acknowledged(site: DeliverySite) -> None:
    site.store.gate.clear()
    client = site.daemon.connect()
    client.begin("ann@example.org")
    client.content(HEAD + b"\r\n" + (b"x" * 70 + b"\r\n") * 10_000)
    wait_until(lambda: site.store.sizes, "the content to arrive")
    os.kill(site.daemon.process.pid, signal.SIGKILL)
    assert client.reply() == ""
    client.close()
    site.store.gate.set()
    assert site.spooled == []
    site.daemon.process.wait()
    site.daemon.start()
    assert site.send(HAM, "ann@example.org")[0].startswith("250")
