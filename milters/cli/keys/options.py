"""Common parts of the commands of `gatepost keys`: options, errors in one line, texts."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from gatepost.cli import configuration
from milters.file import MiltersFile
from milters.keys.errors import KeysError
from milters.keys.files import read_key
from milters.keys.folder import KeyFile, KeyFolder
from milters.keys.names import parse_domain, parse_selector, record_name
from milters.keys.state import KeyState, print_date
from milters.keys.stored import StoredKey
from msgauth.keys import SigningKey

Command = Callable[..., None]


class KeyCommands(click.Group):
    """Commands that report errors in one line."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except KeysError as error:
            raise click.ClickException(str(error)) from None


def _checked(parse: Callable[[str], str]) -> Callable[..., Any]:
    def callback(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
        try:
            if isinstance(value, tuple):
                return tuple(parse(item) for item in value)
            return None if value is None else parse(value)
        except KeysError as error:
            raise click.BadParameter(str(error), ctx, param) from None

    return callback


domain_argument = click.argument("domain", callback=_checked(parse_domain))
any_domain_argument = click.argument("domain", callback=_checked(parse_domain), required=False)
selector_arguments = click.argument("selectors", callback=_checked(parse_selector), nargs=-1)
some_selector_arguments = click.argument(
    "selectors", callback=_checked(parse_selector), nargs=-1, required=True
)
check_selector = _checked(parse_selector)


def folder_options(command: Command) -> Command:
    """Add the options for the location of the keys, and `--json`."""
    command = click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)
    command = click.option(
        "--keys",
        "folder",
        type=click.Path(path_type=Path, file_okay=False),
        help="The key folder; by default `keys` of [milters].",
    )(command)
    return configuration.config_option(command)


def open_folder(folder: Path | None, config: Path | None) -> KeyFolder:
    """Return the key folder that the command works on."""
    if folder is None:
        folder = configuration.read_if_any(config, MiltersFile).model.milters.keys
    return KeyFolder(folder)


def group_of_daemon(config: Path | None) -> int | None:
    """Return the group of the milter's user; None unless this is root, which can give it files."""
    user = configuration.read_if_any(config, MiltersFile).model.milters.user
    if user is None or os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(user).pw_gid
    except KeyError:
        raise KeysError(f"user {user} in [milters] does not exist") from None


def again(command: str, domain: str, folder: Path | None, *more: str) -> str:
    """Return a follow-up command, with the folder given to this one."""
    words = ["gatepost", "keys", command, domain, *more]
    return " ".join([*words, "--keys", str(folder)] if folder else words)


def describe(key: KeyFile, signing: SigningKey | None = None) -> dict[str, Any]:
    """Return a key in the form for `--json`; an unusable file has a `problem`."""
    described: dict[str, Any] = {
        "domain": key.domain,
        "selector": key.selector,
        "state": str(key.state),
        "since": {
            str(state): print_date(when)
            for state, when in (key.life.since if key.life else {}).items()
        },
        "file": str(key.path),
        "source": "folder",
        "name": record_name(key.domain, key.selector),
    }
    try:
        signing = signing or read_key(key.path)
    except KeysError as error:
        return {**described, "problem": str(error)}
    return {**described, **_kind_of(signing)}


def describe_stored(key: StoredKey) -> dict[str, Any]:
    """Return an active key from accounts in the same form; it has no file here."""
    return {
        "domain": key.domain,
        "selector": key.selector,
        "state": str(KeyState.ACTIVE),
        "since": {},
        "file": None,
        "source": "accounts",
        "name": record_name(key.domain, key.selector),
        **_kind_of(key.key),
    }


def _kind_of(signing: SigningKey) -> dict[str, Any]:
    return {
        "algorithm": signing.algorithm,
        "bits": signing.bits,
        "record": signing.public_record(),
    }


def kind(described: dict[str, Any]) -> str:
    """Return the type and size of a described key as text."""
    if "algorithm" not in described:
        return "?"
    name = described["algorithm"].removesuffix("-sha256")
    return f"{name} {described['bits']}" if name == "rsa" else str(name)
