"""The directory in PostgreSQL: the tests that run in every database."""

from __future__ import annotations

import pytest

from accounts.store.settings import DatabaseSettings
from tests.daemon import accounts_postgres
from tests.testbed.postgres import PostgresServer
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


class OnServer:
    @pytest.fixture(autouse=True)
    def _server(self, postgres: PostgresServer) -> None:
        self.server = postgres

    def make(self) -> DatabaseSettings:
        return accounts_postgres.make(self.server)


class TestDomains(OnServer, DomainsSuite):
    pass


class TestStores(OnServer, StoresSuite):
    pass


class TestMailboxes(OnServer, MailboxesSuite):
    pass


class TestDeleted(OnServer, DeletedSuite):
    pass


class TestPersonalAliases(OnServer, PersonalAliasesSuite):
    pass


class TestCircles(OnServer, CirclesSuite):
    pass


class TestBelongings(OnServer, BelongingsSuite):
    pass


class TestSecrets(OnServer, SecretsSuite):
    pass


class TestFactors(OnServer, FactorsSuite):
    pass


class TestAdministration(OnServer, AdministrationSuite):
    pass


class TestHostile(OnServer, HostileSuite):
    pass
