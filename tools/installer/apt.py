"""Installs Debian packages with a progress bar, and starts none of their services."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tools.installer.errors import InstallError
from tools.installer.needs import Need
from tools.installer.steps import Step

LOCK_TIMEOUT = 300
"""Seconds to wait for another apt or dpkg, as of unattended upgrades on a fresh machine."""

POLICY = Path("/usr/sbin/policy-rc.d")
"""Asked by Debian's packages before they start a service; 101 forbids it (invoke-rc.d(8))."""

_SERVICES = {
    "postfix": "postfix.service",
    "redis-server": "redis-server.service",
    "valkey-server": "valkey-server.service",
    "opendkim": "opendkim.service",
    "opendmarc": "opendmarc.service",
    "postgrey": "postgrey.service",
    "rspamd": "rspamd.service",
    "sqlgrey": "sqlgrey.service",
}
"""Packages whose service would start with the machine: it is switched off where we brought it."""

_STATUS = re.compile(
    r"(?P<kind>dlstatus|pmstatus):(?:[^:]*:){1,2}?(?P<percent>\d+(?:\.\d+)?):(?P<what>.*)"
)
"""apt's progress on APT::Status-Fd: first the downloads, then the installation, each to 100 %."""

_ERROR_LINES = 12
"""Lines of apt's output that an error shows."""


def release() -> str:
    """The name of the distribution, as ``Debian GNU/Linux 12 (bookworm)``; empty if not told."""
    return _os_release().get("PRETTY_NAME", "")


def is_supported() -> bool:
    """Whether this is a Debian 12 or 13, where the names of the packages are known to be right."""
    told = _os_release()
    return told.get("ID") == "debian" and told.get("VERSION_ID") in ("12", "13")


def _os_release() -> dict[str, str]:
    try:
        text = Path("/etc/os-release").read_text()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {key: value.strip('"') for key, _, value in pairs}


def install(needs: Sequence[Need], step: Step, wishes: Sequence[Need] = ()) -> list[str]:
    """Install a package for each need and return the names; raises `InstallError`.

    A wish that this release has no package for is not fulfilled.
    """
    _run(["update"], step, "reading the lists of packages")
    packages = [_first_known(need) for need in needs]
    packages += [name for wish in wishes if (name := _known(wish))]
    if "postfix" in packages:
        _answer_for_postfix()
    with _no_services_started():
        _run(["install", "--yes", "--no-install-recommends", *packages], step, "")
    _switch_off([package for package in packages if package in _SERVICES])
    return packages


def _first_known(need: Need) -> str:
    if package := _known(need):
        return package
    raise InstallError(
        f"apt knows no package {' or '.join(need.packages)}, which is needed for {need.name}"
    )


def _known(need: Need) -> str:
    """The first of its packages that this release has; empty when it has none."""
    for package in need.packages:
        told = subprocess.run(
            ["apt-cache", "show", "--no-all-versions", package], capture_output=True, check=False
        )
        if told.returncode == 0 and told.stdout:
            return package
    return ""


def _answer_for_postfix() -> None:
    # without a configuration of its own Debian's Postfix does nothing, and asks nothing
    answer = "postfix postfix/main_mailer_type select No configuration\n"
    done = subprocess.run(
        ["debconf-set-selections"], input=answer, text=True, capture_output=True, check=False
    )
    if done.returncode != 0:
        raise InstallError(f"debconf-set-selections: {done.stderr.strip()}")


@contextmanager
def _no_services_started() -> Iterator[None]:
    if os.path.lexists(POLICY):
        yield  # the administrator has a rule; it is not ours to change
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)


def _switch_off(packages: Sequence[str]) -> None:
    # nor shall they start with the machine: they were brought for tests, which start their own
    if packages and Path("/run/systemd/system").exists() and shutil.which("systemctl"):
        units = [_SERVICES[package] for package in packages]
        subprocess.run(
            ["systemctl", "disable", "--quiet", *units], capture_output=True, check=False
        )


def _run(arguments: Sequence[str], step: Step, what: str) -> None:
    reader, writer = os.pipe()
    options = ["-q", "-o", f"APT::Status-Fd={writer}", "-o", f"DPkg::Lock::Timeout={LOCK_TIMEOUT}"]
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        process = subprocess.Popen(
            ["apt-get", *options, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=(writer,),
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"},
        )
        os.close(writer)
        try:
            with os.fdopen(reader, errors="replace") as status:
                for line in status:
                    if found := _STATUS.match(line):
                        half = 0.0 if found["kind"] == "dlstatus" else 0.5
                        step.progress(half + float(found["percent"]) / 200, what or found["what"])
        finally:
            process.wait()  # Ctrl-C reaches apt too: it ends in good order, and we after it
        if process.returncode != 0:
            output.seek(0)
            tail = output.read().splitlines()[-_ERROR_LINES:]
            raise InstallError("\n    ".join([f"apt-get {' '.join(arguments)} failed:", *tail]))
