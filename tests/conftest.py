import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import settings

from tests.isolation import Watch, enter_network_namespace

# No example has a time limit of its own: a busy machine is no mistake. The suite's limit holds.
settings.register_profile("gatepost", deadline=None)
settings.load_profile("gatepost")

WATCH = Watch()
_isolated = False
_LOGS = structlog.get_config()
_configure_logs = structlog.configure


def _configure_uncached(**settings: Any) -> None:
    """Configure loggers that see what is configured after them."""
    _configure_logs(**settings | {"cache_logger_on_first_use": False})


def pytest_configure(config: pytest.Config) -> None:
    global _isolated
    pytest.MonkeyPatch().setattr(structlog, "configure", _configure_uncached)
    _isolated = _isolated or enter_network_namespace()
    sys.addaudithook(WATCH)


def pytest_report_header(config: pytest.Config) -> str:
    if _isolated:
        return "network: a namespace of our own, with loopback only"
    return "network: watched, not cut off (that needs root)"


@pytest.fixture(autouse=True)
def network_is_out_of_reach() -> Iterator[None]:
    WATCH.take()
    yield
    if seen := WATCH.take():
        pytest.fail(f"the test reached outside: {', '.join(seen)}")


@pytest.fixture(autouse=True)
def logs_of_one_test_are_its_own() -> Iterator[None]:
    """Undo what one test configures, as a command that logs errors only, before the next.

    So too what a fixture of a module or of the session configured before it.
    """
    _configure_logs(**_LOGS)
    yield
    _configure_logs(**_LOGS)
