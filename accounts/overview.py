"""Overview of the system for administrators: what is known, without asking anybody else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, func, select

from accounts.directory import daemon_states, domain_checks, key_worries
from accounts.directory.daemon_states import DaemonState
from accounts.directory.domain_checks import CheckedDomains
from accounts.directory.key_worries import WorryingKey

MAX_LISTED: Final = 20
"""Domains, and keys, that are named."""
LOW: Final = 0.1
"""The part of a disk that has to be free."""


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """Space of a part in octets. With PostgreSQL, `free` and `total` are not known."""

    name: str
    used: int
    free: int | None
    total: int | None

    @property
    def is_low(self) -> bool:
        """Return whether little is free."""
        return self.free is not None and bool(self.total) and self.free < LOW * (self.total or 0)


@dataclass(frozen=True, slots=True)
class StoredFacts:
    """The facts that are in the datastore; `daemons` is None for those who may not see them."""

    daemons: tuple[DaemonState, ...] | None
    keys: tuple[WorryingKey, ...]
    domains: CheckedDomains
    size: int | None
    """Octets of a database in PostgreSQL."""


def stored_facts(
    connection: Connection, now: int, *, administrator: int | None, sees_all: bool
) -> StoredFacts:
    """Return the facts about the domains of an administrator, or about all."""
    size = None
    if sees_all and connection.dialect.name == "postgresql":
        size = int(
            connection.execute(select(func.pg_database_size(func.current_database()))).scalar_one()
        )
    return StoredFacts(
        tuple(daemon_states.find(connection, now)) if sees_all else None,
        tuple(key_worries.find(connection, now, limit=MAX_LISTED, administrator=administrator)),
        domain_checks.find(connection, limit=MAX_LISTED, administrator=administrator),
        size,
    )


def disk_space(
    files: dict[str, Path],
    size: int | None,
    usage: Callable[[Path], tuple[int, int, int]] = shutil.disk_usage,
) -> tuple[DiskSpace, ...]:
    """Return the space of the datastore and the journal; a file that is missing has none."""
    found = []
    if size is not None:
        found.append(DiskSpace("datastore", size, None, None))
    for name, path in files.items():
        try:
            total, _, free = usage(path.parent)
        except OSError:
            continue
        used = sum(_size(path.with_name(path.name + ending)) for ending in ("", "-wal", "-shm"))
        found.append(DiskSpace(name, used, free, total))
    return tuple(found)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
