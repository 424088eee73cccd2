"""Comparison of the regular expressions in lists with Perl's, over generated patterns.

    python tools/scripts/perl_regexes.py 100000 [SEED]

It stops at the first difference. `make test` does the same with a few thousand.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.unit.policyd.test_perlre import compare

BATCH = 5000


def main() -> None:
    """Compare in batches, each with its own seed."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else int(time.time())
    taken = 0
    for first in range(0, count, BATCH):
        taken += compare(seed, min(BATCH, count - first))
        print(f"seed {seed}: no difference; {taken} taken in all")
        seed += 1


if __name__ == "__main__":
    main()
