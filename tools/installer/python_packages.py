"""The virtual environment: our own packages, and those of others in the versions of the lock."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.installer.errors import InstallError
from tools.installer.steps import Step

LOCK = Path("constraints.txt")
"""The tested versions, one a line, below a heading ``## GROUP`` each. Pip takes it as it is."""

STAMP = ".installed"
"""In the environment: what it was made from, so that a second run does nothing."""

_HEADING = re.compile(r"## (\w+)")
_LOOKING_AT = re.compile(
    r"(?:Collecting|Processing|Requirement already satisfied:) (?:\S*/)?(?P<name>[\w.]+)"
)
_ERROR_LINES = 15


def locked(text: str) -> dict[str, list[str]]:
    """The lines of the lock by heading; ``run`` is what the daemons themselves need."""
    groups: dict[str, list[str]] = {}
    current: list[str] = []
    for line in text.splitlines():
        if heading := _HEADING.match(line):
            current = groups.setdefault(heading[1], [])
        elif line and not line.startswith("#"):
            current.append(line)
    return groups


def included(groups: Mapping[str, Sequence[Any]], names: Iterable[str]) -> list[str]:
    """These groups of pyproject.toml and those that they include (PEP 735), sorted."""
    found, left = set[str](), list(names)
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += [line["include-group"] for line in groups[name] if not isinstance(line, str)]
    return sorted(found)


class Environment:
    """The virtual environment `path` of the checkout `root`."""

    def __init__(self, root: Path, path: Path) -> None:
        self._root = root
        self.path = path
        self._python = path / "bin" / "python"

    def has(self, groups: Sequence[str]) -> bool:
        """Whether it was made from today's pyproject.toml and lock, with these groups."""
        return set(included(self._groups(), groups)) <= set(self._installed())

    def install(self, groups: Sequence[str], step: Step) -> int:
        """Make or complete it; returns how many packages were new. Raises `InstallError`."""
        known = self._groups()
        wanted = included(known, (*groups, *self._installed()))
        if not self._installed():
            step.progress(0, "making the environment")
            self._call([sys.executable, "-m", "venv", "--clear", str(self.path)])
        lines = [line for group in wanted for line in known[group]]
        requirements = [line for line in lines if isinstance(line, str)]
        lock = locked((self._root / LOCK).read_text())
        expected = sum(len(lock.get(group, [])) for group in ("run", *wanted))
        count = self._pip(requirements, step, expected)
        self._call([str(self._python), "-m", "pip", "check"])
        (self.path / STAMP).write_text(json.dumps({"from": self._digest(), "groups": wanted}))
        return count

    def _installed(self) -> list[str]:
        try:
            stamp = json.loads((self.path / STAMP).read_text())
            groups = stamp["groups"] if stamp["from"] == self._digest() else []
        except (OSError, ValueError, KeyError, TypeError):
            return []
        return list(groups) if self._python.exists() else []

    def _digest(self) -> str:
        digest = hashlib.sha256(f"{sys.version_info[:2]} {self._root}".encode())
        for name in ("pyproject.toml", LOCK):
            digest.update((self._root / name).read_bytes())
        return digest.hexdigest()

    def _groups(self) -> dict[str, list[Any]]:
        project = tomllib.loads((self._root / "pyproject.toml").read_text())
        groups: dict[str, list[Any]] = project["dependency-groups"]
        return groups

    def _pip(self, requirements: Sequence[str], step: Step, expected: int) -> int:
        # --use-pep517: also packages without a pyproject.toml are built apart, with any pip
        command = [str(self._python), "-m", "pip", "install", "--disable-pip-version-check"]
        command += ["--no-input", "--use-pep517", "--constraint", str(self._root / LOCK)]
        command += ["--editable", str(self._root), *requirements]
        lines: list[str] = []
        seen: set[str] = set()
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, "PIP_PROGRESS_BAR": "off", "PYTHONUNBUFFERED": "1"},
        ) as process:
            assert process.stdout is not None  # noqa: S101 (it is a pipe, see above)
            for line in process.stdout:
                lines.append(line.rstrip())
                if found := _LOOKING_AT.match(line):
                    seen.add(found["name"].lower())
                    # collecting is most of the work; building and unpacking have the last tenth
                    step.progress(0.9 * len(seen) / max(expected, 1), found["name"])
                elif line.startswith("Installing collected"):
                    step.progress(0.95, "unpacking")
        if process.returncode != 0:
            tail = "\n    ".join(lines[-_ERROR_LINES:])
            raise InstallError(f"pip could not install the Python packages:\n    {tail}")
        return len(lines[-1].split()) - 2 if lines[-1].startswith("Successfully") else 0

    def _call(self, command: list[str]) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            tail = "\n    ".join((done.stdout + done.stderr).splitlines()[-_ERROR_LINES:])
            raise InstallError(f"{' '.join(command)} failed:\n    {tail}")
