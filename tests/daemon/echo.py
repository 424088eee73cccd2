"""A third daemon, made of nothing but the skeleton: it answers each line with a greeting before it.

``python -m tests.daemon.echo RUNNER CONFIG``; `EchoDaemon` runs it for tests.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from gatepost.config import (
    AT_START,
    ConfigError,
    GroundSettings,
    MoreAddresses,
    SecretPath,
    ServerSettings,
    WatchedPath,
    WrittenPath,
    load,
)
from gatepost.daemon import (
    Acceptor,
    Control,
    Listeners,
    Reloader,
    StartError,
    Watch,
    run_prefork,
    run_single,
    starting,
)
from gatepost.logs import get_logger
from gatepost.metrics import Counter
from tests.testbed.daemon import Daemon
from tests.testbed.metrics import MetricsPort
from tests.testbed.ports import LOOPBACK, free_ports
from tests.testbed.process import Process
from tests.testbed.toml import value_text
from tests.testbed.waiting import wait_until

LINES = Counter("echo_lines_total", "Lines answered")


class EchoSettings(ServerSettings):
    """The echo."""

    more_listen: MoreAddresses = Field(default=(), description="Where lines are answered in red.")
    greeting_file: WatchedPath = Field(default=Path("greeting"), description="What is said.")
    secret_file: SecretPath | None = Field(
        default=None, json_schema_extra=AT_START, description="Read at the start."
    )
    pause_file: WrittenPath | None = Field(
        default=None, description="Pause while this exists, after the greeting was read."
    )
    hold_file: WrittenPath | None = Field(
        default=None, description="While it is there, nothing can be built."
    )


class Configuration(GroundSettings):
    """Ground and echo."""

    echo: EchoSettings = Field(description="The echo.")


class Echo:
    """Answers lines on the connections of one process."""

    def __init__(self, greeting: Callable[[], str]) -> None:
        self._greeting = greeting
        self._acceptors: list[Acceptor] = []
        self._under_way: set[asyncio.Task[None]] = set()
        self.tasks: Sequence[asyncio.Task[None]] = ()

    async def start(self, listeners: Listeners) -> None:
        for key, colour in (("listen", ""), ("more_listen", "red ")):
            for listening in listeners[key]:
                self._accept(listening, colour)

    def _accept(self, listening: socket.socket, colour: str) -> None:
        def take(accepted: socket.socket) -> None:
            task = asyncio.get_running_loop().create_task(self._follow(accepted, colour))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

        self._acceptors.append(Acceptor(listening, take, log=get_logger("echo")))

    async def _follow(self, accepted: socket.socket, colour: str) -> None:
        reader, writer = await asyncio.open_connection(sock=accepted)
        while line := await reader.readline():
            LINES.inc()
            writer.write(f"{colour}{self._greeting()} ".encode() + line)
        writer.close()

    def housekeeping(self) -> Sequence[Coroutine[Any, Any, None]]:
        return ()

    async def drain(self, grace: float) -> None:
        for acceptor in self._acceptors:
            acceptor.close()
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=grace)

    async def close(self) -> None:
        get_logger("echo").info("closed")


def serve(runner: str, config: Path) -> int:
    def read() -> tuple[GroundSettings, EchoSettings]:
        path = config if config.exists() else None
        model = load(Configuration, path, os.environ).model
        return model, model.echo

    def build(_ground: GroundSettings, settings: EchoSettings) -> str:
        while settings.hold_file is not None and settings.hold_file.exists():
            time.sleep(0.01)
        greeting = settings.greeting_file.read_text().strip()
        if settings.pause_file is not None and settings.pause_file.exists():
            reached = settings.pause_file.rename(settings.pause_file.with_suffix(".reached"))
            while reached.exists():
                time.sleep(0.01)
        if greeting == "refused":
            raise StartError("the greeting is refused")
        if greeting == "mistake":
            raise RuntimeError("a mistake of ours")
        return greeting

    with starting("echo", read, config) as started:
        if runner == "prefork":
            reloader = Reloader(started, build)
            current = reloader.current

            async def work(control: Control, stop: asyncio.Event) -> None:
                echo = Echo(lambda: current.value)
                await echo.start(started.listeners)
                control.ready()
                await stop.wait()
                await echo.drain(reloader.settings.drain_grace)

            return run_prefork(started, reloader, 2, work, draining="draining: lines")

        async def live() -> int:
            reloader = Reloader(started, build)
            echo = Echo(lambda: reloader.current.value)
            return await run_single(started, reloader, echo, draining="draining: lines")

        return asyncio.run(live())


class EchoDaemon(Daemon):
    """The echo as a process in `directory`; `runner` is ``single`` or ``prefork``."""

    def __init__(
        self,
        directory: Path,
        runner: str,
        env: Mapping[str, str] | None = None,
        within: Sequence[str | Path] = (),
    ) -> None:
        self.runner = runner
        self.directory = directory
        self.socket = directory / "echo.sock"
        self.red_port, self.metrics_port = free_ports(2)
        self.greeting = directory / "greeting"
        self.greeting.write_text("hello\n")
        config = directory / "echo.toml"
        super().__init__("echo", config, directory, env=env, within=within)
        self.write()

    def write(self, **settings: Any) -> None:
        """Write the configuration."""
        section = {
            "listen": f"unix:{self.socket}",
            "more_listen": f"inet:{self.red_port}@{LOOPBACK}",
            "metrics_listen": f"inet:{self.metrics_port}@{LOOPBACK}",
            **settings,
        }
        lines = [f"{key} = {value_text(value)}" for key, value in section.items()]
        draft = self.directory / "draft"
        draft.write_text("\n".join(["[echo]", *lines]) + "\n")
        draft.rename(self.config)

    @property
    def _port(self) -> MetricsPort:
        return MetricsPort(LOOPBACK, self.metrics_port)

    def launch(self) -> None:
        """Start it and wait for nothing."""
        command = [*self._within, sys.executable, "-m", "tests.daemon.echo", self.runner]
        self._process = Process((*command, self.config), self.log, env=self._env)

    def connect(self, address: tuple[str, int] | None = None) -> socket.socket:
        """Open a connection to the unix socket, or to a TCP address."""
        if address is not None:
            return socket.create_connection(address, timeout=60)
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(60)
        connection.connect(str(self.socket))
        return connection

    def ask(self, word: str = "you") -> str:
        """The answer to a line."""
        with self.connect() as connection:
            return ask(connection, word)

    def wait_until_says(self, text: str) -> None:
        """Wait until every connection of several is answered so: all processes have it."""
        wait_until(lambda: {self.ask() for _ in range(20)} == {text}, f"{text!r} to be said")


def ask(connection: socket.socket, word: str = "you") -> str:
    """The answer to a line on this connection."""
    connection.sendall(f"{word}\n".encode())
    with connection.makefile("r") as answers:
        return answers.readline().strip()


if __name__ == "__main__":
    if os.environ.get("ECHO_BLIND"):

        def changed(self: Watch) -> bool:
            raise OSError("cannot look")

        Watch.changed = changed  # type: ignore[method-assign]
    try:
        sys.exit(serve(sys.argv[1], Path(sys.argv[2])))
    except (StartError, ConfigError) as error:
        with contextlib.suppress(OSError):
            sys.stderr.write(f"echo: {error}\n")
        sys.exit(1)
