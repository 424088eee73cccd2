"""Where the workers of a daemon that forks count, so that the parent can add up their metrics.

Apart from `gatepost.metrics`, because it has to run before prometheus_client is imported: the
library looks for its directory at import.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile

_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def use_worker_files() -> None:
    """Count in files from now on, in a directory that goes away with this process.

    Raises `RuntimeError` when metrics have been imported already: they would count in memory, and
    what the workers count would be lost.
    """
    if "prometheus_client" in sys.modules:
        raise RuntimeError("use_worker_files() comes before the first import of metrics")
    directory = tempfile.mkdtemp(prefix="gatepost-metrics-")
    os.environ[_VARIABLE] = directory
    owner = os.getpid()

    def remove() -> None:
        if os.getpid() == owner:  # a forked worker inherits this hook
            shutil.rmtree(directory, ignore_errors=True)

    atexit.register(remove)
