"""Processor time and memory of a server, the sum of all its processes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def _fields(pid: int) -> list[str]:
    """Return the fields after the name in /proc/PID/stat (proc(5)); none if the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def members(sessions: Iterable[int]) -> list[int]:
    """Return the processes of these sessions."""
    wanted = {str(session) for session in sessions}
    return [pid for pid in _pids() if (fields := _fields(pid)) and fields[3] in wanted]


def _pids() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal())


def processor_seconds(pid: int) -> float:
    """Return user and system time of a process, including its ended children; 0 if it is gone."""
    # fields 14 to 17 of proc(5): utime, stime, cutime, cstime; field 3 is the first here
    return sum(map(int, _fields(pid)[11:15])) / _TICK


def cpu_seconds(sessions: Iterable[int]) -> float:
    """Return user and system time of the processes of these sessions, including ended children."""
    return sum(processor_seconds(pid) for pid in members(sessions))


def pss_mib(pids: Iterable[int]) -> float:
    """Return the memory of these processes, with each page divided by the number that share it."""
    kib = 0
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        kib += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return kib / 1024
