"""Where the workers of a daemon that forks count, so that the parent can add up their metrics.

Apart from `gatepost.metrics`, because it has to run before prometheus_client is imported: the
library looks for its directory at import.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_PREFIX = "gatepost-metrics-"
_NAME = re.compile(rf"{_PREFIX}(\d+)-")


def use_worker_files() -> None:
    """Count in files from now on, in a directory that goes away with this process.

    Raises `RuntimeError` when metrics have been imported already: they would count in memory, and
    what the workers count would be lost.
    """
    if "prometheus_client" in sys.modules:
        raise RuntimeError("use_worker_files() comes before the first import of metrics")
    _remove_left_behind(Path(tempfile.gettempdir()))
    owner = os.getpid()
    directory = tempfile.mkdtemp(prefix=f"{_PREFIX}{owner}-")
    os.environ[_VARIABLE] = directory

    def remove() -> None:
        if os.getpid() == owner:  # a forked worker inherits this hook
            shutil.rmtree(directory, ignore_errors=True)

    atexit.register(remove)


def _remove_left_behind(folder: Path) -> None:
    """Remove what a daemon of this user left that was killed before it could."""
    for left in folder.glob(f"{_PREFIX}*"):
        named = _NAME.match(left.name)
        try:
            if named and left.lstat().st_uid == os.geteuid() and not left.is_symlink():
                os.kill(int(named[1]), 0)
        except ProcessLookupError:
            shutil.rmtree(left, ignore_errors=True)
        except OSError:
            continue  # it is somebody else's, or gone already


def give_worker_files(uid: int, gid: int) -> None:
    """Let another user count on: this process is about to leave root."""
    directory = os.environ.get(_VARIABLE)
    if directory is not None:
        for path in (directory, *(entry.path for entry in os.scandir(directory))):
            os.chown(path, uid, gid)
