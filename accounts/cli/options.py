"""Options shared by the commands, and options that set the fields of an object."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeAlias, Union, get_args, get_origin

import click
from pydantic.fields import FieldInfo

from accounts.cli.values import (
    CLEARED,
    NONE,
    DecimalParameter,
    FlagParameter,
    NumberParameter,
    OrNone,
    SizeParameter,
    TimeParameter,
)
from accounts.http.models.base import OctetField, RequestModel, TimeField

AccountsCommand: TypeAlias = Callable[..., None]

FLAG = FlagParameter()


@dataclass(frozen=True, slots=True)
class Field:
    """A field that an option of the same name sets, or a condition of a list.

    `several`: the option may be given more than once; together they replace the old values.
    """

    name: str
    type: click.ParamType[Any]
    help: str
    several: bool = False
    metavar: str | None = None


def field_options(fields: Sequence[Field]) -> Callable[[AccountsCommand], AccountsCommand]:
    """Add an option for each field."""

    def decorate(command: AccountsCommand) -> AccountsCommand:
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


def fields_of(model: type[RequestModel], **forms: click.ParamType[Any] | str) -> tuple[Field, ...]:
    """Return the fields of a model of the API as options.

    `forms` has the type of an option, or the word for its value, if the type of the field is not
    enough.
    """
    return tuple(_field(name, info, forms.get(name)) for name, info in model.model_fields.items())


def _field(name: str, info: FieldInfo, form: click.ParamType[Any] | str | None) -> Field:
    word = form if isinstance(form, str) else None
    several, type_ = _type(info, word)
    if isinstance(form, click.ParamType):
        type_ = form
    text = (info.description or "").strip()
    if several:
        text = f"{text.rstrip('.')}; may be repeated, and replaces all. {NONE} removes all."
    return Field(name, type_, text, several, word if several else None)


def _type(info: FieldInfo, word: str | None) -> tuple[bool, click.ParamType[Any]]:
    """Return whether a field has several values, and the type of one."""
    kinds = [kind for kind in get_args(info.annotation) if kind is not NoneType]
    is_optional = get_origin(info.annotation) in (Union, UnionType)
    kind = kinds[0] if is_optional else info.annotation
    if get_origin(kind) is list:
        return True, click.STRING
    if kind == OctetField:
        return False, SizeParameter("SIZE")
    if kind == TimeField:
        return False, TimeParameter("TIME")
    if kind is bool:
        return False, FLAG
    if kind is int:
        return False, NumberParameter(word or "NUMBER")
    if kind is float:
        return False, DecimalParameter(word or "NUMBER")
    return False, OrNone(word or "TEXT") if is_optional else click.STRING


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields whose options were given; `NONE` becomes None or an empty list."""
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


def json_option(command: AccountsCommand) -> AccountsCommand:
    """Add the option `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def yes_option(command: AccountsCommand) -> AccountsCommand:
    """Add the option `--yes` of commands that ask before they remove something."""
    # eager: because other options may depend on it
    return click.option("--yes", "-y", is_flag=True, is_eager=True, help="Do not ask.")(command)


def password_options(command: AccountsCommand) -> AccountsCommand:
    """Add the options that say where a new password comes from."""
    command = click.option("--no-password", is_flag=True, help="Disable logins with the password.")(
        command
    )
    return password_file_option(command)


def password_file_option(command: AccountsCommand) -> AccountsCommand:
    """Add the option that names a file with the password."""
    return click.option(
        "--password-file",
        type=click.Path(path_type=Path, allow_dash=True, dir_okay=False),
        help="Read the password from this file, or from standard input for -. Without this "
        "option, you are asked for it on a terminal; elsewhere it is read from standard "
        "input.",
    )(command)


def ask(question: str, *, yes: bool) -> None:
    """Ask before something is removed; any answer but yes ends the command with status 1."""
    if not yes:
        click.confirm(question, abort=True, err=True)
