"""The configuration in use, and how it is replaced while mail flows.

Read, validate, build, and only then swap: what does not load or build leaves the last good one in
use, is logged, and is seen in the metrics.
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
    "How often the configuration was replaced since the start, from 1",
    across="min",
)
SUCCESS = Gauge(
    "gatepost_config_last_reload_success",
    "1 when the last attempt to read the configuration succeeded",
    across="min",
)
TIMESTAMP = Gauge(
    "gatepost_config_last_reload_success_timestamp_seconds",
    "When the configuration in use was read",
    across="min",
)


class Current(Generic[T]):
    """The value in use now; `build` reads and validates everything anew.

    `build` raises `ConfigError`, `StartError` or `OSError` when it cannot. Whoever handles a
    message takes `value` once, at its start, and keeps it until the message is done.

    Only the process that made it tells of a reload that succeeded: its workers do the same after
    it, and a line from each would say nothing new.
    """

    def __init__(self, build: Callable[[], T], log: FilteringBoundLogger) -> None:
        self._build = build
        self._log = log
        self._teller = os.getpid()
        self.value = build()
        self.generation = 1
        self.count()

    def reload(self) -> bool:
        """Build anew and swap; False, and no change, when that fails."""
        try:
            value = self._build()
        except (ConfigError, StartError, OSError) as error:
            SUCCESS.set(0)
            self._log.error(
                "configuration not reloaded, the old one stays in use", problems=str(error)
            )
            return False
        except Exception:  # a mistake of ours must not stop mail
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
        """Show in the metrics of this process what it uses; a worker calls it once it is forked."""
        GENERATION.set(self.generation)
        SUCCESS.set(1)
        TIMESTAMP.set(time.time())
