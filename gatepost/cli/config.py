"""`gatepost config`: check of a configuration before a daemon uses it, and output of its values."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from gatepost.cli import configuration
from gatepost.cli.output import tell
from gatepost.config import ConfigError, GroundSettings
from gatepost.config.networks import too_large
from gatepost.config.reference import reference as reference_of


@click.group()
def config() -> None:
    """Check and show the configuration."""


@config.command()
@configuration.config_option
@click.option(
    "--user",
    help="The user that the daemons run as; by default the user of their systemd units, else "
    "`user` of the configuration.",
)
@click.option(
    "--postfix",
    is_flag=True,
    help="Also check Postfix's main.cf and master.cf.",
)
@click.option(
    "--postconf",
    metavar="PATH",
    help="Implies --postfix: the postconf to run; by default the one in $PATH.",
)
@click.option(
    "-c",
    "folder",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Implies --postfix: the folder of main.cf and master.cf; by default Postfix's own.",
)
def check(
    config: Path | None,
    user: str | None,
    postfix: bool,
    postconf: str | None,
    folder: Path | None,
) -> None:
    """Check the configuration, as root also as the daemons' users.

    Run as root, it opens keys, tables, lists, secrets, the folder of the store and the folders of
    unix sockets as the user of each daemon. Running daemons are not disturbed.

    Prints each problem with its file, line and key, and the values that are allowed, and exits with
    2. Warnings go to standard error. With --postfix it also prints a line for each finding, and
    exits with 2 when one of them is an error.
    """
    from gatepost.cli.readiness import look

    loaded = configuration.read_whole(config)
    report = look(loaded, user)
    found = [loaded.problem(key, why) for key, why in report.problems]
    if found:
        raise ConfigError(found)
    for key, why in (*_advice(loaded.model), *report.advice):
        tell(f"{loaded.path}: {key}: warning: {why}", err=True)
    click.echo(f"{loaded.path}: ok")
    for line in report.opened:
        tell(f"  {line}")
    for variable in loaded.overrides:
        click.echo(f"  with {variable} from the environment")
    if postfix or postconf or folder is not None:
        _check_postfix(loaded.model, postconf or "postconf", folder)


def _check_postfix(model: GroundSettings, program: str, folder: Path | None) -> None:
    from gatepost.cli.check_postfix import look

    found = look(model, program, folder)
    for finding in found:
        tell(str(finding))
    if any(finding.level == "error" for finding in found):
        sys.exit(2)
    if not found:
        click.echo("Postfix: ok")


@config.command()
@configuration.config_option
@click.option("--all", "everything", is_flag=True, help="Also show default values.")
def show(config: Path | None, everything: bool) -> None:
    """Print the configuration in use as JSON.

    It is merged from the file and the environment; --all adds the defaults.

    Secrets are not shown: the configuration has only the paths of their files.
    """
    loaded = configuration.read_whole(config)
    values = loaded.model.model_dump(mode="json", exclude_unset=not everything)
    click.echo(json.dumps(values, indent=2, ensure_ascii=False))


@config.command()
def reference() -> None:
    """Print the reference of every key in Markdown.

    It is the text of docs/reference/configuration.md.
    """
    click.echo(reference_of(configuration.whole()), nl=False)


def _advice(model: GroundSettings) -> Iterator[tuple[str, str]]:
    """Yield keys of the whole configuration, each with a sentence. It queries and opens nothing."""
    if told := too_large(model.proxy_networks):
        yield "proxy_networks", f"contains {told}: are they all yours?"
    for daemon in configuration.daemons(model):
        if daemon.is_written:
            yield from daemon.section.advice(daemon.settings)
