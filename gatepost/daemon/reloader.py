"""Reload of a daemon when its configuration files change."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Generic, TypeVar

from gatepost.config import (
    GroundSettings,
    files_read_at_start,
    waiting_for_a_start,
    watched_paths,
)
from gatepost.daemon.current import Current
from gatepost.daemon.open_files import allow_open_files
from gatepost.daemon.start import S, Started
from gatepost.files import open_regular

T = TypeVar("T")

MAX_START_FILE = 1 << 20
"""Maximum bytes of a file compared with its content at the start: secrets and certificates are
short."""


def _no_files() -> Iterable[Path]:
    return ()


class Reloader(Generic[S, T]):
    """Builds the objects of a daemon, and builds them again when the configuration changes.

    `build` makes them from the common settings and the section, and raises `StartError` if they are
    unusable. `files` yields files that were read in addition to those named in the configuration.
    The configuration of the start is not read a second time.
    """

    def __init__(
        self,
        started: Started[S],
        build: Callable[[GroundSettings, S], T],
        files: Callable[[], Iterable[Path]] = _no_files,
    ) -> None:
        self._started = started
        self._log = started.log
        self._make = build
        self._files = files
        self._unused = [(started.ground, started.settings)]
        self.ground = started.ground
        """The common settings in use; `settings` is the section in use."""
        self.settings = started.settings
        self._at_start = dict(self._start_files())
        self._watch = started.watch
        self._read_since = started.read_since
        self.current = Current(self._build, started.log)
        self._watch.follow(self._watched(), self._read_since)

    def changed(self) -> bool:
        """Return whether a watched file has changed and is stable; also False if the check fails.

        Raises `StartError` if the daemon cannot continue because a socket was removed.
        """
        self._started.listeners.check()
        try:
            return self._watch.changed()
        except Exception:  # a mistake of ours must not stop mail
            self._log.exception("the configuration files could not be checked")
            return False

    def reload(self) -> bool:
        """Read and build again; on failure it returns False and the last good configuration stays
        in use.

        Never raises. Do not call it in two threads at once, nor while `changed` runs.
        """
        try:
            return self._reload()
        except Exception:  # a mistake of ours must not stop mail
            self._log.exception("the configuration could not be read")
            return False

    def reload_in_worker(self) -> None:
        """Reload in a worker, after its parent has done the same and logged it."""
        if self.current.reload():
            allow_open_files(self.settings.all_connections, None)

    def _reload(self) -> bool:
        self._log.info("reading the configuration")
        self._watch.about_to_read()
        self._read_since = time.time()
        reloaded = self.current.reload()
        if reloaded:
            allow_open_files(self.settings.all_connections, self._log)
            if waiting := self._waiting():
                self._log.warning(
                    "some changes need a restart: these keys are only read at the start",
                    keys=waiting,
                )
        self._watch.follow(self._watched(), self._read_since)
        return reloaded

    def _build(self) -> T:
        ground, settings = self._unused.pop() if self._unused else self._started.load()
        # before the files are read, so that no later change of them is missed
        named = self._named(ground, settings)
        self._watch.follow(dict.fromkeys((*self._watch.paths, *named)), self._read_since)
        made = self._make(ground, settings)
        self.ground, self.settings = ground, settings
        return made

    def _watched(self) -> list[Path]:
        return [*self._named(self.ground, self.settings), *self._files()]

    def _named(self, ground: GroundSettings, settings: S) -> list[Path]:
        """Return the file of the configuration and those that it names."""
        config = self._started.config
        return [
            *([config] if config is not None else ()),
            *watched_paths(ground, GroundSettings),
            *watched_paths(settings),
        ]

    def _waiting(self) -> list[str]:
        """Return the keys whose value or file content differs from the start."""
        started, name = self._started, self._started.name
        keys = [
            *waiting_for_a_start(started.ground.log, self.ground.log, "log"),
            *waiting_for_a_start(started.settings, self.settings, name),
            *(key for key, held in self._start_files() if self._at_start.get(key) != held),
        ]
        return list(dict.fromkeys(keys))

    def _start_files(self) -> Iterator[tuple[str, bytes | None]]:
        """Yield digests of the files that are only read at the start, by key."""
        for key, path in files_read_at_start(self.settings, self._started.name):
            yield key, _digest(path)


def _digest(path: Path) -> bytes | None:
    try:
        with open_regular(path) as file:
            return hashlib.sha256(file.read(MAX_START_FILE)).digest()
    except OSError:
        return None
