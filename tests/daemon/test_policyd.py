"""The policy server as a process: order, bounds, bad input, reload, drain, durability."""

from __future__ import annotations

import resource
import signal
import socket
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.policyd_process import PolicyClient, PolicyDaemon
from tests.testbed.daemon import gatepost_command
from tests.testbed.dns import Behaviour, DnsServer
from tests.testbed.waiting import wait_until
from tests.unit.policyd.requests import wire

NEW = "DEFER_IF_PERMIT 4.2.0 Greylisted, please try again in 300 seconds [greylist-new]"
BL = {"dnslists": {"lists": [{"zone": "bl.example", "self_test": False}], "dns_budget": "1s"}}


def test_a_triplet_is_deferred_and_passes_with_a_header_and_is_known(tmp_path: Path) -> None:
    with PolicyDaemon(tmp_path, {"greylist": {"delay": "1s"}}) as policyd:
        first = policyd.ask(instance="1")
        assert first.startswith("DEFER_IF_PERMIT 4.2.0 Greylisted")
        passed = wait_until(
            lambda: answer if not (answer := policyd.ask(instance="2")).startswith("DEFER") else "",
            "the delay to be over",
        )
        assert passed.startswith("PREPEND X-Greylist: delayed ")
        assert " by gatepost at mx.example.org; " in passed
        assert policyd.ask(instance="3") == "DUNNO"
        entry = policyd.daemon.wait_for_log(event="decision", reason="greylist-new")
        assert entry["findings"] == "greylist: new (wait 1 s)"
        assert entry["instance"] == "1"
        assert entry["client"] == "192.0.2.7"
        assert policyd.daemon.metric("gatepost_policyd_checks_total", finding="passed") == 1
        assert policyd.daemon.metric("gatepost_policyd_requests_total", state="RCPT") >= 3


def test_pipelined_requests_are_answered_in_order(tmp_path: Path) -> None:
    """Slow ones (a DNS list that does not answer) stand between quick ones."""
    with DnsServer() as dns:
        dns.misbehave("7.2.0.192.bl.example", Behaviour.TIMEOUT)
        settings = {"dnslists": {**BL["dnslists"], "failure_mode": "tempfail"}}
        with PolicyDaemon(tmp_path, settings, dns.address) as policyd, policyd.connect() as client:
            names = [f"user{n}@example.org" for n in range(40)]
            requests = [
                wire(
                    recipient=name,
                    client_address="192.0.2.7" if n % 20 == 5 else "198.51.100.1",
                    sasl_username="" if n % 2 else "alice",
                )
                for n, name in enumerate(names)
            ]
            client.send(b"".join(requests))
            answers = [client.answer() for _ in names]
    for n, answer in enumerate(answers):
        if n % 20 == 5:
            assert answer.startswith("451 4.3.0"), n
        elif n % 2:
            assert answer == NEW, n
        else:
            assert answer == "DUNNO", n


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"sender=a@example.org\n\n", "no request attribute"),
        (b"request=junk\n\n", "request=junk"),
        (wire(sender="a\0b"), "a NUL byte"),
        (wire(helo_name="h" * (1 << 20)), "longer than 32768 bytes"),
        (b"GET / HTTP/1.0\n\n", "a line without '='"),
        (b"request=smtpd_access_policy\n" + b"a=b\n" * 1000 + b"\n", "more than 200 attributes"),
    ],
)
def test_bad_input_gets_dunno_and_a_line_and_the_next_request_its_answer(
    tmp_path: Path, data: bytes, what: str
) -> None:
    with PolicyDaemon(tmp_path) as policyd, policyd.connect() as client:
        client.send(data + wire())
        assert client.answer() == "DUNNO"
        assert client.answer() == NEW
        assert policyd.daemon.wait_for_log(event="not a request")["what"] == what
        assert policyd.daemon.metric("gatepost_policyd_malformed_total") == 1


def test_a_request_typed_by_hand_is_answered(tmp_path: Path) -> None:
    """nc and telnet end their lines in CR LF."""
    typed = (
        b"request=smtpd_access_policy\r\nprotocol_state=RCPT\r\nclient_address=192.0.2.9\r\n"
        b"sender=a@x.example\r\nrecipient=b@y.example\r\n\r\n"
    )
    with PolicyDaemon(tmp_path) as gate, gate.connect() as client:
        client.send(typed)
        assert "[greylist-new]" in client.answer()
        assert "[greylist-" in client.ask()
        for n in range(len(typed)):
            client.send(typed[n : n + 1])
        assert "[greylist-early]" in client.answer()


def test_unknown_attributes_and_states_are_ignored(tmp_path: Path) -> None:
    with PolicyDaemon(tmp_path) as policyd:
        assert policyd.ask(new_in_postfix_4="x") == NEW
        assert policyd.ask(protocol_state="BDAT") == "DUNNO"
        assert policyd.ask(protocol_state="END-OF-MESSAGE") == "DUNNO"


def test_no_end_of_a_request_closes_the_connection(tmp_path: Path) -> None:
    with PolicyDaemon(tmp_path) as policyd, policyd.connect() as client:
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            client.send(b"x" * (64 << 20))
        assert policyd.ask() == NEW


def test_half_a_request_and_silence_is_closed(tmp_path: Path) -> None:
    with PolicyDaemon(tmp_path, {"request_timeout": "0.2s"}) as policyd:
        with policyd.connect() as client:
            client.send(wire()[:100])
            assert client.closed()
        entry = policyd.daemon.wait_for_log(event="not a request")
        assert entry["what"] == "incomplete request, then silence"


def test_a_silent_connection_is_closed_and_a_talking_one_is_not(tmp_path: Path) -> None:
    with (
        PolicyDaemon(tmp_path, {"idle_timeout": "3s"}) as policyd,
        policyd.connect() as silent,
        policyd.connect() as talking,
    ):
        waiter = threading.Thread(target=silent.closed)
        waiter.start()
        while waiter.is_alive():
            assert talking.ask().startswith("DEFER_IF_PERMIT")
            waiter.join(0.1)


def test_a_request_before_the_end_of_the_stream_is_answered(tmp_path: Path) -> None:
    with PolicyDaemon(tmp_path) as policyd, policyd.connect() as client:
        client.send(wire() + wire())
        client.sock.shutdown(socket.SHUT_WR)
        assert client.answer() == NEW
        assert "greylist-early" in client.answer()
        assert client.closed()


def test_ten_thousand_idle_connections_do_not_keep_a_request_from_its_answer(
    tmp_path: Path,
) -> None:
    count = 10_000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    clients: list[PolicyClient] = []
    try:
        # it raises the usual limit of open files itself
        with PolicyDaemon(tmp_path) as policyd:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 2 * count), hard))
            clients += [policyd.connect() for _ in range(count)]
            wait_until(
                lambda: policyd.daemon.metric("gatepost_policyd_connections") == count,
                "all to be open",
            )
            assert policyd.ask() == NEW  # which is one more than may be open
            assert clients[-1].ask(sender="last@example.net") == NEW
            assert clients[0].closed()
            assert policyd.daemon.metric("gatepost_policyd_connections_made_room_total") == 100
    finally:
        for client in clients:
            client.sock.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_at_the_bound_who_was_silent_for_longest_makes_room(tmp_path: Path) -> None:
    with PolicyDaemon(tmp_path, {"max_connections": 3}) as policyd:
        kept = [policyd.connect() for _ in range(3)]
        for n in (1, 0, 2):
            assert kept[n].ask(sender=f"{'abc'[n]}@example.net") == NEW
        kept[0].send(wire()[:50])  # the beginning of a request is no silence
        with policyd.connect() as further:
            assert further.ask(sender="d@example.net") == NEW
            assert kept[1].closed()
            kept[0].send(wire()[50:])
            assert kept[0].answer() == NEW
            assert "greylist-early" in kept[2].ask(sender="c@example.net")
        for client in kept:
            client.sock.close()
        wait_until(
            lambda: policyd.daemon.metric("gatepost_policyd_connections") == 0, "none to be open"
        )
        assert policyd.daemon.metric("gatepost_policyd_connections_made_room_total") == 1
        assert policyd.daemon.metric("gatepost_policyd_connections_refused_total") == 0


def test_half_requests_keep_nobody_out(tmp_path: Path) -> None:
    """At the bound they make room after a moment, also where an octet comes now and then."""
    with PolicyDaemon(tmp_path, {"max_connections": 5}) as policyd:
        slow = [policyd.connect() for _ in range(5)]
        for octet in wire()[:50]:
            for client in slow:
                with suppress(OSError):
                    client.send(bytes([octet]))
            time.sleep(0.03)
        assert policyd.ask() == NEW
        assert policyd.daemon.metric("gatepost_policyd_connections_made_room_total") >= 1
        for client in slow:
            client.sock.close()


def test_connections_beyond_the_bound_are_closed_where_none_is_silent(tmp_path: Path) -> None:
    with DnsServer() as dns:
        names = [f"{n}.2.0.192.bl.example" for n in (7, 8)]
        for name in names:
            dns.misbehave(name, Behaviour.TIMEOUT)
        settings = {"max_connections": 2, "dnslists": BL["dnslists"]}
        with PolicyDaemon(tmp_path, settings, dns.address) as policyd:
            kept = [policyd.connect() for _ in range(2)]
            # different senders: whichever request is decided first, each is new to the greylist
            for n, client in zip((7, 8), kept, strict=True):
                client.send(wire(client_address=f"192.0.2.{n}", sender=f"sender{n}@example.net"))
            wait_until(lambda: all(map(dns.asked, names)), "the list to be asked of both")
            with policyd.connect() as further:
                assert further.closed()
            assert [client.answer() for client in kept] == [NEW, NEW]
            assert policyd.daemon.metric("gatepost_policyd_connections_refused_total") == 1


def test_a_listed_client_gets_554_with_the_list_and_the_reason_id(tmp_path: Path) -> None:
    with DnsServer() as dns:
        dns.add("7.2.0.192.bl.example", "A", "127.0.0.2")
        with PolicyDaemon(tmp_path, BL, dns.address) as policyd:
            assert policyd.ask() == (
                "554 5.7.1 Service unavailable; client [192.0.2.7] is listed by bl.example "
                "[dnslist]"
            )
            assert policyd.ask(client_address="192.0.2.8") == NEW
            # and at every state at which Postfix may ask
            for state in ("CONNECT", "EHLO", "MAIL"):
                assert policyd.ask(protocol_state=state).startswith("554 5.7.1")


def test_a_dead_list_is_left_out_and_comes_back_by_itself(tmp_path: Path) -> None:
    lists = {"lists": [{"zone": "bl.example"}], "retest_interval": "5s"}
    with DnsServer() as dns:
        dns.add("7.2.0.192.bl.example", "A", "127.0.0.2", ttl=1)
        settings = {"dnslists": lists}
        with PolicyDaemon(tmp_path, settings, dns.address) as policyd:
            entry = policyd.daemon.wait_for_log(event="DNS list is left out")
            assert (entry["zone"], entry["health"]) == ("bl.example", "dead")
            in_use = "gatepost_policyd_dnslist_in_use"
            assert policyd.daemon.metric(in_use, zone="bl.example") == 0
            assert policyd.ask() == NEW
            dns.add("2.0.0.127.bl.example", "A", "127.0.0.2")
            policyd.daemon.wait_for_log(event="DNS list is asked again")
            wait_until(lambda: policyd.ask().startswith("554"), "the list to be asked again")


def test_a_list_of_the_whole_world_refuses_nobody_at_the_start_nor_after_a_reload(
    tmp_path: Path,
) -> None:
    with DnsServer() as dns:
        for name in ("2.0.0.127", "1.0.0.127", "7.2.0.192"):
            dns.add(f"{name}.bl.example", "A", "127.0.0.2", ttl=1)
        settings = {"dnslists": {"lists": [{"zone": "bl.example"}]}}
        with PolicyDaemon(tmp_path, settings, dns.address) as policyd:
            assert policyd.ask() == NEW
            in_use = "gatepost_policyd_dnslist_in_use"
            assert policyd.daemon.metric(in_use, zone="bl.example") == 0
            policyd.daemon.reload()
            policyd.daemon.wait_for_log(event="configuration reloaded")
            assert policyd.ask(sender="b@example.net") == NEW
            assert policyd.daemon.metric(in_use, zone="bl.example") == 0
            assert len(policyd.daemon.log_entries(event="DNS list is left out")) == 1


@pytest.mark.parametrize(
    ("mode", "answer"),
    [("open", NEW), ("tempfail", "451 4.3.0"), ("closed", "554 5.3.0")],
)
def test_without_dns_the_failure_mode_answers(tmp_path: Path, mode: str, answer: str) -> None:
    with DnsServer() as dns:
        dns.misbehave("7.2.0.192.bl.example", Behaviour.TIMEOUT)
        settings = {"dnslists": {**BL["dnslists"], "dns_budget": "0.2s", "failure_mode": mode}}
        with PolicyDaemon(tmp_path, settings, dns.address) as policyd:
            assert policyd.ask().startswith(answer)
            if mode != "open":
                assert policyd.daemon.wait_for_log(reason="dnslists-unavailable")


@pytest.mark.parametrize(("mode", "answer"), [("open", "DUNNO"), ("tempfail", "451 4.3.0")])
def test_the_budget_of_a_request_is_kept(tmp_path: Path, mode: str, answer: str) -> None:
    with DnsServer() as dns:
        dns.misbehave("7.2.0.192.bl.example", Behaviour.TIMEOUT)
        lists = {**BL["dnslists"], "dns_budget": "30s", "failure_mode": mode}
        settings = {"dnslists": lists, "budget": "0.3s"}
        with PolicyDaemon(tmp_path, settings, dns.address) as policyd, policyd.connect() as client:
            assert client.ask().startswith(answer)
            assert client.ask(client_address="192.0.2.8") == NEW
            assert policyd.daemon.metric("gatepost_policyd_out_of_time_total") == 1


def test_a_request_under_way_is_answered_before_the_end(tmp_path: Path) -> None:
    with DnsServer() as dns:
        dns.misbehave("7.2.0.192.bl.example", Behaviour.TIMEOUT)
        settings = {"dnslists": {**BL["dnslists"], "dns_budget": "2s"}}
        policyd = PolicyDaemon(tmp_path, settings, dns.address)
        with policyd, policyd.connect() as busy, policyd.connect() as idle:
            assert idle.ask(client_address="192.0.2.8", sender="idle@example.net") == NEW
            busy.send(wire())
            wait_until(lambda: dns.asked("7.2.0.192.bl.example"), "the request to be under way")
            policyd.daemon.process.signal(signal.SIGTERM)
            assert idle.closed()
            assert busy.answer() == NEW
            assert busy.closed()
            assert policyd.daemon.process.wait() == 0
        assert not policyd.socket.exists()


def test_a_reload_is_used_at_once_and_a_broken_one_is_not(tmp_path: Path) -> None:
    with PolicyDaemon(tmp_path) as policyd, policyd.connect() as client:
        assert client.ask() == NEW
        policyd.write({"greylist": {"text": "Later"}})
        policyd.daemon.reload()
        policyd.daemon.wait_for_log(event="configuration reloaded", generation=2)
        assert client.ask(sender="b@example.net").endswith("4.2.0 Later [greylist-new]")
        policyd.write({"greylist": {"text": "{oops}"}})
        policyd.daemon.reload()
        wait_until(
            lambda: policyd.daemon.metric("gatepost_config_last_reload_success") == 0,
            "the reload to fail",
        )
        assert client.ask(sender="c@example.net").endswith("4.2.0 Later [greylist-new]")
        # and the file is watched, too
        policyd.write({"greylist": {"text": "Soon"}})
        policyd.daemon.wait_for_log(event="configuration reloaded", generation=3)
        assert client.ask(sender="d@example.net").endswith("4.2.0 Soon [greylist-new]")


def test_other_name_servers_are_asked_after_a_reload(tmp_path: Path) -> None:
    with (
        DnsServer() as first,
        DnsServer('["7.113.0.203.bl.example"]\nA = "127.0.0.2"') as second,
        PolicyDaemon(tmp_path, BL, dns=first.address) as policyd,
    ):
        assert policyd.ask(client_address="203.0.113.7") == NEW
        policyd.write(BL, dns=second.address)
        policyd.daemon.wait_for_log(event="configuration reloaded", generation=2)
        assert "listed by bl.example" in policyd.ask(client_address="203.0.113.7")


def test_what_a_reload_cannot_change_is_told_until_it_is_as_at_the_start(tmp_path: Path) -> None:
    told = "some changes need a restart: these keys are only read at the start"
    with PolicyDaemon(tmp_path) as policyd:
        policyd.write({"socket_mode": "0600", "store": {"kind": "memory"}})
        line = policyd.daemon.wait_for_log(event=told)
        assert line["keys"] == ["policyd.socket_mode", "policyd.store.kind", "policyd.store.path"]
        policyd.write({"socket_mode": "0600"})
        policyd.daemon.wait_for_log(event=told, keys=["policyd.socket_mode"])
        policyd.write({"greylist": {"delay": 1}})
        policyd.daemon.wait_for_log(event="configuration reloaded", generation=4)
        assert len(policyd.daemon.log_entries(event=told)) == 2


def test_a_list_of_clients_is_watched(tmp_path: Path) -> None:
    allowed = tmp_path / "whitelist_clients"
    allowed.write_text("example.com\n")
    settings = {"greylist": {"allow_clients_files": [str(allowed)]}}
    with PolicyDaemon(tmp_path, settings) as policyd:
        assert policyd.ask() == NEW
        allowed.write_text("example.net\n")
        wait_until(lambda: policyd.ask() == "DUNNO", "the new list to be used")
        allowed.write_text("two words\n")
        policyd.daemon.wait_for_log(event="configuration not reloaded, the old one stays in use")
        assert policyd.ask() == "DUNNO"


def test_a_table_of_owners_is_watched(tmp_path: Path) -> None:
    table = tmp_path / "owners"
    table.write_text("info@example.org bob\n")
    settings = {"order": ["ownership"], "ownership": {"enabled": True, "owners_files": ["owners"]}}
    with PolicyDaemon(tmp_path, settings) as policyd:

        def ask() -> str:
            return policyd.ask(sasl_username="alice", sender="info@example.org")

        assert ask().endswith("[sender-not-owned]")
        table.write_text("info@example.org bob, alice\n")
        wait_until(lambda: ask() == "DUNNO", "the new table to be used")
        table.write_text("info alice\n")
        policyd.daemon.wait_for_log(event="configuration not reloaded, the old one stays in use")
        assert ask() == "DUNNO"


def test_requests_are_answered_while_a_long_list_is_read(tmp_path: Path) -> None:
    allowed = tmp_path / "whitelist_clients"
    allowed.write_text("example.com\n")
    settings = {"greylist": {"allow_clients_files": [str(allowed)]}}
    with PolicyDaemon(tmp_path, settings) as policyd, policyd.connect() as client:
        draft = tmp_path / "draft"
        draft.write_text("".join(f"host{n}.example.org\n" for n in range(500_000)))
        draft.rename(allowed)
        policyd.daemon.reload()
        policyd.daemon.wait_for_log(event="reading the configuration")
        assert client.ask(sender="meanwhile@example.net") == NEW
        policyd.daemon.wait_for_log(event="configuration reloaded", generation=2)
        events = [
            (entry["event"], entry.get("sender", "")) for entry in policyd.daemon.log_entries()
        ]
    # in the order of the log, not by a clock
    assert events.index(("reading the configuration", "")) < events.index(
        ("decision", "meanwhile@example.net")
    )
    assert events.index(("decision", "meanwhile@example.net")) < events.index(
        ("configuration reloaded", "")
    )


def test_a_reload_while_one_is_under_way_is_not_forgotten(tmp_path: Path) -> None:
    allowed = tmp_path / "whitelist_clients"
    allowed.write_text("".join(f"host{n}.example.org\n" for n in range(200_000)))
    settings = {"greylist": {"allow_clients_files": [str(allowed)]}}
    with PolicyDaemon(tmp_path, settings) as policyd, policyd.connect() as client:
        policyd.daemon.reload()
        policyd.daemon.wait_for_log(event="reading the configuration")
        policyd.write({**settings, "greylist": {"text": "Later"}})
        policyd.daemon.reload()
        wait_until(
            lambda: "4.2.0 Later" in client.ask(sender="b@example.net"),
            "the last configuration to be used",
        )


def test_over_tcp_too(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    with (
        PolicyDaemon(
            tmp_path, {"listen": [f"unix:{tmp_path}/policy.sock", f"inet:127.0.0.1:{port}"]}
        ),
        socket.create_connection(("127.0.0.1", port)) as sock,
    ):
        sock.sendall(wire())
        assert sock.recv(4096) == f"action={NEW}\n\n".encode()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"store": {"path": "/proc/no/store"}}, "cannot create the folder of the store"),
        ({"listen": "unix:/proc/no/socket"}, "cannot listen on unix:/proc/no/socket"),
        (
            {"greylist": {"allow_clients_files": ["/no/such/list"]}},
            "[policyd.greylist]: /no/such/list: does not exist",
        ),
        (
            {"store": {"kind": "valkey", "password_file": "/no/such/file"}},
            "cannot read the password of the store",
        ),
    ],
)
def test_what_cannot_start_says_why_in_a_line(
    tmp_path: Path, settings: dict[str, Any], told: str
) -> None:
    policyd = PolicyDaemon(tmp_path, settings, "127.0.0.1:9")
    with pytest.raises(Exception, match="ended with 1"):
        policyd.daemon.start()
    log = policyd.daemon.log.read_text()
    assert told in log
    assert "Traceback" not in log


def test_what_was_answered_passed_survives_a_kill_in_the_middle_of_load(tmp_path: Path) -> None:
    """SIGKILL while 16 connections get "passed": each triplet that got it is known afterwards."""
    settings = {"greylist": {"delay": "1s", "auto_allow_clients": 0}}
    count = 3000
    names = ["".join("abcdefghij"[int(digit)] for digit in str(n)) for n in range(count)]
    passed: list[str] = []

    def load(policyd: PolicyDaemon, mine: list[str], kill_at: int) -> None:
        with policyd.connect() as client:
            for name in mine:
                try:
                    answer = client.ask(sender=f"{name}@example.net", instance=name)
                except OSError:
                    return
                if answer.startswith("PREPEND"):
                    passed.append(name)
                elif not answer:
                    return
                if len(passed) >= kill_at:
                    policyd.daemon.kill()

    with PolicyDaemon(tmp_path, settings) as policyd:
        with policyd.connect() as client:
            for name in names:
                assert client.ask(sender=f"{name}@example.net").startswith("DEFER")
            wait_until(
                lambda: client.ask(sender=f"{names[-1]}@example.net").startswith("PREPEND"),
                "the delay to be over",
            )
        threads = [
            threading.Thread(target=load, args=(policyd, names[n:-1:16], count // 2))
            for n in range(16)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert count // 2 <= len(passed) < count - 1
        policyd.daemon.start()
        with policyd.connect() as client:
            forgotten = [
                name for name in passed if client.ask(sender=f"{name}@example.net") != "DUNNO"
            ]
        assert forgotten == []


def command(policyd: PolicyDaemon, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [gatepost_command(), *arguments, "--config", policyd.config],
        capture_output=True,
        text=True,
        check=False,
    )


def test_commands_beside_the_server(tmp_path: Path) -> None:
    who = ["--client", "203.0.113.7", "--sender", "x@y.example", "--recipient", "b@example.org"]
    policyd = PolicyDaemon(tmp_path)
    assert command(policyd, "policyd", "ask", "--send", *who).returncode == 1
    with policyd:
        asked = command(policyd, "policyd", "ask", *who).stdout
        assert asked.splitlines() == ["greylist: new (wait 300 s)", f"action={NEW}"]
        sent = command(policyd, "policyd", "ask", "--send", *who).stdout
        assert sent == f"action={NEW}\n"
        assert "greylist: early" in command(policyd, "policyd", "ask", *who).stdout
        assert "net:203.0.113.0/24" in command(policyd, "greylist", "list").stdout
        assert command(policyd, "greylist", "allow", "203.0.113.7").returncode == 0
        assert command(policyd, "policyd", "ask", "--send", *who).stdout == "action=DUNNO\n"
    assert command(policyd, "policyd", "ask", "--send", *who).returncode == 1


def test_dnslist_test_shows_health_and_listing(tmp_path: Path) -> None:
    with DnsServer() as dns:
        dns.add("2.0.0.127.bl.example", "A", "127.0.0.2")
        dns.add("7.2.0.192.bl.example", "A", "127.0.0.4")
        dns.add("7.2.0.192.bl.example", "TXT", "Since Monday")
        lists = [{"zone": "bl.example"}, {"zone": "dead.example", "weight": 0.5}]
        policyd = PolicyDaemon(tmp_path, {"dnslists": {"lists": lists}}, dns.address)
        found = command(policyd, "dnslist", "test", "192.0.2.7")
        assert found.returncode == 1
        assert found.stdout.splitlines() == [
            "bl.example: good",
            "dead.example: dead",
            "dead.example of client: left out",
            "bl.example of client: listed 127.0.0.4 (weight 1): Since Monday",
            "weight 1 of 1: refused",
        ]
        assert command(policyd, "dnslist", "test", "192.0.2").returncode == 2
        policyd.write({"dnslists": {"lists": lists[:1]}})
        found = command(policyd, "dnslist", "test", "192.0.2.8")
        assert found.returncode == 0
        assert found.stdout.splitlines()[1:] == [
            "bl.example of client: not listed",
            "weight 0 of 1: not refused",
        ]


def test_a_socket_that_is_taken_away_ends_the_server_in_order(tmp_path: Path) -> None:
    with PolicyDaemon(tmp_path) as policyd, policyd.connect() as client:
        assert client.ask() == NEW
        policyd.socket.unlink()
        assert policyd.daemon.process.wait() == 1
        assert "was removed: nobody can connect any more" in policyd.daemon.log.read_text()
