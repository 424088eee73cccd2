"""Benchmark of milters over a unix socket: signing, verifying, and all checks together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from tests.testbed.ports import LOOPBACK
from tools.bench import corpus, load
from tools.bench.load import Load, LoadError
from tools.bench.mail import Mail, compose, sign
from tools.bench.milter_peers import HOSTNAME, DkimpyMilter, Gatepost, OpenDkim, OpenDmarc, Rspamd
from tools.bench.plan import Bench, idle_memory, size_text
from tools.bench.policy_peers import PolicydSpf
from tools.bench.report import Table, Target, find
from tools.bench.rounds import Case, Row, Sample, ratio, sample
from tools.bench.server import Server
from tools.bench.triplets import SPF_REQUEST

CONNECTIONS = 8
"""Number of concurrent sessions of Postfix."""

FRESH = 6_000
"""Messages, each from a different domain: more than one load sends, so that no cache knows the
domains."""

_ONLY_DKIM = "[milters.verify]\nspf = false\ndmarc = false\narc = false\niprev = false"
_FIRST = "Authentication-Results", f" {HOSTNAME}; dkim=pass header.d=d0.bench.example"
_SECOND = "Authentication-Results", f" {HOSTNAME}; spf=pass smtp.mailfrom=d0.bench.example"


def run(bench: Bench) -> None:
    """Run all cases."""
    signing(bench)
    verifying(bench)
    verifying_uncached(bench)
    verdict(bench)


def _write(bench: Bench, name: str, mails: Iterable[Mail]) -> Path:
    path = bench.folder / name
    corpus.write(path, mails)
    return path


def _loads(bench: Bench, corpus_file: Path, server: Server, *, per_connection: int = 1) -> Case:
    def one(number: int) -> Load:
        seconds = bench.extent.seconds_of(number)
        return load.milter(
            server.address,
            corpus_file,
            connections=CONNECTIONS,
            seconds=seconds,
            per_connection=per_connection,
        )

    return Case(server, one)


def _check(corpus_file: Path, wanted: str, server: Server) -> None:
    """Check that the server does the work; it would be fast if it only reported an error."""
    replies = server.folder / "replies"
    load.milter(server.address, corpus_file, connections=1, messages=1, replies=replies)
    fields = [f"{name}:{value}" for name, value in load.added_fields(replies)]
    if not any(wanted in " ".join(field.split()) for field in fields):
        raise LoadError(f"{server.name} was to add {wanted!r} and added {fields}")


def _tables(
    bench: Bench,
    label: str,
    servers: Sequence[Server],
    corpora: dict[int, Path],
    targets: Callable[[int, list[Row]], list[Target]],
) -> None:
    idle = idle_memory(servers)
    for size, corpus_file in corpora.items():
        title = f"{label}, {size_text(size)}"
        rows = bench.measure(title, [_loads(bench, corpus_file, server) for server in servers])
        for row in rows:
            row.idle_memory = idle[row.name]
        if rows:
            bench.report.add(Table(title, rows, targets=targets(size, rows)))


def signing(bench: Bench) -> None:
    """Measure the signing of our own mail."""
    corpora = {
        size: _write(bench, f"plain-{size}", [compose(size, client=LOOPBACK)])
        for size in bench.extent.sizes
    }
    servers = [
        Gatepost(bench.folder, bench.keys),
        Gatepost(bench.folder, bench.keys, ed25519=True, name="gatepost, RSA and Ed25519"),
        OpenDkim(bench.folder, bench.keys),
        Rspamd(bench.folder, bench.keys),
        Rspamd(bench.folder, bench.keys, processes=1),
        DkimpyMilter(bench.folder, bench.keys),
    ]
    first = next(iter(corpora.values()))
    with bench.running(servers, partial(_check, first, "DKIM-Signature:")) as good:
        _tables(bench, "Signing", good, corpora, _signing_targets)
        title = "Signing, 2 KB, 100 messages a connection"
        cases = [_loads(bench, first, one, per_connection=100) for one in good]
        if rows := bench.measure(title, cases):
            bench.report.add(Table(title, rows))


def _signing_targets(size: int, rows: list[Row]) -> list[Target]:
    targets = []
    ours, opendkim = find(rows, "gatepost"), find(rows, "opendkim")
    if ours and opendkim:
        wanted = 1.3 if size > 100_000 else 1.8
        targets.append(Target("× opendkim's messages/s", wanted, ratio(ours, opendkim)))
        cpu = ratio(ours, opendkim, "cpu")
        targets.append(Target("× opendkim's CPU", 0.5, cpu, at_most=True))
    if ours and size < 10_000:
        for name, what in (
            ("rspamd, 1 process", "one process, as it is installed"),
            ("rspamd", "a process a core"),
        ):
            if rspamd := find(rows, name):
                times = ratio(ours, rspamd)
                targets.append(Target(f"× rspamd's messages/s, {what}", 1.3, times))
    return targets


def verifying(bench: Bench) -> None:
    """Measure the verification of DKIM signatures, with the keys in every cache."""
    corpora = {
        size: _write(bench, f"signed-{size}", [sign(compose(size), 0, bench.keys.rsa)])
        for size in bench.extent.sizes
    }
    servers = [
        Gatepost(bench.folder, bench.keys, settings=_ONLY_DKIM),
        OpenDkim(bench.folder, bench.keys),
        DkimpyMilter(bench.folder, bench.keys, verify=True),
    ]
    first = next(iter(corpora.values()))
    with bench.running(servers, partial(_check, first, "dkim=pass")) as good:
        _tables(bench, "Verifying DKIM", good, corpora, lambda _, rows: _verify_targets(rows))


def _verify_targets(rows: list[Row]) -> list[Target]:
    ours, opendkim = find(rows, "gatepost"), find(rows, "opendkim")
    if not ours or not opendkim:
        return []
    return [Target("× opendkim's messages/s", 1, ratio(ours, opendkim))]


def _fresh(bench: Bench) -> Path:
    mails = (sign(compose(2048, n), n, bench.keys.rsa) for n in range(1, FRESH + 1))
    return _write(bench, "fresh", mails)


def verifying_uncached(bench: Bench) -> None:
    """Measure messages from domains that are in no cache."""
    fresh = bench.folder / "fresh"
    if not fresh.exists():
        fresh = _fresh(bench)
    title = "Verifying DKIM, 2 KB, every domain new to every cache"
    servers = [
        Gatepost(bench.folder, bench.keys, settings=_ONLY_DKIM),
        OpenDkim(bench.folder, bench.keys),
        DkimpyMilter(bench.folder, bench.keys, verify=True),
    ]
    if rows := _each_anew(bench, title, servers, fresh, "dkim=pass"):
        bench.report.add(Table(title, rows, targets=_verify_targets(rows)))


def _each_anew(
    bench: Bench, title: str, servers: Sequence[Server], fresh: Path, wanted: str
) -> list[Row]:
    """Measure servers that are restarted for each load, so that their caches are empty."""
    rows = {server.name: Row(server.name) for server in servers}
    with bench.steps.step(title) as step:
        for number in range(bench.extent.rounds):
            for n, server in enumerate(servers):
                step.progress((number + n / len(servers)) / bench.extent.rounds, server.name)
                with bench.running([server], partial(_check, fresh, wanted)) as good:
                    if good:
                        rows[server.name].samples.append(_once(bench, server, fresh))
                        rows[server.name].memory = server.memory()
    return [row for row in rows.values() if row.samples]


def _once(bench: Bench, server: Server, fresh: Path) -> Sample:
    def one(_: int) -> Load:
        # the first message was the check; none comes twice
        return load.milter(
            server.address,
            fresh,
            connections=CONNECTIONS,
            seconds=bench.extent.seconds,
            messages=FRESH - 1,
            first=1,
        )

    return sample(Case(server, one), 0, bench.dns)


def verdict(bench: Bench) -> None:
    """Measure all checks of mail from outside, in Gatepost and in the usual set of servers."""
    signed = [sign(compose(size), 0, bench.keys.rsa) for size in bench.extent.sizes[:2]]
    request = bench.folder / "spf-request"
    request.write_text(SPF_REQUEST)
    plain = _write(bench, "verdict", signed[:1])
    ours = Gatepost(bench.folder, bench.keys)
    opendkim = OpenDkim(bench.folder, bench.keys)
    opendmarc = OpenDmarc(bench.folder)
    rspamd = Rspamd(bench.folder, bench.keys, verify=True)
    policyd_spf = PolicydSpf(bench.folder)
    seen = _write(bench, "verdict-dmarc", [signed[0].with_fields_on_top(_FIRST, _SECOND)])

    def check(server: Server) -> None:
        if server is opendmarc:
            _check(seen, "dmarc=pass", server)
        elif server is policyd_spf:
            answers = load.policy(server.address, request, connections=1, requests=1).replies
            if "PREPEND" not in answers:
                raise LoadError(f"policyd-spf answered {answers}")
        else:
            _check(plain, "dmarc=pass" if server in (ours, rspamd) else "dkim=pass", server)

    servers: list[Server] = [ours, opendkim, opendmarc, policyd_spf, rspamd]
    with bench.running(servers, check) as good:
        idle = idle_memory(good)
        for mail in signed:
            size = bench.extent.sizes[signed.index(mail)]
            title = f"Whole verdict (DKIM, SPF, DMARC), {size_text(size)}"
            corpus_file = _write(bench, "verdict", [mail])
            later = _write(bench, "verdict-dmarc", [mail.with_fields_on_top(_FIRST, _SECOND)])
            cases = []
            for server in good:
                if server is policyd_spf:
                    cases.append(_asks(bench, request, server))
                else:
                    which = later if server is opendmarc else corpus_file
                    cases.append(_loads(bench, which, server))
            rows = bench.measure(title, cases)
            for row in rows:
                row.idle_memory = idle[row.name]
            if rows:
                bench.report.add(_verdict_table(title, rows))


def _asks(bench: Bench, request: Path, server: Server) -> Case:
    def one(number: int) -> Load:
        # two kept processes are its best; Postfix has one for each smtpd
        seconds = bench.extent.seconds_of(number)
        return load.policy(server.address, request, connections=2, seconds=seconds)

    return Case(server, one)


def _verdict_table(title: str, rows: list[Row]) -> Table:
    parts = [find(rows, name) for name in ("opendkim", "opendmarc", "policyd-spf")]
    ours = find(rows, "gatepost")
    table = Table(title, rows)
    if ours and all(parts):
        together = _together([part for part in parts if part])
        rows.append(together)
        cpu = ratio(ours, together, "cpu")
        table.targets.append(Target(f"× the CPU of {together.name}", 0.5, cpu, at_most=True))
        table.notes.append(
            "the three together: CPU and memory added; messages/s if they took turns"
        )
    return table


def _together(parts: Sequence[Row]) -> Row:
    """Return a server that consists of the parts, which work one after the other."""
    row = Row(" + ".join(part.name for part in parts))
    for samples in zip(*(part.samples for part in parts), strict=True):
        row.samples.append(
            Sample(
                rate=1 / sum(1 / one.rate for one in samples),
                p50=sum(one.p50 for one in samples),
                p99=sum(one.p99 for one in samples),
                cpu=sum(one.cpu for one in samples),
                questions=sum(one.questions for one in samples),
                replies={},
            )
        )
    row.memory = sum(part.memory for part in parts)
    row.idle_memory = sum(part.idle_memory for part in parts)
    return row
