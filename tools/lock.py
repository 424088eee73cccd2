"""Command ``python -m tools.lock``: rewrites constraints.txt with today's versions.

Maintainers run the tests with each Python afterwards. Each group is installed into a fresh
environment on top of the previous groups, and the packages that it adds are listed below its
heading.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from tools.install import LOCK, ROOT

_HEAD = """\
# The versions Gatepost is tested with: `make install` takes exactly these, on Python 3.11 to 3.13.
# Written by `python -m tools.lock`; pip takes it as it is: pip install -c constraints.txt
"""

_EXTRA = {"run": ['async-timeout==5.0.1; python_full_version < "3.11.3"']}
"""Packages needed only by other Python versions than the one that writes the lock."""


def main() -> None:
    """Resolve the versions and write the lock."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = {
        "run": project["project"]["dependencies"],
        **project["project"]["optional-dependencies"],
        **project["dependency-groups"],
    }
    text, seen = _HEAD, set[str]()
    with tempfile.TemporaryDirectory() as folder:
        python = str(Path(folder) / "bin" / "python")
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        for name, lines in groups.items():
            # in pyproject.toml, an included group comes before the group that includes it
            requirements = [line for line in lines if isinstance(line, str)]
            subprocess.run(
                [python, "-m", "pip", "install", "--quiet", "--use-pep517", *requirements],
                check=True,
            )
            frozen = subprocess.run(
                [python, "-m", "pip", "freeze"], check=True, capture_output=True, text=True
            )
            pins = {line.lower(): line for line in frozen.stdout.splitlines() if "==" in line}
            fresh = [pins[key] for key in sorted(set(pins) - seen)]
            seen |= set(pins)
            text += "\n".join(["", f"## {name}", *fresh, *_EXTRA.get(name, []), ""])
    (ROOT / LOCK).write_text(text)


if __name__ == "__main__":
    main()
