"""Whole configurations of opendkim: what they become, and what is said about them."""

from __future__ import annotations

import glob
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from milters.file import MiltersFile
from milters.keys.tables.errors import OpendkimError, Place
from milters.keys.tables.lines import read_file
from milters.migration.opendkim.convert import convert
from milters.migration.opendkim.files import Files

VECTORS = Path(__file__).parents[2] / "vectors" / "opendkim"
MACHINES = sorted(path.name for path in VECTORS.iterdir() if path.is_dir())


class Machine(Files):
    """The files below a folder, as if it were the root."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def _inside(self, path: Path | str) -> Path:
        return self.root / str(path).lstrip("/")

    def read(self, path: Path) -> str:
        try:
            return read_file(self._inside(path))
        except OpendkimError as error:
            raise OpendkimError(Place(str(path)), error.text) from error

    def find(self, pattern: str) -> Iterator[str]:
        for found in glob.iglob(str(self._inside(pattern))):
            yield f"/{Path(found).relative_to(self.root)}"

    def key_problem(self, path: Path) -> str:
        return "" if self._inside(path).exists() else f"{path}: does not exist"


def matches(path: Path, got: str) -> bool:
    """Whether the file says `got`; else `got` is written beside it."""
    beside = path.with_name(f"{path.name}.got")
    if path.exists() and path.read_text(encoding="utf-8") == got:
        beside.unlink(missing_ok=True)
        return True
    beside.write_text(got, encoding="utf-8")
    return False


@pytest.mark.parametrize("machine", MACHINES)
def test_what_a_configuration_becomes(machine: str) -> None:
    root = VECTORS / machine
    conversion = convert(Path("/etc/opendkim.conf"), Machine(root))
    told = "".join(f"{finding}\n" for finding in conversion.findings)
    as_expected = [
        matches(root / "expected.toml", conversion.toml),
        matches(root / "expected.txt", told),
    ]
    assert all(as_expected), f"see {root}/*.got"
    assert conversion.has_errors is any(": error: " in str(f) for f in conversion.findings)
    loaded = tomllib.loads(conversion.toml)
    assert bool(loaded.pop("undecided", None)) is conversion.has_errors
    MiltersFile.model_validate(loaded, context={"directory": Path("/")})


def test_the_shapes_that_users_asked_for_are_here() -> None:
    assert {"debian", "docker-mailserver", "docker-post", "relay-image"} <= set(MACHINES)
