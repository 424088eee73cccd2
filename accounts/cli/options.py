"""Options that the commands share, and those that set the fields of an object."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import click

from accounts.cli.values import CLEARED, NONE, Flag
from gatepost.cli.configuration import config_option

Command: TypeAlias = Callable[..., None]

FLAG = Flag()


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an object that an option of the same name sets.

    `several`: the option may be given more than once; together they replace what was there.
    """

    name: str
    type: click.ParamType[Any]
    help: str
    several: bool = False
    metavar: str | None = None


def field_options(fields: Sequence[Field]) -> Callable[[Command], Command]:
    """Add an option for each field."""

    def decorate(command: Command) -> Command:
        for field in reversed(fields):
            name = "--" + field.name.replace("_", "-")
            add = click.option(
                name,
                field.name,
                type=field.type,
                multiple=field.several,
                metavar=field.metavar,
                help=field.help,
            )
            command = add(command)
        return command

    return decorate


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields whose options were given, with None or nothing for `NONE`."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, tuple):
            if value:
                found[name] = [] if value == (NONE,) else list(value)
        elif value is not None:
            found[name] = None if value is CLEARED else value
    return found


def insist_on_change(values: Mapping[str, Any]) -> None:
    """Raise a usage error for a `set` that sets nothing."""
    if not values:
        raise click.UsageError("nothing to change: name at least one option, see --help")


def common_options(command: Command) -> Command:
    """Add the options of every command: the configuration and the form of the output."""

    @config_option
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    @functools.wraps(command)
    def with_options(*args: Any, **kwargs: Any) -> None:
        command(*args, **kwargs)

    return with_options


def yes_option(command: Command) -> Command:
    """Add the option `--yes` of commands that ask before they remove something."""
    return click.option("--yes", "-y", is_flag=True, help="Do not ask.")(command)


def password_options(command: Command) -> Command:
    """Add the options that say where a new password comes from."""
    command = click.option("--no-password", is_flag=True, help="Let nobody in with a password.")(
        command
    )
    return password_file_option(command)


def password_file_option(command: Command) -> Command:
    """Add the option that names a file with the password."""
    return click.option(
        "--password-file",
        type=click.Path(path_type=Path, allow_dash=True, dir_okay=False),
        help="Read the password from this file, or from standard input for -. Without it, you "
        "are asked for it on a terminal; elsewhere it is read from standard input.",
    )(command)


def ask(question: str, *, yes: bool) -> None:
    """Ask before something is removed; anything but yes ends the command with status 1."""
    if not yes:
        click.confirm(question, abort=True, err=True)
