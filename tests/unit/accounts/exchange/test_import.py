"""Imports and exports in SQLite: the tests that run in every database."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

from accounts.store.settings import DatabaseSettings
from tests.unit.accounts import files
from tests.unit.accounts.exchange.import_suite import ImportSuite


class TestImport(ImportSuite):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path
        self.numbers = count()

    def make(self) -> DatabaseSettings:
        return files.make(self.folder / f"accounts-{next(self.numbers)}.db")

    def make_another(self) -> DatabaseSettings:
        return self.make()
