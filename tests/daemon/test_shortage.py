"""Daemons that have run out of file descriptors, and have some again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.milters import SIMPLE, Milters
from tests.daemon.policyd_process import PolicyDaemon
from tests.daemon.shortage import no_more_files
from tests.daemon.test_milters_hostile import processor_ticks
from tests.testbed.dns import DnsServer

REPLY = "4.3.2 this host is short of resources, please try again [out-of-resources]"


@pytest.fixture(scope="module")
def dns() -> Iterator[DnsServer]:
    with DnsServer('["one.example"]\nTXT = "v=spf1 -all"\n') as server:
        yield server


def test_mail_that_could_not_be_checked_for_want_of_a_file_waits(
    tmp_path: Path, dns: DnsServer
) -> None:
    milters = Milters(tmp_path, dns)
    milters.configure("workers = 1")
    text = milters.config.read_text().replace("timeout = 1", 'timeout = 1\nfailure_ttl = "5m"')
    milters.config.write_text(text)
    with milters, milters.client() as client:
        (worker,) = milters.workers()
        with no_more_files(worker):
            assert client.message(SIMPLE, sender="a@one.example").reply == f"451 {REPLY}"
        # with what was kept of the failures, five minutes would have to go by
        (value,) = client.message(SIMPLE, sender="a@one.example").values("Authentication-Results")
        assert "temperror" not in value
        assert "spf=fail" in value
        (line,) = milters.log_entries(reason="out-of-resources")
        assert "Too many open files" in line["error"]
        assert (
            milters.metric(
                "gatepost_milters_reasons_total", action="defer", reason="out-of-resources"
            )
            == 1
        )


@pytest.mark.parametrize("mode", ["open", "closed"])
def test_a_request_whose_check_could_not_ask_dns_is_deferred(
    tmp_path: Path, dns: DnsServer, mode: str
) -> None:
    settings = {
        "greylist": {"enabled": False},
        "client": {"spf_fail": "reject", "failure_mode": mode},
    }
    with PolicyDaemon(tmp_path, settings, dns.address) as policyd, policyd.connect() as client:
        assert client.ask(client_address="unknown") == "DUNNO"  # the connection is taken
        with no_more_files(policyd.daemon.process.pid):
            assert client.ask(sender="a@one.example") == f"451 {REPLY}"
        assert client.ask(sender="a@one.example").startswith("550 ")


def test_the_policy_server_takes_connections_again(tmp_path: Path, dns: DnsServer) -> None:
    with PolicyDaemon(tmp_path, {}, dns.address) as policyd, policyd.connect() as kept:
        pid = policyd.daemon.process.pid
        assert kept.ask() != ""
        with no_more_files(pid):
            used = processor_ticks(pid)
            waiting = [policyd.connect() for _ in range(4)]
            line = policyd.daemon.wait_for_log(event="a connection cannot be accepted")
            assert "Too many open files" in line["error"]
            assert kept.ask() != ""
            assert processor_ticks(pid) - used < 50, "it does not spin"
        for client in waiting:
            with client:
                assert client.ask() != "", "it waited, and was served"
