"""The whole of gatepost.toml: the ground and a section a daemon."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import click
from pydantic import Field

from gatepost.config import ConfigError, GroundSettings, Loaded, load
from milters.settings import MiltersSettings
from policyd.settings import PolicydSettings

DEFAULT_PATH = Path("/etc/gatepost/gatepost.toml")


class Configuration(GroundSettings):
    """One gatepost.toml."""

    milters: MiltersSettings = Field(
        default_factory=MiltersSettings, description="The milter behind `smtpd_milters`."
    )
    policyd: PolicydSettings = Field(
        default_factory=PolicydSettings,
        description="The policy server behind `check_policy_service`.",
    )


def read(path: Path | None) -> Loaded[Configuration]:
    """Read the configuration that a daemon or command was told; raises `ConfigError`.

    None stands for the default path, which has to exist: a daemon that silently ran on defaults
    alone would sign nothing.
    """
    if path is None:
        path = DEFAULT_PATH
        if not path.exists():
            raise ConfigError.one(path, "does not exist; name another one with --config FILE")
    return load(Configuration, path, os.environ)


def read_if_any(path: Path | None) -> Loaded[Configuration]:
    """As `read`, for commands that work without a configuration file."""
    if path is None and not DEFAULT_PATH.exists():
        return load(Configuration, None, os.environ)
    return read(path)


def config_option(command: Callable[..., None]) -> Callable[..., None]:
    """The option `--config FILE` of every command that reads the configuration."""
    return click.option(
        "--config",
        "config",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="GATEPOST_CONFIG",
        help=f"The configuration; {DEFAULT_PATH} when not given.",
    )(command)
