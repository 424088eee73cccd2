"""Daemons under more than they have memory for: what is too much is deferred, none is lost."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.daemon.milters import DOMAIN, Milters, memory
from tests.daemon.policyd_process import PolicyDaemon
from tests.daemon.test_milters_hostile import MAIL, OFFER, is_closed, plug, still_works
from tests.testbed.dns import Behaviour, DnsServer
from tests.testbed.waiting import wait_until

MIB = 1 << 20
SIGNATURE = (
    f" v=1; a=rsa-sha256; c=relaxed/relaxed; d={DOMAIN}; s=silent; h=from:{{names}}; "
    "bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=YWFh"
)
LARGE = [(f"Z-{number}", b" " + b"x" * 100_000) for number in range(30)]
MANY = [(f"Z-{number}", b" y") for number in range(6_000)]


@pytest.fixture
def milters(tmp_path: Path) -> Iterator[Milters]:
    """With one worker, whose messages have 16 MiB; it is not started yet."""
    with DnsServer() as dns:
        milters = Milters(tmp_path, dns)
        milters.configure('workers = 1\nmessage_memory = "16M"')
        yield milters


@pytest.mark.parametrize("fields", [LARGE, MANY], ids=["large", "many"])
def test_messages_that_wait_for_dns_hold_no_more_than_is_allowed(
    milters: Milters, fields: list[tuple[str, bytes]]
) -> None:
    replies: Counter[str] = Counter()
    milters.dns.misbehave(f"silent._domainkey.{DOMAIN}", Behaviour.TIMEOUT)
    text = milters.config.read_text().replace("timeout = 1", "timeout = 8")
    milters.config.write_text(text)

    def send() -> None:
        with milters.client() as client:
            client.mail_from("a@sender.example")
            client.rcpt("b@receiver.example")
            client.data()
            names = ":".join(name for name, _ in fields)
            client.header("DKIM-Signature", SIGNATURE.format(names=names).encode())
            client.header("From", b" a@signer.example")
            for name, value in fields:
                client.header(name, value)
            client.end_of_headers()
            replies[client.end_of_message().reply] += 1

    with milters:
        (worker,) = milters.workers()
        still_works(milters)
        before = most = memory(worker)
        threads = [threading.Thread(target=send) for _ in range(20)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            most = max(most, memory(worker))
        # beside what is counted: one message that is being read, and what the allocator keeps
        assert most - before < 16 * MIB + 40 * MIB
        deferred = "451 4.3.2 too many large messages in progress, please try again [too-much-mail]"
        assert set(replies) == {"continue", deferred}
        assert replies["continue"] >= 1
        counted = milters.metric(
            "gatepost_milters_reasons_total", action="defer", reason="too-much-mail"
        )
        assert counted == replies[deferred]
        wait_until(
            lambda: milters.metric("gatepost_milters_held_octets") == 0, "all to be given back"
        )
        still_works(milters)


def test_halves_of_huge_packets_are_bounded(milters: Milters) -> None:
    with milters, ExitStack() as stack:
        (worker,) = milters.workers()
        before = memory(worker)
        plugged = [stack.enter_context(plug(milters)) for _ in range(12)]
        for one in plugged:
            try:
                one.sendall(OFFER + MAIL + b"\0\x40\0\0L" + bytes(3 * MIB))
            except ConnectionError:
                continue
        still_works(milters)
        assert memory(worker) - before < 16 * MIB + 24 * MIB
        assert is_closed(plugged[-1])


def test_macros_are_bounded_and_counted(milters: Milters) -> None:
    many = b"DE" + b"".join(b"%x\0\0" % number for number in range(20_000))
    long = b"DEi\0" + b"x" * 30_000 + b"\0"
    with milters, ExitStack() as stack:
        (worker,) = milters.workers()
        before = memory(worker)
        for macros in (many, long):
            plugged = [stack.enter_context(plug(milters)) for _ in range(150)]
            for one in plugged:
                one.sendall(OFFER + MAIL + len(macros).to_bytes(4, "big") + macros)
            still_works(milters)
            assert memory(worker) - before < 16 * MIB + 24 * MIB
            if macros is many:
                assert is_closed(plugged[-1])
        wait_until(
            lambda: milters.metric("gatepost_milters_held_octets") >= 150 * 30_000, "the count"
        )


def test_half_a_request_of_too_many_is_not_waited_for(tmp_path: Path) -> None:
    settings = {"request_memory": "1M", "greylist": {"enabled": False}}
    with PolicyDaemon(tmp_path, settings) as policyd, ExitStack() as stack:
        clients = [stack.enter_context(policyd.connect()) for _ in range(60)]
        for client in clients:
            client.send(b"request=smtpd_access_policy\nx=" + b"y" * 30_000)
        assert clients[-1].closed()
        assert policyd.ask() == "DUNNO"
        assert policyd.daemon.log_entries(what="no memory for the rest of a request")
        for client in clients:
            client.sock.close()
        wait_until(lambda: policyd.daemon.metric("gatepost_policyd_held_bytes") == 0, "the end")


def test_requests_that_wait_for_dns_hold_no_more_than_is_allowed(tmp_path: Path) -> None:
    settings = {
        "request_memory": "1M",
        "greylist": {"enabled": False},
        "client": {"spf_fail": "reject"},
    }
    with DnsServer() as dns:
        dns.misbehave("silent.example", Behaviour.TIMEOUT)
        with PolicyDaemon(tmp_path, settings, dns.address) as policyd, ExitStack() as stack:
            clients = [stack.enter_context(policyd.connect()) for _ in range(20)]
            threads: list[threading.Thread] = []
            answers: Counter[str] = Counter()

            def ask(number: int) -> None:
                sender = f"a{number}@silent.example"
                answers[clients[number].ask(sender=sender, ccert_subject="y" * 25_000)] += 1

            for number in range(len(clients)):
                threads.append(threading.Thread(target=ask, args=(number,)))
                threads[-1].start()
            for thread in threads:
                thread.join()
            busy = "451 4.3.2 too many requests in progress, please try again [too-many-requests]"
            assert set(answers) == {"DUNNO", busy}
            assert policyd.ask() == "DUNNO"
