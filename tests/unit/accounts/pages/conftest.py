"""Fixtures of the tests of the web pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.accounts.http.api import Api
from tests.unit.accounts.http.conftest import _filled, make_api  # noqa: F401 # fixtures
from tests.unit.accounts.pages.browser import PagesSite


@pytest.fixture
def make_site(make_api: Callable[..., Api]) -> Callable[..., PagesSite]:  # noqa: F811
    def make(burst: int = 10_000, **settings: Any) -> PagesSite:
        return PagesSite(make_api(principal_burst=burst, network_burst=10_000), **settings)

    return make


@pytest.fixture
def site(make_site: Callable[..., PagesSite]) -> PagesSite:
    return make_site()
