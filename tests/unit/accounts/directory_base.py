"""The ground of the tests of the directory, which run in every database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from accounts.store.settings import DatabaseSettings
from accounts.store.transaction import Write
from tests.unit.accounts.desk import Desk


class DirectoryBase:
    """Tests derive from it. `make()` makes a database."""

    def make(self) -> DatabaseSettings:
        raise NotImplementedError

    @pytest.fixture
    def desk(self) -> Iterator[Desk]:
        desk = Desk(self.make())
        yield desk
        desk.close()

    @pytest.fixture
    def filled(self, desk: Desk) -> Desk:
        """With a domain that has a mailbox."""
        desk.domain()
        desk.mailbox()
        return desk

    def refused(self, desk: Desk, kind: type[Exception], work: Callable[[Write], Any]) -> str:
        before = desk.counts()
        with pytest.raises(kind) as caught:
            desk.write(work)
        assert desk.counts() == before | {"audit": before["audit"] + 1}
        return str(caught.value)
