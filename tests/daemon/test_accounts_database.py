"""The datastore in PostgreSQL: the tests of every database, and a server that goes and comes."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, text

from accounts.store.settings import DatabaseSettings
from tests.daemon import accounts_postgres
from tests.testbed.postgres import PostgresServer
from tests.unit.accounts.database_suite import DatabaseSuite

_DESCRIBE = """
SELECT c.relname AS owner, 'column ' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
       || ' ' || a.attnotnull || ' ' || a.attidentity::text || ' '
       || coalesce(pg_get_expr(d.adbin, d.adrelid), '') || ' ' || a.attcollation AS part
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0
UNION ALL
SELECT conrelid::regclass::text, 'constraint ' || conname || ' ' || pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL
SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public'
"""


class TestPostgres(DatabaseSuite):
    @pytest.fixture(autouse=True)
    def _server(self, postgres: PostgresServer) -> None:
        self.server = postgres

    def make(self, *, migrated: bool = True) -> DatabaseSettings:
        return accounts_postgres.make(self.server, migrated=migrated)

    def describe(self, connection: Connection) -> dict[str, Any]:
        found: dict[str, list[str]] = {}
        for owner, part in connection.execute(text(_DESCRIBE)):
            if owner != "alembic_version":
                found.setdefault(owner, []).append(part)
        return {owner: sorted(parts) for owner, parts in found.items()}
