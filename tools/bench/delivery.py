"""Benchmark of the last step of mail, from Postfix to the mailbox by way of a spam scanner.

A load generator delivers by LMTP as Postfix does. With a stub of a scanner that answers at once,
the figures are those of the way itself; real scanners show what remains of the difference.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tools.bench import load
from tools.bench.delivery_peers import (
    CONNECTIONS,
    DOMAIN,
    SPAMC_SCRIPT,
    Amavisd,
    Dovecot,
    Proxy,
    RspamdScanner,
    Spamd,
    StubSpamd,
    Way,
)
from tools.bench.load import Load, LoadError
from tools.bench.mail import compose, sign
from tools.bench.milter_peers import HOSTNAME
from tools.bench.plan import Bench, size_text
from tools.bench.report import Table, Target, find
from tools.bench.rounds import Case, Row, ratio, worst
from tools.bench.server import Server

MAX_CPU = 1.0
"""Milliseconds of CPU that a message may cost more than by plain LMTP."""
MAX_MEMORY = 20.0
"""MiB of the proxy."""
PER_CONNECTION = 100
"""Messages of a connection: under load, Postfix uses one again for so long."""
PLAIN, OURS, SIEVE, AMAVISD = "plain LMTP", "gatepost", "Sieve with spamc", "amavisd-new"
MARK = b"\nX-Spam-"
_RESULTS = (
    "Authentication-Results",
    f" {HOSTNAME};\r\n\tdkim=pass (2048-bit rsa key) header.d=d0.bench.example header.s=s1"
    " header.b=Zm9vYmFy;\r\n\tspf=pass smtp.mailfrom=sender@d0.bench.example;\r\n"
    "\tdmarc=pass (p=none) header.from=d0.bench.example;\r\n\tiprev=pass policy.iprev=192.0.2.10",
)


def run(bench: Bench) -> None:
    """Measure the ways with the stub, and then with each of the scanners."""
    messages = {
        size: _write(bench.folder / f"delivered-{size}", bench, size)
        for size in bench.extent.sizes[:2]
    }
    stub = StubSpamd(bench.folder)
    with _running(bench, stub, messages) as ways:
        idle = {way.name: way.memory() for way in ways}
        for size, message in messages.items():
            title = f"From Postfix to the mailbox, stub scanner, {size_text(size)}"
            rows = _measured(bench, title, ways, message, idle)
            if rows:
                targets = [*_cpu_target(rows), *(_memory_targets(rows) if size < 10_000 else ())]
                notes = [*_compared(rows), *_alone(ways)]
                notes.append("CPU: with Dovecot, without the scanner")
                bench.report.add(Table(title, rows, targets=targets, notes=notes))
    size, message = next(iter(messages.items()))
    for scanner in (Spamd(bench.folder), RspamdScanner(bench.folder)):
        with _running(bench, scanner, {size: message}) as ways:
            title = f"From Postfix to the mailbox, {scanner.name}, {size_text(size)}"
            rows = _measured(bench, title, ways, message, {})
            if rows:
                notes = [*_compared(rows), "CPU: with Dovecot and the scanner; MiB: without them"]
                if isinstance(scanner, Spamd):
                    notes.append(f"{AMAVISD}: SpamAssassin runs in its own processes")
                bench.report.add(Table(title, rows, notes=notes))


def _write(path: Path, bench: Bench, size: int) -> Path:
    mail = sign(compose(size), 0, bench.keys.rsa).with_fields_on_top(_RESULTS)
    # each has a queue id of its own, because a scan is shared by deliveries of one message
    octets = mail.octets.replace(b" id 4QfZ3b2V6wz9sT", b" id 4QfZ3b{serial}")
    # RFC 5321 section 4.5.2: a dot at the beginning of a line is doubled in transit
    path.write_bytes(octets.replace(b"\r\n.", b"\r\n.."))
    return path


@contextmanager
def _running(bench: Bench, scanner: Server, messages: dict[int, Path]) -> Iterator[list[Way]]:
    """Start the ways by a scanner, and leave out those that do not deliver."""
    stores = {name: Dovecot(bench.folder) for name in (PLAIN, OURS, AMAVISD)}
    is_rspamd = isinstance(scanner, RspamdScanner)
    is_stub = isinstance(scanner, StubSpamd)
    engine = "rspamd" if is_rspamd else "spamassassin"
    counted = [] if is_stub else [scanner]
    proxy = Proxy(bench.folder, stores[OURS], scanner, engine)
    ways = [Way(PLAIN, stores[PLAIN]), Way(OURS, stores[OURS], [proxy], *counted)]
    if not is_rspamd:
        filtering = Dovecot(bench.folder, SPAMC_SCRIPT)
        amavisd = Amavisd(bench.folder, stores[AMAVISD], inside=not is_stub)
        ways += [
            Way(SIEVE, filtering, [], *counted),
            Way(AMAVISD, stores[AMAVISD], [amavisd]),
        ]
    servers: list[Server] = [scanner, *(way.store for way in ways)]
    servers += [one for way in ways for one in way.filters]
    message = next(iter(messages.values()))
    with bench.running(servers, lambda _: None) as good:
        if isinstance(scanner, RspamdScanner) and scanner in good:
            scanner.settle()
        working = []
        for way in ways:
            if scanner in good and all(one in good for one in (way.store, *way.filters)):
                try:
                    _check(way, message)
                except LoadError as error:
                    bench.report.fail(str(error))
                else:
                    working.append(way)
        yield working


def _check(way: Way, message: Path) -> None:
    """Check that the message is marked on its way; a script delivers it also without a scanner."""
    load.lmtp(way.address, message, DOMAIN, connections=1, messages=1)
    (stored,) = way.store.stored()
    if (MARK in stored.read_bytes()) != (way.name != PLAIN):
        raise LoadError(f"{way.name}: the scanner was to mark a message, and only it")


def _measured(
    bench: Bench, title: str, ways: Sequence[Way], message: Path, idle: dict[str, float]
) -> list[Row]:
    for way in ways:
        way.alone.clear()
    rows = bench.measure(title, [Case(way, _load(bench, way, message)) for way in ways])
    for row in rows:
        row.idle_memory = idle.get(row.name, 0)
    return rows


def _load(bench: Bench, way: Way, message: Path) -> Callable[[int], Load]:
    def one(number: int) -> Load:
        way.store.empty()
        before = way.cpu_alone()
        try:
            done = load.lmtp(
                way.address,
                message,
                DOMAIN,
                connections=CONNECTIONS,
                per_connection=PER_CONNECTION,
                seconds=bench.extent.seconds_of(number),
            )
        except LoadError as error:
            raise LoadError(f"{way.name}: {error}") from error
        if number >= 0:
            way.alone.append((way.cpu_alone() - before) / done.done * 1000)
        return done

    return one


def _cpu_target(rows: Sequence[Row]) -> Iterator[Target]:
    plain, ours = find(rows, PLAIN), find(rows, OURS)
    if plain and ours:
        more = [a - b for a, b in zip(ours.all("cpu"), plain.all("cpu"), strict=True)]
        text = "ms CPU more than plain LMTP"
        yield Target(text, MAX_CPU, statistics.median(more), at_most=True)


def _memory_targets(rows: Sequence[Row]) -> Iterator[Target]:
    if ours := find(rows, OURS):
        yield Target("MiB of the proxy, idle", MAX_MEMORY, ours.idle_memory, at_most=True)
        yield Target("MiB of the proxy, after the load", MAX_MEMORY, ours.memory, at_most=True)


def _alone(ways: Sequence[Way]) -> Iterator[str]:
    for way in ways:
        if way.filters and way.alone:
            yield f"{way.name} without Dovecot: {statistics.median(way.alone):.3f} ms CPU"


def _compared(rows: Sequence[Row]) -> Iterator[str]:
    ours = find(rows, OURS)
    for other in rows:
        if ours and other.samples and other is not ours:
            yield (
                f"{ratio(ours, other, 'cpu'):.2f} × the CPU of {other.name}"
                f" ({worst(ours, other, 'cpu', at_most=True):.2f} in the worst round)"
            )
