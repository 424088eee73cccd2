"""Imports and exports in PostgreSQL, and PostfixAdmin's database there."""

from __future__ import annotations

import subprocess

import pytest

from accounts.exchange.databases import read_tables
from accounts.exchange.notes import SourceError
from accounts.exchange.postfixadmin import LAYOUTS, read
from accounts.exchange.sql_dump import read_dump
from accounts.store import migrate
from accounts.store.settings import DatabaseSettings
from tests.daemon import accounts_postgres
from tests.testbed.postgres import USER, PostgresServer, binaries
from tests.unit.accounts.exchange.import_suite import ImportSuite
from tests.unit.accounts.exchange.reading import CRYPT, HASH, mailboxes

POSTFIXADMIN = f"""
CREATE TABLE domain (domain varchar(255) PRIMARY KEY, description text, aliases int DEFAULT 0,
  mailboxes int DEFAULT 0, maxquota bigint DEFAULT 0, quota bigint DEFAULT 0, transport text,
  backupmx boolean DEFAULT false, created timestamptz DEFAULT now(), active boolean DEFAULT true);
CREATE TABLE mailbox (username varchar(255) PRIMARY KEY, password text, name text,
  quota bigint DEFAULT 0, created timestamptz DEFAULT now(), active boolean DEFAULT true);
CREATE TABLE alias (address varchar(255) PRIMARY KEY, goto text, domain text,
  active boolean DEFAULT true);
CREATE TABLE domain_admins (username text, domain text, active boolean DEFAULT true);
INSERT INTO domain (domain, description) VALUES
  ('ALL', ''), ('example.org', E'Tab\\t\\\\ ''quoted''');
INSERT INTO mailbox (username, password, name, quota, active) VALUES
  ('anna@example.org', '{CRYPT}', E'Änna\\nB', 1024000, true),
  ('off@example.org', '', '', 0, false);
INSERT INTO alias (address, goto, domain) VALUES
  ('anna@example.org', 'anna@example.org,x@outside.example', 'example.org');
"""  # noqa: S608


class TestImport(ImportSuite):
    @pytest.fixture(autouse=True)
    def _server(self, postgres: PostgresServer) -> None:
        self.server = postgres

    def make(self) -> DatabaseSettings:
        return accounts_postgres.make(self.server)

    def make_another(self) -> DatabaseSettings:
        settings = accounts_postgres.make(self.server, migrated=False)
        migrate.upgrade(settings)
        return settings


def test_postfixadmin_in_postgresql_and_its_dumps_say_the_same(postgres: PostgresServer) -> None:
    url = postgres.new_database("postfixadmin")
    postgres.sql(POSTFIXADMIN, database="postfixadmin")
    reading = read(read_tables(url, LAYOUTS))
    found = mailboxes(reading)
    assert found["anna@example.org"].password == HASH
    assert found["anna@example.org"].display_name == "Änna B"
    assert found["anna@example.org"].forwards == ("x@outside.example",)
    assert not found["off@example.org"].enabled
    (domain,) = reading.document.domains
    assert domain.description == "Tab \\ 'quoted'"
    for options in ([], ["--inserts"], ["--column-inserts"]):
        program = str(binaries() / "pg_dump")
        where = ["-h", str(postgres.folder), "-U", USER, "-d", "postfixadmin"]
        done = subprocess.run([program, *where, *options], capture_output=True, check=True)
        tables = read_dump("dump.sql", done.stdout, LAYOUTS)
        assert not tables.problems
        assert read(tables).document == reading.document


def test_a_database_that_is_not_there(postgres: PostgresServer) -> None:
    for url in (postgres.url("nowhere"), "postgresql://u:geheim@/x?host=/nowhere"):
        with pytest.raises(SourceError, match="no connection") as caught:
            read_tables(url, LAYOUTS)
        assert "geheim" not in str(caught.value)
