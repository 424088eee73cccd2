"""Fixtures of the tests of the API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.accounts import files
from tests.unit.accounts.http.api import Api


@pytest.fixture
def make_api(tmp_path: Path) -> Iterator[Callable[..., Api]]:
    made: list[Api] = []

    def make(**bounds: Any) -> Api:
        made.append(Api(files.make(tmp_path / f"accounts{len(made)}.db"), **bounds))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def api(make_api: Callable[..., Api]) -> Api:
    return make_api()
