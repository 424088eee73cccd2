"""Fixtures of the tests of the API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.accounts import files
from tests.unit.accounts.http.api import Api, Senders


@pytest.fixture(scope="session")
def _filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Senders]:
    """The datastore of every API: it is filled once, and the file is copied."""
    path = tmp_path_factory.mktemp("filled") / "accounts.db"
    api = Api(files.make(path))
    api.close()
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    return path.read_bytes(), (api.root, api.ada, api.anna)


@pytest.fixture
def make_api(tmp_path: Path, _filled: tuple[bytes, Senders]) -> Iterator[Callable[..., Api]]:
    made: list[Api] = []
    content, senders = _filled

    def make(**bounds: Any) -> Api:
        settings = files.make(tmp_path / f"accounts{len(made)}.db", content)
        made.append(Api(settings, senders, **bounds))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def api(make_api: Callable[..., Api]) -> Api:
    return make_api()
