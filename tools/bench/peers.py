"""Installs the peer that comes from PyPI; the others are Debian's, see `tools.install`."""

from __future__ import annotations

import subprocess
import sys

from tools.bench.milter_peers import PEERS_VENV

DKIMPY_MILTER = "dkimpy-milter==1.2.3"


def install() -> None:
    """Make an environment with dkimpy-milter, unless there is one."""
    if (PEERS_VENV / "bin" / "dkimpy-milter").exists():
        return
    print(f"installing {DKIMPY_MILTER}", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", PEERS_VENV], check=True)
    subprocess.run([PEERS_VENV / "bin" / "pip", "install", "--quiet", DKIMPY_MILTER], check=True)
