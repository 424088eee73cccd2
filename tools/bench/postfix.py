"""Benchmark of mail through a real Postfix with each of the milters, sent by smtp-source."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.testbed.ports import LOOPBACK
from tests.testbed.postfix import PostfixError, PrivatePostfix, Service
from tests.testbed.waiting import wait_until
from tools.bench.load import Load, LoadError
from tools.bench.mail import CLIENT, compose, sign
from tools.bench.milter_peers import DkimpyMilter, Gatepost, OpenDkim, OpenDmarc, Rspamd
from tools.bench.plan import Bench
from tools.bench.policy_peers import GatepostPolicyd, PolicydSpf, Postgrey
from tools.bench.report import Table, Target, find
from tools.bench.rounds import Case, Row, ratio
from tools.bench.server import Server

SESSIONS = (1, 10)

_SIZE = 2048

_SETTINGS = {
    # a limit of Postfix that would slow down whoever is faster than the delivery
    "in_flow_delay": "0",
    "default_process_limit": "200",
    "smtpd_sasl_auth_enable": "no",
    "smtpd_relay_restrictions": "reject_unauth_destination",
}

_PROBE = 20
"""Messages of a first run, whose speed decides how many a load has."""


def run(bench: Bench) -> None:
    """Run all cases."""
    for piece in (outbound, inbound):
        try:
            piece(bench)
        except PostfixError as error:
            bench.report.fail(str(error))


@dataclass
class Chain:
    """The filters of one smtpd service, counted together."""

    name: str
    service: str
    parts: Sequence[Server]

    def cpu(self) -> float:
        """Return the CPU seconds of the filters, without Postfix."""
        return sum(part.cpu() for part in self.parts)

    def memory(self) -> float:
        """Return the MiB of the filters."""
        return sum(part.memory() for part in self.parts)


@contextmanager
def _postfix(bench: Bench, services: Iterable[Service]) -> Iterator[PrivatePostfix]:
    folder = bench.folder / "postfix"
    folder.mkdir(exist_ok=True)
    # what is accepted is thrown away: the way out of Postfix is not what is measured
    postfix = PrivatePostfix(
        folder,
        "discard:",
        services=list(services),
        settings=_SETTINGS,
        relay_domains=["rcpt.example"],
    )
    with postfix:
        yield postfix


def _send(postfix: PrivatePostfix, service: str, message: Path, sessions: int, count: int) -> float:
    """Send messages, one per connection, and return the seconds."""
    start = time.monotonic()
    done = subprocess.run(
        [
            *("smtp-source", "-s", str(sessions), "-m", str(count), "-F", message),
            *("-M", "client.d0.bench.example", "-f", "sender@d0.bench.example"),
            *("-t", "someone@rcpt.example", postfix.address(service)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise LoadError(f"{service}: {done.stderr.strip()}")
    return time.monotonic() - start


def _case(bench: Bench, postfix: PrivatePostfix, chain: Chain, message: Path, n: int) -> Case:
    took = _send(postfix, chain.service, message, n, _PROBE * n)
    count = max(_PROBE, round(_PROBE * n / took * bench.extent.seconds))

    def one(number: int) -> Load:
        if number < 0:  # the probe has warmed it up
            return Load(1, 1, 0, 0, 0, {})
        took = _send(postfix, chain.service, message, n, count)
        return Load(count, took, 0, 0, 0, {})

    return Case(chain, one)


def _measure(
    bench: Bench, postfix: PrivatePostfix, title: str, chains: Sequence[Chain], message: Path
) -> Iterator[tuple[int, str, list[Row]]]:
    for sessions in SESSIONS:
        text = f"{title}, {sessions} session{'s' if sessions > 1 else ''}"
        cases = []
        for chain in chains:
            try:
                cases.append(_case(bench, postfix, chain, message, sessions))
            except LoadError as error:
                bench.report.fail(str(error))
        if rows := bench.measure(text, cases):
            yield sessions, text, rows


def outbound(bench: Bench) -> None:
    """Measure the signing of our own mail, over a unix socket and over TCP."""
    message = bench.folder / "outbound"
    message.write_bytes(compose(_SIZE, client=LOOPBACK).octets.replace(b"\r\n", b"\n"))
    for over, words in (("unix", "unix socket"), ("inet", "TCP")):
        servers: list[Server] = [
            Gatepost(bench.folder, bench.keys, over=over),
            OpenDkim(bench.folder, bench.keys, over=over),
            Rspamd(bench.folder, bench.keys, over=over),
            DkimpyMilter(bench.folder, bench.keys, over=over),
        ]
        with bench.running(servers, lambda _: None) as good:
            chains = [Chain(one.name, one.name, [one]) for one in good]
            services = [Service(one.name, {"smtpd_milters": one.postfix}) for one in good]
            if over == "unix":
                chains.append(Chain("no milter", "none", []))
                services.append(Service("none"))
            with _postfix(bench, services) as postfix:
                title = f"Through Postfix, signing 2 KB over {words}"
                for sessions, text, rows in _measure(bench, postfix, title, chains, message):
                    table = Table(text, rows)
                    ours, opendkim = find(rows, "gatepost"), find(rows, "opendkim")
                    if sessions == 1 and ours and opendkim:
                        wanted = 1.8 if over == "unix" else 20
                        told = ratio(ours, opendkim)
                        table.targets.append(Target("× opendkim's messages/s", wanted, told))
                    bench.report.add(table)


def inbound(bench: Bench) -> None:
    """Measure all filters of mail from outside: the usual four servers, or our two."""
    message = bench.folder / "inbound"
    signed = sign(compose(_SIZE), 0, bench.keys.rsa)
    message.write_bytes(signed.octets.replace(b"\r\n", b"\n"))
    ours = [
        Gatepost(bench.folder, bench.keys),
        GatepostPolicyd(bench.folder, "sqlite", delay=1),
    ]
    opendkim, opendmarc = OpenDkim(bench.folder, bench.keys), OpenDmarc(bench.folder)
    policyd_spf, postgrey = PolicydSpf(bench.folder), Postgrey(bench.folder, delay=1)
    theirs = [opendkim, opendmarc, policyd_spf, postgrey]
    with bench.running([*ours, *theirs], lambda _: None) as good:
        if len(good) < len(ours) + len(theirs):
            return
        names = " + ".join(one.name for one in theirs)
        chains = [
            Chain("gatepost milters + policyd", "ours", ours),
            Chain(names, "theirs", theirs),
            Chain("nothing", "none", []),
        ]
        services = [
            _inbound_service("ours", [ours[0]], [ours[1]]),
            _inbound_service("theirs", [opendkim, opendmarc], [policyd_spf, postgrey]),
            _inbound_service("none", [], []),
        ]
        with _postfix(bench, services) as postfix:
            for service in ("ours", "theirs"):
                # the first attempt of the triplet is greylisted
                wait_until(partial(_is_taken, postfix, service, message), f"mail to {service}")
            title = "Through Postfix, all checks of mail from outside, 2 KB"
            for _, text, rows in _measure(bench, postfix, title, chains, message):
                bench.report.add(Table(text, rows))


def _is_taken(postfix: PrivatePostfix, service: str, message: Path) -> bool:
    try:
        _send(postfix, service, message, 1, 1)
    except LoadError as error:
        if "450 4.2.0" not in str(error):
            raise
        return False
    return True


def _inbound_service(name: str, milters: Sequence[Server], policies: Sequence[Server]) -> Service:
    settings = {"smtpd_client_event_limit_exceptions": "static:all"}
    if milters:
        settings["smtpd_milters"] = ", ".join(one.postfix for one in milters)
    if policies:
        checks = (f"check_policy_service {one.postfix}" for one in policies)
        settings["smtpd_recipient_restrictions"] = ", ".join(checks)
    return Service(name, settings, host=CLIENT)
