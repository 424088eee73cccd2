"""``python3 -m tools.installer --for demo``: see what is missing, install it, say so."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tools.installer import apt
from tools.installer.errors import InstallError
from tools.installer.needs import PURPOSES, Need, missing
from tools.installer.steps import Steps

if TYPE_CHECKING:
    from tools.installer.python_packages import Environment

MINIMUM = (3, 11)
"""The oldest Python that runs Gatepost; this module has to load with older ones, to say so."""

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the installer; exit status 0 when everything is there."""
    parser = argparse.ArgumentParser(prog="python3 -m tools.installer", description=__doc__)
    parser.add_argument("--for", dest="purpose", choices=PURPOSES, default="install")
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv")
    options = parser.parse_args(arguments)
    purpose = PURPOSES[options.purpose]
    steps = Steps(sys.stdout)
    try:
        _check_python()
        from tools.installer.python_packages import Environment  # needs that Python

        _machine(steps, missing(purpose.needs), missing(purpose.wishes))
        _environment(steps, Environment(ROOT, options.venv), purpose.groups)
    except InstallError as error:
        print(f"\nmake {options.purpose}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    return 0


def _check_python() -> None:
    if sys.version_info < MINIMUM:
        raise InstallError(
            f"this python3 is {sys.version.split()[0]}; Gatepost runs on 3.11 to 3.13"
        )


def _machine(steps: Steps, needs: Sequence[Need], wishes: Sequence[Need] = ()) -> None:
    if not needs and not wishes:
        return
    steps.say(f"missing: {', '.join(need.name for need in (*needs, *wishes))}")
    if reason := _why_not_ours():
        if needs:
            raise InstallError(_what_is_missing(needs, reason))
        return  # it is done without what is only wished for
    with steps.step("Debian packages") as step:
        step.outcome = f"{len(apt.install(needs, step, wishes))} installed"
    if left := missing(needs):
        raise InstallError(_what_is_missing(left, "what was installed does not bring it"))


def _why_not_ours() -> str:
    if not apt.is_supported():
        system = apt.release() or sys.platform
        return f"this is {system}, and packages are installed for you on Debian 12 and 13 only"
    if os.geteuid() != 0:
        return "packages can be installed only by root"
    if shutil.which("apt-get") is None:
        return "there is no apt-get"
    return ""


def _what_is_missing(needs: Sequence[Need], reason: str) -> str:
    width = max(len(need.name) for need in needs)
    lines = [f"    {need.name:<{width}}  Debian: {' or '.join(need.packages)}" for need in needs]
    return "\n".join(["missing on this machine:", *lines, f"  ({reason})"])


def _environment(steps: Steps, environment: Environment, groups: Sequence[str]) -> None:
    if environment.has(groups):
        return
    with steps.step("Python packages") as step:
        count = environment.install(groups, step)
        step.outcome = f"{count} installed in {environment.path.name}"


if __name__ == "__main__":
    sys.exit(main())
