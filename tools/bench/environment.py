"""Description of the machine, and versions of the programs."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from tools.bench.build import ROOT
from tools.bench.milter_peers import PEERS_VENV
from tools.bench.peers import PEERS

_PACKAGES = (
    "opendkim", "opendmarc", "rspamd", "postgrey", "sqlgrey", "postfix-policyd-spf-python",
    "postfix", "postfix-sqlite", "postgresql", "redis-server", "valkey-server", "libmilter1.0.1",
    "dovecot-lmtpd", "spamd", "amavisd-new",
)  # fmt: skip


def _output(*argv: str | Path) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=ROOT)
    except OSError:
        return ""
    return done.stdout.strip()


def environment() -> dict[str, str]:
    """Return the description, by topic."""
    told = {
        "date": datetime.now(UTC).date().isoformat(),
        "gatepost": _output("git", "describe", "--always", "--dirty"),
        "system": _os_name(),
        "kernel": platform.release(),
        "processor": f"{os.cpu_count()} cores, {_cpu()}",
        "python": sys.version.split()[0],
        "openssl": _output(
            sys.executable,
            "-c",
            "from cryptography.hazmat.backends.openssl import backend as b;"
            "print(b.openssl_version_text())",
        ),
    }
    for name in _PACKAGES:
        if version := _output("dpkg-query", "--show", "--showformat=${Version}", name):
            told[name] = version
    for name in PEERS:
        shown = _output(PEERS_VENV / "bin" / "pip", "show", name)
        told[name] = next(
            (line.split()[1] for line in shown.splitlines() if line.startswith("Version:")), ""
        )
    return told


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return sys.platform


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
