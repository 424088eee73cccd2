"""The limit of open files of a daemon."""

from __future__ import annotations

import resource

from structlog.typing import FilteringBoundLogger

SPARE_FILES = 700
"""Files besides connections: mainly DNS queries (`gatepost.dns.exchange`), and store, logs,
metrics."""


def allow_open_files(connections: int, log: FilteringBoundLogger | None) -> None:
    """Raise the limit for `connections`: the usual limit of 1,024 files is a soft one.

    Without a `log`, it does not report a hard limit that is too low.
    """
    wanted = connections + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        if log is not None:
            log.warning("fewer open files allowed than max_connections", limit=hard, wanted=wanted)
        wanted = hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
