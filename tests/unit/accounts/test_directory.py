"""The directory in SQLite: the tests that run in every database."""

from __future__ import annotations

from pathlib import Path

import pytest

from accounts.store.settings import DatabaseSettings
from tests.unit.accounts import files
from tests.unit.accounts.administration_suite import AdministrationSuite
from tests.unit.accounts.belongings_suite import BelongingsSuite
from tests.unit.accounts.circles_suite import CirclesSuite
from tests.unit.accounts.deleted_suite import DeletedSuite
from tests.unit.accounts.domains_suite import DomainsSuite
from tests.unit.accounts.factors_suite import FactorsSuite
from tests.unit.accounts.hostile_suite import HostileSuite
from tests.unit.accounts.mailboxes_suite import MailboxesSuite
from tests.unit.accounts.personal_aliases_suite import PersonalAliasesSuite
from tests.unit.accounts.secrets_suite import SecretsSuite
from tests.unit.accounts.stores_suite import StoresSuite


class InFile:
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.path = tmp_path / "accounts.db"

    def make(self) -> DatabaseSettings:
        return files.make(self.path)


class TestDomains(InFile, DomainsSuite):
    pass


class TestStores(InFile, StoresSuite):
    pass


class TestMailboxes(InFile, MailboxesSuite):
    pass


class TestDeleted(InFile, DeletedSuite):
    pass


class TestPersonalAliases(InFile, PersonalAliasesSuite):
    pass


class TestCircles(InFile, CirclesSuite):
    pass


class TestBelongings(InFile, BelongingsSuite):
    pass


class TestSecrets(InFile, SecretsSuite):
    pass


class TestFactors(InFile, FactorsSuite):
    pass


class TestAdministration(InFile, AdministrationSuite):
    pass


class TestHostile(InFile, HostileSuite):
    pass
