from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.accounts import files
from tests.unit.accounts.cli.shell import Shell


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A datastore without data."""
    return Shell(tmp_path, files.make(tmp_path / "accounts.db"))


@pytest.fixture(scope="session")
def _filled(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The datastore of `filled`: the commands run once, and the file is copied."""
    folder = tmp_path_factory.mktemp("filled")
    shell = Shell(folder, files.make(folder / "accounts.db"))
    shell.domain()
    shell.user()
    assert [path.name for path in folder.glob("accounts.db*")] == ["accounts.db"]
    return (folder / "accounts.db").read_bytes()


@pytest.fixture
def filled(tmp_path: Path, _filled: bytes) -> Shell:
    """With a domain that has a mailbox."""
    return Shell(tmp_path, files.make(tmp_path / "accounts.db", _filled))
