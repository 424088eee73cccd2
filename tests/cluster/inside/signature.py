"""Writer of a signature: ``python signature.py FILE`` makes ClamAV find the word below.

With a signature of the site, ClamAV starts without those of its makers, which it would fetch from
the Internet.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

WORD = b"gatepost-test-virus"


def line() -> str:
    """Return the signature: digest, size and name of a file."""
    digest = hashlib.md5(WORD, usedforsecurity=False).hexdigest()
    return f"{digest}:{len(WORD)}:Gatepost-Test\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(line())
