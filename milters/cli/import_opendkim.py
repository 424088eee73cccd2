"""`gatepost import opendkim`: converter from opendkim.conf to gatepost.toml, with a report."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import click
from pydantic import ValidationError

from gatepost.cli.output import tell
from gatepost.folder import OpenFolder
from milters.file import MiltersFile
from milters.keys.tables.errors import OpendkimError
from milters.migration.opendkim.convert import Conversion, convert
from milters.migration.opendkim.draft import MigrationLevel
from milters.migration.opendkim.dropin import PATH as DROP_IN

FILE_NAME = "gatepost.toml"

HEADINGS = {
    MigrationLevel.ERROR: "Decide these points before the switch",
    MigrationLevel.WARNING: "Different from opendkim",
    MigrationLevel.NOTE: "Good to know",
}


@click.command()
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--write",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help=f"Write {FILE_NAME} into this folder instead of printing it; nothing is overwritten.",
)
@click.option("--json", "as_json", is_flag=True, help="Print text and findings as JSON.")
@click.option(
    "--drop-in",
    "only_drop_in",
    is_flag=True,
    help="Print only the systemd drop-in that runs the milter as opendkim's user.",
)
def opendkim(path: Path, folder: Path | None, as_json: bool, only_drop_in: bool) -> None:
    """Print a gatepost.toml for PATH, an opendkim.conf.

    KeyTable and SigningTable are used as they are; all other files that it names are read and
    converted. A list of the differences, with file and line, goes to standard error.

    Points that you have to decide are written into the configuration as `undecided`. `gatepost
    config check` and the daemons refuse it until you have removed them. Exits with 1 when there is
    such a point.
    """
    try:
        conversion = convert(path.absolute())
    except OpendkimError as error:
        raise click.ClickException(str(error)) from None
    if only_drop_in:
        if not conversion.drop_in:
            raise click.ClickException(f"{path}: no UserID, so there is no user to run as")
        click.echo(conversion.drop_in, nl=False)
        return
    text = f"# Made from {ascii(str(path.absolute()))[1:-1]} by gatepost import opendkim.\n\n"
    text += conversion.toml
    _insist_on_validity(text)
    if folder is not None:
        _write(folder / FILE_NAME, text)
    if as_json:
        findings = [
            {
                "level": str(finding.level),
                "file": finding.place.file,
                "line": finding.place.line,
                "subject": finding.subject,
                "text": finding.text,
            }
            for finding in conversion.findings
        ]
        told = {"toml": text, "findings": findings, "drop_in": conversion.drop_in}
        click.echo(json.dumps(told, indent=2))
    else:
        if folder is None:
            click.echo(text, nl=False)
        _report(conversion)
    if conversion.has_errors:
        raise SystemExit(1)


def _insist_on_validity(text: str) -> None:
    try:
        loaded = tomllib.loads(text)
        loaded.pop("undecided", None)  # the configuration is to be refused for these points
        MiltersFile.model_validate(loaded, context={"directory": Path("/")})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        text = f"this setting cannot be imported: {where}: {first['msg']}"
        raise click.ClickException(text) from None


def _write(path: Path, text: str) -> None:
    try:
        with OpenFolder.open(path.parent.absolute()) as folder:
            folder.create(path.name, text.encode(), 0o644)
    except FileExistsError:
        raise click.ClickException(f"{path} already exists and is not overwritten") from None
    except OSError as error:
        raise click.ClickException(f"{path}: cannot be written: {error.strerror}") from None
    click.echo(f"Wrote {path}. Next: gatepost config check --config {path}", err=True)


def _report(conversion: Conversion) -> None:
    for level, heading in HEADINGS.items():
        findings = [finding for finding in conversion.findings if finding.level is level]
        if findings:
            click.echo(f"\n{heading}:", err=True)
        for finding in findings:
            line = f"  {finding.place}: {finding.subject}: {finding.text}"
            tell(line, err=True)
    if conversion.drop_in:
        click.echo(f"\nThe unit needs a drop-in, {DROP_IN} (--drop-in prints it alone):", err=True)
        for line in conversion.drop_in.splitlines():
            tell(f"  {line}", err=True)
