"""Namespaces in which every server can query only our DNS, on port 53.

The peers have no common option for the port of a name server. In a separate network namespace, port
53 is free, and a mount over /etc/resolv.conf also reaches those that read that file.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

NAMESERVER = "10.53.53.53"
"""Where the DNS of the measurements is: libunbound, in opendkim, never asks a loopback address."""

_INSIDE = "GATEPOST_BENCH_INSIDE"
_RESOLV_CONF = Path("/etc/resolv.conf")


class NamespaceError(Exception):
    """This machine does not let us have namespaces; the message says what is needed."""


def is_inside() -> bool:
    """Return whether `reenter()` has brought us into namespaces of our own."""
    return bool(os.environ.get(_INSIDE))


def reenter(arguments: Sequence[str]) -> None:
    """Start this program anew in namespaces of its own; raises `NamespaceError`."""
    if os.geteuid() != 0:
        raise NamespaceError("only root can have a network of its own and start Postfix")
    if (done := subprocess.run(["unshare", "--net", "--mount", "true"], check=False)).returncode:
        raise NamespaceError(f"unshare --net --mount ended with {done.returncode}")
    os.environ[_INSIDE] = "1"
    os.execvp(  # noqa: S606 (there is no shell in it)
        "unshare", ["unshare", "--net", "--mount", sys.executable, "-m", "tools.bench", *arguments]
    )


def prepare(*also: str) -> None:
    """Bring the loopback interface up, with these addresses too; put our resolv.conf in place."""
    addresses = [f"address add {one}/32 dev lo" for one in (NAMESERVER, *also)]
    for command in ("link set lo up", *addresses):
        subprocess.run(["ip", *command.split()], check=True)
    with tempfile.NamedTemporaryFile("w", delete=False) as file:
        file.write(f"nameserver {NAMESERVER}\n")
    Path(file.name).chmod(0o644)
    # the file may be a link to one that does not exist in a container
    target = _RESOLV_CONF.resolve()
    target.touch(exist_ok=True)
    subprocess.run(["mount", "--bind", file.name, str(target)], check=True)
    Path(file.name).unlink()
