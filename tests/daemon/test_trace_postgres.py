"""The journal in PostgreSQL, where several processes write."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.daemon import accounts_postgres
from tests.testbed.postgres import PostgresServer
from tests.unit.accounts.journal.journal_suite import JournalDesk, JournalTests, mail

TABLE = "mail_journal_1"


@pytest.fixture
def desk(postgres: PostgresServer) -> Iterator[JournalDesk]:
    settings = accounts_postgres.make(postgres)
    postgres.sql(f"DROP TABLE IF EXISTS {TABLE}", database=accounts_postgres.MIGRATED)
    desk = JournalDesk(settings)
    try:
        yield desk
    finally:
        desk.close()


class TestInPostgres(JournalTests):
    """The tests, with PostgreSQL."""


def test_several_processes_begin_at_once(postgres: PostgresServer, desk: JournalDesk) -> None:
    settings = accounts_postgres.make(postgres)

    def write(number: int) -> None:
        one = JournalDesk(settings)
        one.add(mail(number, "ann@example.org"))
        one.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert len(desk.find("ann@example.org")) == 4
