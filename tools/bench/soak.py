"""Benchmark of our milter's memory, over many messages and by message size."""

from __future__ import annotations

from tools.bench import corpus, load
from tools.bench.mail import compose, sign
from tools.bench.milter_peers import Gatepost
from tools.bench.plan import Bench
from tools.bench.report import Target
from tools.bench.usage import members, pss_mib

STEPS = 10
"""Number of memory measurements."""

CHANGING = 1_000
"""Number of different messages, each from a different domain."""

LARGE = ((20 << 20, 40), (2048, 1_000))
"""Octets and number of the messages that follow: large ones, then small ones."""


def run(bench: Bench) -> None:
    """Send many messages and print the memory of the largest worker."""
    server = Gatepost(bench.folder, bench.keys)
    path = bench.folder / "soak"
    with bench.running([server], lambda _: None) as good:
        if not good:
            return
        corpus.write(
            path, (sign(compose(2048, n), n, bench.keys.rsa) for n in range(1, CHANGING + 1))
        )
        bench.report.text("Memory of a worker of gatepost milters, whole verdict")
        bench.report.text(f"  {'messages':>10}{'of':>10}{'largest worker MiB':>22}{'all MiB':>10}")
        each = bench.extent.soak // STEPS
        seen = [_tell(bench, server, 0, 2048)]
        for step in range(1, STEPS + 1):
            load.milter(server.address, path, messages=each, per_connection=10)
            seen.append(_tell(bench, server, step * each, 2048))
        after = []
        for size, count in LARGE:
            corpus.write(path, [sign(compose(size), 0, bench.keys.rsa)])
            load.milter(server.address, path, messages=count)
            after.append(_tell(bench, server, count, size))
        bench.report.aim(
            "Memory of a worker",
            Target("MiB after all of it", 60, after[-1], at_most=True),
            Target("× its memory after a tenth of the messages", 1.1, seen[-1] / seen[1], True),
            Target("× its memory before messages of 20 MB", 1.1, after[0] / seen[-1], True),
        )


def _tell(bench: Bench, server: Gatepost, messages: int, size: int) -> float:
    parents = {process.pid for process in server.processes}
    workers = (pid for pid in members(server.sessions) if pid not in parents)
    largest = max(pss_mib([pid]) for pid in workers)
    text = f"{size >> 20} MB" if size >> 20 else f"{size >> 10} KB"
    bench.report.text(f"  {messages:>10,}{text:>10}{largest:>22.1f}{server.memory():>10.1f}")
    return largest
