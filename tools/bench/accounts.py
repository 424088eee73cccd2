"""Benchmark of accounts: look-ups of mailboxes and logins, beside Postfix's tables and podop."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from accounts.passwords import Password, PasswordSettings, hash_password
from tests.testbed.postgres import PostgresServer
from tools.bench import load, sasl
from tools.bench.account_peers import (
    GatepostAccounts,
    Podop,
    PostfixTables,
    pgsql_table,
    sqlite_table,
)
from tools.bench.load import Load, LoadError
from tools.bench.mailboxes import ALIAS, ALIAS_EVERY, Rows, fill_lmdb, fill_postgres, fill_sqlite
from tools.bench.plan import Bench, idle_memory
from tools.bench.report import Table, Target, find
from tools.bench.rounds import Case, Row, Sample, ratio, worst
from tools.bench.server import Server
from tools.bench.usage import cpu_seconds

CONNECTIONS = 16
"""Processes of Postfix that ask at once."""
MANY = (10_000, 1_000_000)
"""Domains and mailboxes."""
FEW = (10, 1_000)
PER_CORE = {"gatepost, sqlite": 20_000, "gatepost, postgresql": 8_000}
"""Look-ups a second that a core has to answer."""
MAX_IDLE = 50
"""MiB."""
GROWTH = 1.2
GROWTH_ROUNDS = 7
WARM_UP = 50_000
"""Look-ups before the first one that counts: most domains were asked for by then, as in a service
that has run for a while."""
KEYS = 50_000
"""Keys that one postmap(1) asks for."""
LOGINS = 4
"""Connections that log in at once: twice the threads that check passwords."""
SECRET = "correct horse battery"
SQLITE, POSTGRES = PER_CORE


@dataclass(frozen=True)
class Data:
    """The databases with many mailboxes, and one with few."""

    rows: Rows
    few: Rows
    file: Path
    few_file: Path
    postgres: PostgresServer
    url: str
    lmdb: Path
    cpu_of_postgres: dict[str, list[float]] = field(default_factory=dict)
    """Milliseconds for a look-up that PostgreSQL itself used, in each round, by who asked."""


def run(bench: Bench) -> None:
    """Run all of it."""
    with _filled(bench) as data:
        side_by_side(bench, data)
        one_process(bench, data)
        growth(bench, data)
        logins(bench, data)


@contextmanager
def _filled(bench: Bench) -> Iterator[Data]:
    folder = bench.folder
    secret = hash_password(Password(SECRET), PasswordSettings())
    rows, few = Rows(*MANY, secret), Rows(*FEW, secret)
    file, few_file = folder / "many" / "accounts.db", folder / "few" / "accounts.db"
    with PostgresServer() as server:
        server.folder.chmod(0o755)  # Postfix's user asks it, too
        url = server.new_database()
        with bench.steps.step(f"{MANY[0]:,} domains, {MANY[1]:,} mailboxes") as step:
            for number, (path, its) in enumerate(((file, rows), (few_file, few))):
                step.progress(number / 4, path.parent.name)
                path.parent.mkdir()
                fill_sqlite(path, its)
            step.progress(0.4, "postgresql")
            fill_postgres(url, rows)
            step.progress(0.8, "lmdb")
            lmdb = fill_lmdb(folder, rows)
        yield Data(rows, few, file, few_file, server, url, lmdb)


def _case(
    bench: Bench, server: Server, rows: Rows, table: str, *, prefix: str = "", every: int = 1
) -> Case:
    asked = server.table if isinstance(server, PostfixTables) else table

    def one(number: int) -> Load:
        return load.lookups(
            server.address,
            asked,
            domains=rows.domains,
            mailboxes=rows.mailboxes,
            prefix=prefix,
            every=every,
            connections=CONNECTIONS,
            seconds=bench.extent.seconds_of(number),
            seed=number + 1,
        )

    return Case(server, one)


def _with_postgres(data: Data, case: Case) -> Case:
    """Count what PostgreSQL itself uses, too."""
    counted = data.cpu_of_postgres.setdefault(case.server.name, [])

    def one(number: int) -> Load:
        before = cpu_seconds(data.postgres.pids)
        done = case.load(number)
        if number >= 0:
            counted.append((cpu_seconds(data.postgres.pids) - before) / done.done * 1000)
        return done

    return Case(case.server, one)


def _check(rows: Rows, server: Server) -> None:
    """See that mailboxes are found and other names are not."""
    table = server.table if isinstance(server, PostfixTables) else "mailboxes"
    for prefix, word in (("", "OK"), ("nobody-", "NOTFOUND")):
        replies = load.lookups(
            server.address,
            table,
            domains=rows.domains,
            mailboxes=rows.mailboxes,
            prefix=prefix,
            connections=1,
            seconds=0.1,
        ).replies
        if set(replies) != {word}:
            raise LoadError(f"{server.name} answers {replies} to names that are {word}")


def side_by_side(bench: Bench, data: Data) -> None:
    """All servers with many mailboxes."""
    rows = data.rows
    sqlite = GatepostAccounts(bench.folder, f"sqlite:///{data.file}", SQLITE)
    postgres = GatepostAccounts(bench.folder, data.url, POSTGRES)
    pgsql = pgsql_table(bench.folder, data.url)
    servers: list[Server] = [
        sqlite,
        postgres,
        sqlite_table(bench.folder, data.file),
        pgsql,
        Podop(bench.folder, data.file),
    ]
    with bench.running(servers, lambda server: _check(rows, server)) as good:
        idle = idle_memory(good)
        ours = [server for server in good if isinstance(server, GatepostAccounts)]
        for title, asked, table, prefix, every in (
            ("Look-ups of mailboxes", good, "mailboxes", "", 1),
            ("Look-ups of names that nobody has", good, "mailboxes", "nobody-", 1),
            ("Look-ups of aliases", ours, "aliases", ALIAS, ALIAS_EVERY),
            ("Look-ups for a message to a mailbox", ours, "message", "", 1),
        ):
            cases = []
            data.cpu_of_postgres.clear()
            for server in asked:
                case = _case(bench, server, rows, table, prefix=prefix, every=every)
                uses_postgres = server in (postgres, pgsql)
                cases.append(_with_postgres(data, case) if uses_postgres else case)
            measured = bench.measure(f"{title}, {CONNECTIONS} connections", cases)
            for row in measured:
                row.idle_memory = idle[row.name]
            if measured:
                notes = [*_beside(measured), *_of_postgres(data)]
                targets = _per_core(measured)
                if table == "mailboxes" and not prefix:
                    targets += _memory(measured)
                bench.report.add(Table(title, measured, "look-ups", targets, notes))


def _per_core(rows: Sequence[Row]) -> list[Target]:
    return [
        Target(f"look-ups a second of CPU, {name}", wanted, 1000 / max(row.all("cpu")))
        for name, wanted in PER_CORE.items()
        if (row := find(rows, name))
    ]


def _memory(rows: Sequence[Row]) -> list[Target]:
    return [
        Target(f"MiB idle, {name}", MAX_IDLE, row.idle_memory, at_most=True)
        for name in PER_CORE
        if (row := find(rows, name))
    ]


def _beside(rows: Sequence[Row]) -> Iterator[str]:
    for name in PER_CORE:
        ours = find(rows, name)
        for theirs in rows:
            if ours and theirs.samples and theirs.name not in PER_CORE:
                yield (
                    f"{name}: {worst(ours, theirs):.2f} × the look-ups/s of {theirs.name},"
                    f" {worst(ours, theirs, 'cpu', at_most=True):.2f} × its CPU (the worst round)"
                )


def _of_postgres(data: Data) -> Iterator[str]:
    for name, used in data.cpu_of_postgres.items():
        if used:
            yield f"{name}: PostgreSQL itself uses {max(used):.3f} ms CPU more (the worst round)"


def one_process(bench: Bench, data: Data) -> None:
    """Postfix's tables in the process that asks, and ours as one process of Postfix has it."""
    ours = GatepostAccounts(bench.folder, f"sqlite:///{data.file}", SQLITE)
    proxied = sqlite_table(bench.folder / "many", data.file)
    pgsql = pgsql_table(bench.folder / "many", data.url)
    keys = bench.folder / "keys"
    keys.write_text("".join(f"{data.rows.address(n)}\n" for n in data.rows.some(KEYS)))
    title = f"One postmap(1), {KEYS:,} mailboxes"
    with ExitStack() as stack:
        for server in (ours, proxied):
            stack.enter_context(server)
        tables: dict[str, tuple[str, Callable[[], float]]] = {
            "gatepost, socketmap:": (f"socketmap:unix:{ours.socket}:mailboxes", ours.cpu),
            proxied.name: (f"proxy:{proxied.table}", proxied.cpu),
            "postfix, sqlite:": (proxied.table, lambda: 0),
            "postfix, pgsql:": (pgsql.table, lambda: 0),
            "postfix, lmdb:": (f"lmdb:{data.lmdb}", lambda: 0),
        }
        rows = {name: Row(name) for name in tables}
        with bench.steps.step(title) as step:
            for number in range(bench.extent.rounds):
                for name, (table, cpu) in tables.items():
                    step.progress(number / bench.extent.rounds, name)
                    try:
                        one = _postmap(proxied.configuration, table, keys, cpu)
                    except LoadError as error:
                        rows[name].failure = str(error)
                    else:
                        rows[name].samples.append(one)
    measured = [row for row in rows.values() if row.samples]
    for row in rows.values():
        if row.failure:
            bench.report.fail(f"{title}: {row.name}: {row.failure}")
    ours_row, *others = measured
    notes = [
        f"{worst(other, ours_row):.2f} × our look-ups/s, {other.name} (the worst round for it)"
        for other in others
    ]
    notes.append("CPU: that of postmap and of the server that it asks; not that of PostgreSQL")
    bench.report.add(Table(title, measured, "look-ups", notes=notes))


def _postmap(
    configuration: Path, table: str, keys: Path, server_cpu: Callable[[], float]
) -> Sample:
    """Let postmap(1) ask for all keys; raises `LoadError` unless it finds them."""
    start, before = time.monotonic(), server_cpu() + _cpu_of_children()
    with keys.open() as stdin:
        done = subprocess.run(
            ["postmap", "-c", configuration, "-q", "-", table],
            stdin=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
    found = done.stdout.count("\n")
    if found != KEYS:
        raise LoadError(f"{found:,} of {KEYS:,} found; {done.stderr.strip()[:300]}")
    rate = KEYS / (time.monotonic() - start)
    cpu = (server_cpu() + _cpu_of_children() - before) / KEYS * 1000
    return Sample(rate, 0, 0, cpu, 0, {"found": found})


def _cpu_of_children() -> float:
    times = os.times()
    return times.children_user + times.children_system


def growth(bench: Bench, data: Data) -> None:
    """Our look-ups in SQLite with few and with many mailboxes, in turns."""
    sizes = {
        f"{rows.mailboxes:,} mailboxes": (rows, file)
        for rows, file in ((data.few, data.few_file), (data.rows, data.file))
    }
    servers = [
        GatepostAccounts(bench.folder, f"sqlite:///{file}", name)
        for name, (_, file) in sizes.items()
    ]
    rounds = max(bench.extent.rounds, GROWTH_ROUNDS)
    with bench.running(servers, lambda server: _check(sizes[server.name][0], server)) as good:
        if len(good) < len(servers):
            return
        for server in good:
            few_or_many = sizes[server.name][0]
            load.lookups(
                server.address,
                "mailboxes",
                domains=few_or_many.domains,
                mailboxes=few_or_many.mailboxes,
                requests=WARM_UP,
            )
        for table in ("mailboxes", "message"):
            cases = [_case(bench, server, sizes[server.name][0], table) for server in good]
            title = f"Growth on SQLite: {table}"
            few, many = bench.measure(title, cases, rounds) or (Row(""), Row(""))
            if few.samples and many.samples:
                figures = {"cpu": "CPU", "p50": "median time"}
                targets = [
                    Target(
                        f"× the {text} with {few.name}", GROWTH, ratio(many, few, one), at_most=True
                    )
                    for one, text in figures.items()
                ]
                notes = [
                    f"the worst round: {worst(many, few, one, at_most=True):.2f} × the {text}"
                    for one, text in figures.items()
                ]
                bench.report.add(Table(title, [few, many], "look-ups", targets, notes))


def logins(bench: Bench, data: Data) -> None:
    """Logins with passwords that are right, each of another mailbox, and always the same one."""
    servers = [
        GatepostAccounts(bench.folder, f"sqlite:///{data.file}", SQLITE),
        GatepostAccounts(bench.folder, data.url, POSTGRES),
    ]
    rows = data.rows
    with bench.running(servers, lambda server: _check(rows, server)) as good:
        for title, login in (
            ("Logins, each of another mailbox", lambda number: rows.address(number + 1)),
            ("Logins, always of one mailbox", lambda _: rows.address(1)),
        ):
            cases = [_login_case(bench, server, login) for server in good]
            if measured := bench.measure(title, cases):
                bench.report.add(Table(title, measured, "logins"))


def _login_case(bench: Bench, server: GatepostAccounts, login: Callable[[int], str]) -> Case:
    def one(number: int) -> Load:
        first = (number + 1) * 10_000
        return sasl.logins(
            server.logins,
            lambda index: login(first + index),
            SECRET,
            connections=LOGINS,
            seconds=bench.extent.seconds_of(number),
        )

    return Case(server, one)
