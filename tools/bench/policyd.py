"""Benchmark of policy servers: greylisting at RCPT."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tools.bench import load
from tools.bench.load import Load, LoadError
from tools.bench.plan import Bench, idle_memory
from tools.bench.policy_peers import GatepostPolicyd, PolicyServer, Postgrey, Sqlgrey
from tools.bench.report import Table, Target, find
from tools.bench.rounds import Case, Row, ratio, sample
from tools.bench.server import Server
from tools.bench.triplets import REQUEST

CONNECTIONS = 16
"""Number of concurrent sessions of Postfix."""

IDLE = 1_000
"""Idle connections: Postfix keeps one for each smtpd process."""

STORED = 10_000
"""Known triplets in the main tables."""

ASKED_ONCE = 10_000
"""Requests for known triplets, each only once, so that no short-term cache helps."""

GROWTH_ROUNDS = 7
"""Minimum number of rounds: the expected difference is a fifth, and equal rounds differ as much."""

RATE = 1_000
"""Requests per second at which response times are compared: more than most mail systems ever get,
and less than half of the capacity of postgrey."""

_NEW = 10_000_000
"""The first number of the triplets that are not stored."""


def run(bench: Bench) -> None:
    """Run all cases."""
    side_by_side(bench)
    growth(bench)


def _template(bench: Bench) -> Path:
    path = bench.folder / "request"
    path.write_text(REQUEST)
    return path


def _known(
    bench: Bench, server: Server, *, span: int = STORED, requests: int = 0, idle: int = 0
) -> Case:
    """Request known triplets: `requests` of them, or as many as fit into a round."""
    template = _template(bench)

    def one(number: int) -> Load:
        seconds = bench.extent.seconds_of(number)
        return load.policy(
            server.address,
            template,
            connections=CONNECTIONS,
            idle=idle,
            seconds=0 if requests else seconds,
            requests=requests,
            span=span,
        )

    return Case(server, one)


def _new(bench: Bench, server: Server, *, rate: float = 0, first: int = _NEW) -> Case:
    template = _template(bench)

    def one(number: int) -> Load:
        return load.policy(
            server.address,
            template,
            connections=CONNECTIONS,
            seconds=bench.extent.seconds_of(number),
            first=first + number * 1_000_000,
            rate=rate,
        )

    return Case(server, one)


def _check(bench: Bench, server: PolicyServer) -> None:
    """Check that known triplets pass and new ones do not."""
    template = _template(bench)
    known = load.policy(server.address, template, requests=20, span=STORED).replies
    new = load.policy(server.address, template, requests=20, first=2 * _NEW).replies
    deferred = sum(count for word, count in new.items() if _defers(word))
    passes = not server.triplets or not any(_defers(word) for word in known)
    if deferred != 20 or not passes:
        raise LoadError(f"{server.name} answers {known} to known and {new} to new triplets")


def _defers(word: str) -> bool:
    return word.startswith(("DEFER", "45"))


def side_by_side(bench: Bench) -> None:
    """Measure the servers with ten thousand triplets each."""
    servers: list[PolicyServer] = [
        GatepostPolicyd(bench.folder, "sqlite", triplets=STORED),
        GatepostPolicyd(bench.folder, "valkey", triplets=STORED),
        GatepostPolicyd(bench.folder, "memory"),
        Postgrey(bench.folder, triplets=STORED),
        Sqlgrey(bench.folder, triplets=STORED),
    ]
    with bench.running(servers, partial(_check, bench)) as good:
        idle = idle_memory(good)
        lasting = [server for server in good if server.triplets]
        quick = [server for server in lasting if not isinstance(server, Sqlgrey)]
        for title, cases, targets in (
            (
                "Greylisting, triplets not seen before",
                [_new(bench, one) for one in good],
                _targets,
            ),
            (
                f"Greylisting, {STORED:,} known triplets",
                [_known(bench, one) for one in lasting],
                _targets,
            ),
            (
                f"The same with {IDLE:,} further connections open",
                [_known(bench, one, idle=IDLE) for one in lasting],
                _targets,
            ),
            (
                f"Greylisting, new triplets, {RATE:,} requests a second",
                [_new(bench, one, rate=RATE, first=3 * _NEW) for one in quick],
                _time_targets,
            ),
        ):
            rows = bench.measure(title, cases)
            for row in rows:
                row.idle_memory = idle[row.name]
            if rows:
                bench.report.add(Table(title, rows, "requests", targets(rows)))


def _targets(rows: Sequence[Row]) -> list[Target]:
    targets = []
    for store, wanted in (("sqlite", 5), ("valkey", 4)):
        for peer, times in (("postgrey", wanted), ("sqlgrey", 1)):
            ours, theirs = find(rows, f"gatepost, {store}"), find(rows, peer)
            if ours and theirs:
                targets.append(
                    Target(f"× {peer}'s requests/s, {store}", times, ratio(ours, theirs))
                )
    return targets + _time_targets(rows)


def _time_targets(rows: Sequence[Row]) -> list[Target]:
    targets = []
    postgrey = find(rows, "postgrey")
    for store in ("sqlite", "valkey"):
        ours = find(rows, f"gatepost, {store}")
        if ours and postgrey:
            p99 = ratio(ours, postgrey, "p99")
            targets.append(Target(f"× postgrey's p99, {store}", 0.1, p99, at_most=True))
    return targets


def growth(bench: Bench) -> None:
    """Measure our stores with few and with many triplets; servers are restarted for each load."""
    for store in ("sqlite", "valkey"):
        counts = (STORED, bench.extent.many_triplets)
        servers = {
            count: GatepostPolicyd(
                bench.folder,
                store,
                triplets=count,
                name=f"{store}, {count:,} triplets",
                keep=True,
            )
            for count in counts
        }
        once = {count: Row(server.name) for count, server in servers.items()}
        new = {count: Row(server.name) for count, server in servers.items()}
        with bench.steps.step(f"{store}, {' and '.join(f'{n:,}' for n in counts)}") as step:
            rounds = max(bench.extent.rounds, GROWTH_ROUNDS)
            for number in range(rounds):
                for count, server in servers.items():
                    step.progress(number / rounds, server.name)
                    with bench.running([server], lambda _: None) as good:
                        if good:
                            case = _known(bench, server, span=count, requests=ASKED_ONCE)
                            once[count].samples.append(sample(case, number, bench.dns))
                            case = _new(bench, server)
                            new[count].samples.append(sample(case, number, bench.dns))
                            new[count].memory = server.memory()
        for title, rows in (
            (f"Greylisting on {store}: known triplets, each asked about once", once),
            (f"Greylisting on {store}: new triplets", new),
        ):
            few, many = (rows[count] for count in counts)
            if few.samples and many.samples:
                cpu = Target(
                    f"× the CPU of a request with {counts[0]:,}",
                    1.2,
                    ratio(many, few, "cpu"),
                    at_most=True,
                )
                time = Target(
                    f"× the median time of a request with {counts[0]:,}",
                    1.2,
                    ratio(many, few, "p50"),
                    at_most=True,
                )
                bench.report.add(Table(title, [few, many], "requests", [cpu, time]))
