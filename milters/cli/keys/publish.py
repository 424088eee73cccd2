"""`gatepost keys publish`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from gatepost.cli.output import tell
from milters.cli.keys.dns import Update, update_options
from milters.cli.keys.options import (
    again,
    describe,
    domain_argument,
    folder_options,
    open_folder,
    selector_arguments,
)
from milters.keys import lifecycle
from milters.keys.errors import KeysError, OtherRecordError
from milters.keys.files import read_key
from milters.keys.folder import KeyFile
from milters.keys.names import record_name
from milters.keys.record import RECORD_FORMS, RecordForm, present, split


@click.command()
@domain_argument
@selector_arguments
@click.option(
    "--form",
    type=click.Choice(RECORD_FORMS),
    default="bind",
    show_default=True,
    help="bind: a line for a zone file; line: the bare value, for web forms; split: strings of at "
    "most 255 characters, for web forms that need them.",
)
@click.option("--replace", is_flag=True, help="With --server: replace an existing record.")
@update_options
@folder_options
def publish(
    domain: str,
    selectors: tuple[str, ...],
    form: RecordForm,
    replace: bool,
    update: Update,
    as_json: bool,
    folder: Path | None,
    config: Path | None,
) -> None:
    """Print the records of DOMAIN, or put them into DNS.

    With --server they are put into DNS. Without SELECTORS, this covers every key that is new,
    published or active.
    """
    keys = lifecycle.to_publish(open_folder(folder, config), domain, selectors)
    if update.server is None:
        _print(keys, form, update.ttl, as_json)
        return
    primary = update.open(config)
    try:
        done = {key.selector: lifecycle.publish(key, primary, replace=replace) for key in keys}
    except OtherRecordError as error:
        raise KeysError(f"{error}; see --replace") from None
    if as_json:
        result = {"domain": domain, "server": str(primary.server), "keys": done}
        click.echo(json.dumps(result, indent=2))
        return
    for selector, what in done.items():
        tell(f"{record_name(domain, selector)}: {what} at {primary.server}")
    record = "the record" if len(done) == 1 else "the records"
    command = again("check", domain, folder)
    click.echo(f"Repeat until every name server has {record}: {command}")


def _print(keys: list[KeyFile], form: RecordForm, ttl: int, as_json: bool) -> None:
    records = [(key, read_key(key.path).public_record()) for key in keys]
    if as_json:
        printed = [{**describe(key), "ttl": ttl, "strings": split(text)} for key, text in records]
        click.echo(json.dumps({"keys": printed}, indent=2))
        return
    for key, text in records:
        name = record_name(key.domain, key.selector)
        if form != "bind":
            click.echo(f"{name} TXT")
        click.echo(present(name, text, form, ttl))
