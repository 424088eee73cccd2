"""Compiler of the load generators in load/, which share two cores with the server under test.

A generator in Python would need as long for a message as the faster servers, and would distort the
ratio between two servers.
"""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILT = ROOT / ".bench"
"""The folder for files that the benchmarks create or install; not in git."""

_SOURCES = Path(__file__).parent / "load"
_FLAGS = ("-O2", "-Wall", "-Wextra", "-Wno-unused-function", "-pthread")


@functools.cache
def build(name: str) -> Path:
    """Return the program made from load/`name`.c; compiled when a source is newer."""
    BUILT.mkdir(exist_ok=True)
    program, source = BUILT / name, _SOURCES / f"{name}.c"
    newest = max(path.stat().st_mtime for path in (source, _SOURCES / "bench.h"))
    if not program.exists() or program.stat().st_mtime < newest:
        subprocess.run(["cc", *_FLAGS, "-o", program, source, "-lm"], check=True)
    return program
