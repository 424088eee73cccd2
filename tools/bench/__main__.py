"""Command ``python -m tools.bench [PIECE...]``: measures, prints tables, writes JSON."""

from __future__ import annotations

import argparse
import dataclasses
import os
import resource
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tools.bench import (
    accounts,
    delivery,
    mail_system,
    milters,
    namespace,
    pages,
    peers,
    policyd,
    postfix,
    soak,
    stack,
)
from tools.bench.build import BUILT
from tools.bench.dns import DnsServer
from tools.bench.environment import environment
from tools.bench.mail import CLIENT, Keys
from tools.bench.plan import FULL, QUICK, Bench, Extent
from tools.bench.records import records
from tools.bench.report import Report
from tools.steps import Steps

PIECES: dict[str, Callable[[Bench], None]] = {
    "milters": milters.run,
    "signing": milters.signing,
    "verifying": milters.verifying,
    "uncached": milters.verifying_uncached,
    "verdict": milters.verdict,
    "postfix": postfix.run,
    "outbound": postfix.outbound,
    "inbound": postfix.inbound,
    "policyd": policyd.run,
    "growth": policyd.growth,
    "accounts": accounts.run,
    "pages": pages.run,
    "delivery": delivery.run,
    "soak": soak.run,
    "stack": stack.run,
    "mailboxes": mail_system.run,
}
"""The pieces, by their word on the command line."""

DEFAULT = (
    *("milters", "postfix", "policyd", "accounts", "pages", "delivery", "soak"),
    *("stack", "mailboxes"),
)


def main(arguments: list[str]) -> int:
    """Run the pieces; return 1 if a server could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__)
    parser.add_argument("pieces", nargs="*", metavar="PIECE", help=f"of {', '.join(PIECES)}")
    parser.add_argument("--full", action="store_true", help="longer and more rounds")
    parser.add_argument("--seconds", type=float, help="of one load of one server")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--json", type=Path, default=BUILT / "results.json")
    options = parser.parse_args(arguments)
    if unknown := set(options.pieces) - set(PIECES):
        parser.error(f"there is no piece {', '.join(sorted(unknown))}")
    if not namespace.is_inside():
        peers.install()
        if {"stack", "mailboxes"} & set(options.pieces or DEFAULT):
            stack.prepare()
        try:
            namespace.reenter(arguments)
        except namespace.NamespaceError as error:
            print(f"make bench: {error}", file=sys.stderr)
            return 1
    namespace.prepare(CLIENT)
    _allow_many_files()
    extent = FULL if options.full or os.environ.get("BENCH") == "full" else QUICK
    changes = {name: getattr(options, name) for name in ("seconds", "rounds")}
    extent = dataclasses.replace(extent, **{k: v for k, v in changes.items() if v})
    with tempfile.TemporaryDirectory(prefix="gatepost-bench-") as name:
        return _run(Path(name), extent, options.pieces or DEFAULT, options.json)


def _allow_many_files() -> None:
    # a thousand connections at both ends
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _run(folder: Path, extent: Extent, pieces: Sequence[str], json_file: Path) -> int:
    folder.chmod(0o755)
    told = environment()
    report = Report(sys.stdout, told)
    for key, value in told.items():
        print(f"  {key:<28}{value}")
    keys = Keys(folder)
    with DnsServer(folder, records(keys)) as dns:
        bench = Bench(extent, folder, keys, dns, report, Steps(sys.stderr))
        for piece in pieces:
            PIECES[piece](bench)
    report.summary()
    report.save(json_file)
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
