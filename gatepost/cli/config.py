"""`gatepost config`: check a configuration before a daemon meets it, show what it amounts to."""

from __future__ import annotations

import json
from pathlib import Path

import click

from gatepost.cli import configuration
from gatepost.config import ConfigError
from gatepost.config.errors import Problem
from gatepost.config.reference import reference as reference_of


@click.group()
def config() -> None:
    """Check and show the configuration."""


@config.command()
@configuration.config_option
def check(config: Path | None) -> None:
    """Say whether the configuration is valid, with the lists and secrets of the policy server.

    Exits with 2 when it is not, and prints each problem with its file, line, key and what is
    allowed there.
    """
    from policyd.build import faults

    loaded = configuration.read(config)
    model, path = loaded.model, str(loaded.path)
    found = [Problem(path, None, key, why) for key, why in faults(model, model.policyd)]
    if found:
        raise ConfigError(found)
    click.echo(f"{loaded.path}: ok")
    for variable in loaded.overrides:
        click.echo(f"  with {variable} of the environment")


@config.command()
@configuration.config_option
@click.option("--all", "everything", is_flag=True, help="Also what is as by default.")
def show(config: Path | None, everything: bool) -> None:
    """Print the configuration in use as JSON: file, environment and, with --all, defaults.

    Secrets are not shown: the configuration has only the paths of their files.
    """
    loaded = configuration.read(config)
    values = loaded.model.model_dump(mode="json", exclude_unset=not everything)
    click.echo(json.dumps(values, indent=2, ensure_ascii=False))


@config.command()
def reference() -> None:
    """Print the reference of every key, in Markdown: docs/reference/configuration.md."""
    click.echo(reference_of(configuration.Configuration), nl=False)
