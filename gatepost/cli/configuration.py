"""The parts of gatepost.toml that the commands read: the common settings, and the sections they
need.

`SECTIONS` is the only list of the daemons. A daemon only reads the common settings and its own
section, so it neither imports another daemon's settings nor stops because of a mistake in them.
"""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
from pydantic import Field, create_model

from gatepost.cli.section import DaemonSection, served_addresses
from gatepost.config import ConfigError, GroundSettings, Loaded, ServerSettings, load
from gatepost.listen import Unix

DEFAULT_PATH = Path("/etc/gatepost/gatepost.toml")

SECTIONS = {
    "milters": "milters.cli.section",
    "policyd": "policyd.cli.section",
    "accounts": "accounts.cli.section",
    "delivery": "delivery.cli.section",
}
"""Word of a section: the module whose `SECTION` is its `DaemonSection`."""

F = TypeVar("F", bound=GroundSettings)


@dataclass(frozen=True, slots=True)
class Daemon:
    """A daemon with its section of the configuration."""

    word: str
    section: DaemonSection[Any]
    settings: ServerSettings
    is_written: bool
    """True if the file or the environment sets anything in the section."""

    @property
    def unix_sockets(self) -> tuple[tuple[str, Path], ...]:
        """The paths of its unix sockets, each with the key that names it."""
        served = served_addresses(self.word, self.settings)
        return tuple((key, one.path) for key, one in served if isinstance(one, Unix))


def read(path: Path | None, model: type[F]) -> Loaded[F]:
    """Read the part of the configuration that `model` describes; raises `ConfigError`.

    Sections of other daemons may exist and are not read; an unknown section is an error.

    None stands for the default path, which must exist: a daemon that silently ran on defaults would
    sign nothing.
    """
    if path is None:
        path = DEFAULT_PATH
        if not path.exists():
            raise ConfigError.one(path, "does not exist; name another one with --config FILE")
    return load(model, path, os.environ, SECTIONS)


def read_if_any(path: Path | None, model: type[F]) -> Loaded[F]:
    """As `read`, for commands that work without a configuration file."""
    if path is None and not DEFAULT_PATH.exists():
        return load(model, None, os.environ, SECTIONS)
    return read(path, model)


def read_whole(path: Path | None) -> Loaded[GroundSettings]:
    """Read every section of the configuration; raises `ConfigError`."""
    return read(path, whole())


@functools.cache
def whole() -> type[GroundSettings]:
    """Return the model of the whole gatepost.toml: the common settings and a section for each
    daemon."""
    fields: dict[str, Any] = {}
    for word in SECTIONS:
        info = _section(word).file.model_fields[word]
        settings: Any = info.annotation
        fields[word] = (settings, Field(default_factory=settings, description=info.description))
    made: type[GroundSettings] = create_model(
        "Configuration", __base__=GroundSettings, __doc__="One gatepost.toml.", **fields
    )
    return made


def daemons(model: GroundSettings) -> list[Daemon]:
    """Return every daemon with its section of `model`, which `read_whole` has read."""
    return [
        Daemon(word, _section(word), getattr(model, word), word in model.model_fields_set)
        for word in SECTIONS
    ]


def _section(word: str) -> DaemonSection[Any]:
    found: DaemonSection[Any] = importlib.import_module(SECTIONS[word]).SECTION
    return found


def config_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add the option `--config FILE` of every command that reads the configuration."""
    return click.option(
        "--config",
        "config",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="GATEPOST_CONFIG",
        help=f"The configuration; by default {DEFAULT_PATH}.",
    )(command)
