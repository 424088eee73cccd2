"""Installer ``python3 -m tools.install PURPOSE``: the packages that a Makefile target needs.

apt-get and pip do the work, from the lists here, in pyproject.toml and in constraints.txt. Comments
explain why the remaining code is needed. Only the standard library is used, because this runs
before there is a virtual environment.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tools.steps import Steps

ROOT = Path(__file__).resolve().parents[1]
LOCK = "constraints.txt"
MINIMUM = (3, 11)
EXTRAS = ("accounts",)
"""The [project.optional-dependencies] of pyproject.toml that every checkout gets."""
POLICY = Path("/usr/sbin/policy-rc.d")
"""Packages run it before they start a service; exit status 101 forbids that (invoke-rc.d(8))."""

_MAIL = ("postfix", "swaks", "opendkim-tools", "libresolv-wrapper")
_COMPILER = ("gcc", "libc6-dev")
_LIBMILTER = ("python3-dev", "libmilter-dev")  # to compile pymilter and dkimpy-milter
_VALKEY = "valkey-server|redis-server"
_PEERS = (
    *("opendkim", "opendmarc", "publicsuffix", "rspamd", "postfix-policyd-spf-python"),
    *("postgrey", "sqlgrey", "libdbd-sqlite3-perl", "podman"),
    *("postfix-sqlite", "postfix-pgsql", "postfix-lmdb", "postgresql"),
    *("dovecot-lmtpd", "dovecot-sieve", "spamassassin", "spamd", "spamc", "amavisd-new"),
)

PURPOSES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "install": (("python3-venv",), ("unit", "lint")),
    "demo": (("python3-venv", *_MAIL), ("testbed",)),
    "test": (
        (
            *("python3-venv", *_MAIL, "curl", "opendkim", "dovecot-sieve", _VALKEY, "postgresql"),
            *("spamassassin", "spamd", "clamav-daemon"),
            *(*_COMPILER, *_LIBMILTER),
        ),
        ("test", "lint"),
    ),
    "fuzz": (("python3-venv", *_COMPILER, *_LIBMILTER), ("test",)),
    "stack": (
        ("python3-venv", "iproute2", "swaks", "postfix", "podman", "chromium?"),
        ("stack", "lint"),
    ),
    "up": (("python3-venv", "podman"), ("testbed",)),
    "chart": (("python3-venv",), ("unit", "lint", "chart")),
    "bench": (
        (
            *("python3-venv", "postfix", "util-linux", "iproute2", _VALKEY),
            *(*_COMPILER, *_LIBMILTER, *(f"{peer}?" for peer in _PEERS)),
        ),
        ("testbed",),
    ),
}
"""By purpose: Debian packages, and groups of [dependency-groups] in pyproject.toml.

``a|b`` is the first of the two that the release has; ``a?`` is skipped if the release lacks it.
"""


class InstallError(Exception):
    """A package cannot be installed here; the message says which one and how to proceed."""


def missing(purpose: str) -> list[str]:
    """Return the Debian packages of a purpose that are not installed, as `PURPOSES` writes them."""
    names = [name for entry in PURPOSES[purpose][0] for name in entry.strip("?").split("|")]
    done = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n", *names],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line.split(" ") for line in done.stdout.splitlines()]
    there = {name for name, status in lines if status == "installed"}
    return [one for one in PURPOSES[purpose][0] if there.isdisjoint(one.strip("?").split("|"))]


def install_packages(wanted: Sequence[str]) -> int:
    """Install Debian packages and return how many; raises `InstallError`."""
    if os.geteuid() != 0:
        names = " ".join(entry.split("|")[0] for entry in wanted if not entry.endswith("?"))
        raise InstallError(f"as root: apt-get install {names}")
    _run(["apt-get", "-q", "update"])
    packages = [found for entry in wanted if (found := _known(entry))]
    if "postfix" in packages:
        # without this answer Debian's Postfix would ask; with it, there is no main.cf
        _run(
            ["debconf-set-selections"],
            "postfix postfix/main_mailer_type select No configuration\n",
        )
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    options = ["-q", "-o", "DPkg::Lock::Timeout=300", "--yes", "--no-install-recommends"]
    with _no_services_started():
        _run(["apt-get", *options, "install", *packages], environment=environment)
    if Path("/run/systemd/system").exists():
        # they should not start at boot either
        units = [f"{package}.service" for package in packages]
        there = [unit for unit in units if Path("/usr/lib/systemd/system", unit).exists()]
        if there:
            _run(["systemctl", "disable", "--quiet", *there])
    return len(packages)


@contextmanager
def _no_services_started() -> Iterator[None]:
    """Prevent the packages from starting their servers; the tests start their own."""
    if os.path.lexists(POLICY):
        yield  # keep the administrator's own rule
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)


def _known(entry: str) -> str:
    """Return the first package of the entry that the release has; empty to skip the entry."""
    for name in entry.strip("?").split("|"):
        shown = subprocess.run(["apt-cache", "show", name], capture_output=True, check=False)
        if shown.returncode == 0 and shown.stdout:
            return name
    if entry.endswith("?"):
        return ""
    raise InstallError(f"apt knows no package {entry.replace('|', ' or ')}")


def included(groups: dict[str, list[str | dict[str, str]]], names: Iterable[str]) -> list[str]:
    """Return the groups and all groups that they include (PEP 735), sorted."""
    found: set[str] = set()
    left = list(names)
    while left:
        name = left.pop()
        found.add(name)
        entries = [entry for entry in groups[name] if isinstance(entry, dict)]
        left += [entry["include-group"] for entry in entries if entry["include-group"] not in found]
    return sorted(found)


def install_python(venv: Path, names: Sequence[str]) -> int:
    """Create or complete the environment; return its number of packages, 0 if it was complete."""
    import tomllib  # missing in the Python versions that main() refuses

    project = (ROOT / "pyproject.toml").read_bytes()
    digest = hashlib.sha256(sys.version.encode() + project + (ROOT / LOCK).read_bytes()).hexdigest()
    stamp = venv / ".installed"
    try:
        before = json.loads(stamp.read_text())
        done = list(before["groups"]) if before["from"] == digest else []
    except (OSError, ValueError, KeyError, TypeError):
        done = []
    if done and set(names) <= set(done):
        return 0
    python = str(venv / "bin" / "python")
    if not done:
        _run([sys.executable, "-m", "venv", "--clear", str(venv)])
    groups = tomllib.loads(project.decode())["dependency-groups"]
    wanted = sorted({*names, *done})
    # pip has --group since 25.1, but Debian 12 has pip 23
    lines = [
        line
        for name in included(groups, wanted)
        for line in groups[name]
        if not isinstance(line, dict)
    ]
    # --use-pep517: any pip then builds packages without a pyproject.toml in isolation too
    options = ["--disable-pip-version-check", "--quiet", "--use-pep517", "-c", str(ROOT / LOCK)]
    ours = f"{ROOT}[{','.join(EXTRAS)}]"
    _run([python, "-m", "pip", "install", *options, "--editable", ours, *lines])
    stamp.write_text(json.dumps({"from": digest, "groups": wanted}))
    return _run([python, "-m", "pip", "list", "--format=freeze"]).count("\n")


def _run(command: list[str], text: str = "", environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command,
        input=text,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env=environment,
    )
    if done.returncode != 0:
        tail = "\n    ".join((done.stdout + done.stderr).splitlines()[-15:])
        raise InstallError(f"{' '.join(command)[:200]} failed:\n    {tail}")
    return done.stdout


def _check_python() -> None:
    if sys.version_info < MINIMUM:
        version = sys.version.split()[0]
        raise InstallError(f"this python3 is {version}; Gatepost runs on 3.11 to 3.13")


def main(arguments: Sequence[str] | None = None) -> int:
    """Install the packages for a purpose; return 0 if all of them are installed."""
    parser = argparse.ArgumentParser(prog="python3 -m tools.install", description=__doc__)
    parser.add_argument("purpose", choices=PURPOSES)
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv")
    options = parser.parse_args(arguments)
    steps = Steps(sys.stdout)
    try:
        _check_python()
        if not Path("/etc/debian_version").exists():
            needed = " ".join(PURPOSES[options.purpose][0])
            steps.say(f"not Debian: install the equivalents of these packages: {needed}")
        elif wanted := missing(options.purpose):
            with steps.step("Debian packages") as step:
                step.outcome = f"{install_packages(wanted)} installed"
        with steps.step("Python packages") as step:
            count = install_python(options.venv, PURPOSES[options.purpose][1])
            step.outcome = f"{count} in {options.venv.name}" if count else "up to date"
    except InstallError as error:
        sys.stderr.write(f"make {options.purpose}: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
