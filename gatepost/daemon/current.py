"""The configuration in use, and its replacement while mail flows.

Read, validate, build, and only then swap: if loading or building fails, the last good configuration
stays in use, and log and metrics report it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from structlog.typing import FilteringBoundLogger

from gatepost.config import ConfigError
from gatepost.errors import StartError
from gatepost.metrics import Gauge

T = TypeVar("T")

GENERATION = Gauge(
    "gatepost_config_generation",
    "Number of configurations loaded since the start, from 1",
    across="min",
)
SUCCESS = Gauge(
    "gatepost_config_last_reload_success",
    "1 if the last attempt to read the configuration succeeded",
    across="min",
)
TIMESTAMP = Gauge(
    "gatepost_config_last_reload_success_timestamp_seconds",
    "Time when the configuration in use was read",
    across="min",
)


class Current(Generic[T]):
    """The value in use; `build` reads and validates everything again.

    `build` raises `ConfigError`, `StartError` or `OSError` on failure. The handler of a message
    reads `value` once at its start, and keeps it until the message is done.

    Only the process that created it logs a successful reload: its workers then do the same, and a
    line from each would be redundant.
    """

    def __init__(self, build: Callable[[], T], log: FilteringBoundLogger) -> None:
        self._build = build
        self._log = log
        self._teller = os.getpid()
        self.value = build()
        self.generation = 1
        self.count()

    def reload(self) -> bool:
        """Build again and swap; returns False and changes nothing on failure."""
        try:
            value = self._build()
        except (ConfigError, StartError, OSError) as error:
            SUCCESS.set(0)
            self._log.error(
                "configuration not reloaded, the old one stays in use", problems=str(error)
            )
            return False
        except Exception:  # a bug must not stop mail
            SUCCESS.set(0)
            self._log.exception("configuration not reloaded, the old one stays in use")
            return False
        self.value = value
        self.generation += 1
        self.count()
        if os.getpid() == self._teller:
            self._log.info("configuration reloaded", generation=self.generation)
        return True

    def count(self) -> None:
        """Export the configuration in use to the metrics of this process; a worker calls it after
        its fork."""
        GENERATION.set(self.generation)
        SUCCESS.set(1)
        TIMESTAMP.set(time.time())
