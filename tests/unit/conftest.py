from collections.abc import Iterator

import pytest

from tests.conftest import WATCH


@pytest.fixture(autouse=True)
def no_socket(network_is_out_of_reach: None) -> Iterator[None]:
    WATCH.no_sockets = True
    yield
    WATCH.no_sockets = False
