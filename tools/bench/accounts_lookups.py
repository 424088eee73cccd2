"""Look-ups of accounts per second on SQLite and on PostgreSQL, without sockets.

``python -m tools.bench.accounts_lookups [--domains 10000] [--mailboxes 1000000] [--seconds 5]``

Sixteen tasks ask for random names, like sixteen connections. The rate is per second of CPU time of
this process, so that other work on the machine does not change it; it excludes PostgreSQL's time.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import uvloop

from accounts.answers import Answers, MapFound
from accounts.sources.cache import StaleCache
from accounts.sources.postgres import PostgresSource, connect_arguments
from accounts.sources.source import Source
from accounts.sources.sqlite import SqliteSource
from tests.testbed.postgres import PostgresServer
from tools.bench.mailboxes import ALIAS, ALIAS_EVERY, Rows, fill_postgres, fill_sqlite

CONNECTIONS = 16


def keys(rows: Rows, kind: str, seed: int) -> Iterator[tuple[str, str, bool]]:
    """Yield a map, a key and whether it is found, endlessly."""
    numbers = random.Random(seed)
    while True:
        number = numbers.randint(1, rows.mailboxes)
        address = rows.address(number)
        match kind:
            case "mailboxes":
                yield "mailboxes", address, True
            case "extension":
                local, _, domain = address.partition("@")
                yield "mailboxes", f"{local}+news@{domain}", True
            case "aliases":
                yield "aliases", ALIAS + rows.address(number - (number - 1) % ALIAS_EVERY), True
            case "unknown":
                yield "mailboxes", "nobody-" + address, False
            case "message":  # what Postfix asks for a message to a mailbox
                domain = address.partition("@")[2]
                yield "domains", domain, True
                yield "transport", address, False
                yield "aliases", address, False
                yield "mailboxes", address, True


async def measure(source: Source, rows: Rows, kind: str, seconds: float) -> str:
    """Return a line: look-ups per CPU second, per second, and the 99th percentile of the time."""
    answers = Answers(source, StaleCache())
    counts = [0] * CONNECTIONS
    times: list[float] = []
    end = time.perf_counter() + seconds

    async def client(number: int) -> None:
        for table, key, is_found in keys(rows, kind, number):
            start = time.perf_counter()
            if start > end:
                return
            result = await answers.look_up(table, key)
            times.append(time.perf_counter() - start)
            assert isinstance(result, MapFound) == is_found, (table, key, result)
            counts[number] += 1
            if counts[number] % 8 == 0:
                await asyncio.sleep(0)

    cpu, start = time.process_time(), time.perf_counter()
    await asyncio.gather(*map(client, range(CONNECTIONS)))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - start
    p99 = sorted(times)[len(times) * 99 // 100]
    return (
        f"{kind:10} {sum(counts) / cpu:9,.0f} /CPU-s {sum(counts) / wall:9,.0f} /s"
        f"   p99 {p99 * 1e6:7,.0f} us"
    )


async def measure_all(name: str, source: Source, rows: Rows, seconds: float) -> None:
    """Print a line for each kind of question."""
    for kind in ("mailboxes", "extension", "aliases", "unknown", "message"):
        print(f"{name:10} {await measure(source, rows, kind, seconds)}", flush=True)


async def on_postgres(url: str, rows: Rows, seconds: float) -> None:
    """Measure a database that is filled."""
    source = PostgresSource(connect_arguments(url))
    source.start()
    await measure_all("postgresql", source, rows, seconds)
    await source.close()


def main() -> None:
    """Measure both databases."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--domains", type=int, default=10_000)
    parser.add_argument("--mailboxes", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    options = parser.parse_args()
    rows = Rows(options.domains, options.mailboxes)
    print(f"{rows.domains:,} domains, {rows.mailboxes:,} mailboxes, {CONNECTIONS} at once")
    if options.only != "postgresql":
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "accounts.db"
            fill_sqlite(path, rows)
            uvloop.run(measure_all("sqlite", SqliteSource(path), rows, options.seconds))
    if options.only != "sqlite":
        with PostgresServer() as server:
            url = server.new_database()
            fill_postgres(url, rows)
            uvloop.run(on_postgres(url, rows, options.seconds))


if __name__ == "__main__":
    main()
