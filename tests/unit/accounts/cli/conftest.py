from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.accounts import files
from tests.unit.accounts.cli.shell import Shell


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A datastore without data."""
    return Shell(tmp_path, files.make(tmp_path / "accounts.db"))


@pytest.fixture
def filled(shell: Shell) -> Shell:
    """With a domain that has a mailbox."""
    shell.domain()
    shell.user()
    return shell
