import os
from collections.abc import Iterator

import pytest

from tests.testbed import disk
from tests.testbed.postgres import PostgresServer


@pytest.fixture(scope="session")
def mounts() -> None:
    """For a test that mounts a disk of its own: skips it where the kernel lets us mount nothing."""
    # a machine that says of itself that it checks everything has to be one that can
    if (reason := disk.why_not()) and not os.environ.get("CI"):
        pytest.skip(f"needs to mount a file system (CAP_SYS_ADMIN): {reason}")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server that runs; a test that stops or pauses it starts one of its own."""
    with PostgresServer() as server:
        yield server
