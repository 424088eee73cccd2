"""Gatepost daemon, started as by an administrator: ``gatepost WORD --config FILE``."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from gatepost import listen
from tests.testbed.metrics import MetricsPort
from tests.testbed.ports import LOOPBACK
from tests.testbed.process import Process
from tests.testbed.waiting import wait_until


def gatepost_command() -> Path:
    """Return the console script `gatepost` of this Python interpreter."""
    return Path(sys.executable).with_name("gatepost")


class Daemon:
    """``gatepost milters`` or ``gatepost policyd`` with a configuration file, from `start()` on.

    `config` names `listen` and `metrics_listen` of the section `[word]`. Logs are JSON lines in
    `directory`/`word`.log unless the configuration or `env` says otherwise. `within` is a command
    line to put before the daemon's own, such as that of `tests.testbed.disk.small_disk`.
    """

    def __init__(
        self,
        word: str,
        config: Path,
        directory: Path,
        *,
        env: Mapping[str, str] | None = None,
        within: Sequence[str | Path] = (),
    ) -> None:
        self.word = word
        self.config = config
        self.log = directory / f"{word}.log"
        self._env = {"GATEPOST_LOG__FORMAT": "json", **(env or {})}
        self._within = within
        self._process: Process | None = None

    @property
    def process(self) -> Process:
        """The parent process of the daemon."""
        assert self._process is not None, f"gatepost {self.word} was not started"
        return self._process

    @property
    def running(self) -> bool:
        """Whether the daemon was started and has not ended."""
        return self._process is not None and self._process.running

    @property
    def postfix(self) -> str:
        """Its address in the form of main.cf."""
        return listen.parse(self._section["listen"]).postfix

    def start(self) -> None:
        """Start it and wait until `/readyz` is ready; raises `ProcessDied` if it ends."""
        self.launch()
        try:
            self.process.wait_until(self.ready, f"gatepost {self.word} to be ready")
        except BaseException:
            self.kill()
            raise

    def launch(self) -> None:
        """Start it without waiting."""
        command = (*self._within, gatepost_command(), self.word, "--config", self.config)
        self._process = Process(command, self.log, env=self._env)

    def stop(self) -> int:
        """Stop it as systemd does (SIGTERM, which finishes messages); return the exit status."""
        return self.process.stop() if self._process is not None else 0

    def kill(self) -> None:
        """Kill it and all its workers with SIGKILL."""
        if self._process is not None:
            self._process.kill()

    def restart(self) -> None:
        """Stop and start."""
        self.stop()
        self.start()

    def reload(self) -> None:
        """Request a reload (SIGHUP); the test must wait for its effect."""
        self.process.signal(signal.SIGHUP)

    def ready(self) -> bool:
        """Return whether `/readyz` is ready; False without an answer."""
        return self._port.ready()

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of the samples with this name and these labels; 0 if there are none."""
        return self._port.metric(name, **labels)

    def log_entries(self, **fields: Any) -> list[dict[str, Any]]:
        """Return the log lines that have these fields, without lines that are no JSON."""
        entries = []
        for line in self.log.read_text(errors="replace").splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                entry = json.loads(line)
                if isinstance(entry, dict) and fields.items() <= entry.items():
                    entries.append(entry)
        return entries

    def wait_for_log(self, **fields: Any) -> dict[str, Any]:
        """Wait for a log line that has these fields."""
        return wait_until(
            lambda: self.log_entries(**fields), f"a line with {fields} in {self.log}"
        )[0]

    @property
    def _section(self) -> dict[str, Any]:
        section: dict[str, Any] = tomllib.loads(self.config.read_text())[self.word]
        return section

    @property
    def _port(self) -> MetricsPort:
        address = listen.parse(self._section["metrics_listen"])
        assert isinstance(address, listen.Inet)
        return MetricsPort(address.host or LOOPBACK, address.port)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
