"""Installs the peers that come from PyPI; the others are Debian's, see `tools.install`."""

from __future__ import annotations

import subprocess
import sys

from tools.bench.milter_peers import PEERS_VENV

PEERS = {"dkimpy-milter": "dkimpy-milter==1.2.3", "podop": "podop==0.2.6"}
"""By the name of the program: what pip installs."""


def install() -> None:
    """Make an environment with the peers, unless there is one that has them."""
    programs = PEERS_VENV / "bin"
    wanted = [package for name, package in PEERS.items() if not (programs / name).exists()]
    if not wanted:
        return
    print(f"installing {', '.join(wanted)}", file=sys.stderr)
    if not (programs / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", PEERS_VENV], check=True)
    subprocess.run([programs / "pip", "install", "--quiet", *wanted], check=True)
