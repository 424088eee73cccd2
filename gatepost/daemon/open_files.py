"""How many files a daemon may have open."""

from __future__ import annotations

import resource

from structlog.typing import FilteringBoundLogger

SPARE_FILES = 700
"""Files besides connections: questions to the DNS above all (`gatepost.dns.exchange`), and store,
logs, metrics."""


def allow_open_files(connections: int, log: FilteringBoundLogger | None) -> None:
    """Make room for so many connections: the usual limit of 1,024 files is a soft one.

    Without a `log` nobody is told that the hard limit is too low.
    """
    wanted = connections + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        if log is not None:
            log.warning("fewer open files allowed than max_connections", limit=hard, wanted=wanted)
        wanted = hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
