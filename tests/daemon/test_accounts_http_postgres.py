"""The operations of the API on PostgreSQL: the tests that SQLite passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.daemon import accounts_postgres
from tests.testbed.postgres import PostgresServer
from tests.unit.accounts.http.api import Api
from tests.unit.accounts.http.test_access import (
    test_a_removed_mailbox_has_no_tokens,
    test_an_administrator_of_a_domain_stays_in_it,
    test_tokens_that_open_nothing,
    test_what_belongs_to_others,
)
from tests.unit.accounts.http.test_hostile import test_every_parameter_of_a_path
from tests.unit.accounts.http.test_objects import (
    test_an_object_with_a_version,
    test_dkim_keys,
    test_lists_have_pages,
    test_preferences_begin_with_version_0,
    test_rights_app_passwords_and_listed_senders,
    test_rules_are_put_into_an_order,
)

__all__ = [
    "test_a_removed_mailbox_has_no_tokens",
    "test_an_administrator_of_a_domain_stays_in_it",
    "test_an_object_with_a_version",
    "test_dkim_keys",
    "test_every_parameter_of_a_path",
    "test_lists_have_pages",
    "test_preferences_begin_with_version_0",
    "test_rights_app_passwords_and_listed_senders",
    "test_rules_are_put_into_an_order",
    "test_tokens_that_open_nothing",
    "test_what_belongs_to_others",
]


@pytest.fixture
def make_api(postgres: PostgresServer) -> Iterator[Callable[..., Api]]:
    made: list[Api] = []

    def make(**bounds: Any) -> Api:
        made.append(Api(accounts_postgres.make(postgres), **bounds))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def api(make_api: Callable[..., Api]) -> Api:
    return make_api()
