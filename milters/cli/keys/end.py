"""`gatepost keys retire` and `gatepost keys revoke`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from milters.cli.keys.dns import Primary, open_primary, update_options
from milters.cli.keys.options import (
    again,
    domain_argument,
    folder_options,
    open_folder,
    refuse_flat,
    select,
    some_selector_arguments,
)
from milters.keys.errors import KeysError
from milters.keys.folder import KeyFile, KeyFolder
from milters.keys.names import record_name
from milters.keys.record import present, revoked_record
from milters.keys.rotation import key_type, time_to_wait
from milters.keys.state import OVERLAP, KeyState, print_date


@click.command()
@domain_argument
@some_selector_arguments
@click.option("--last", is_flag=True, help="Also when the domain is then no longer signed.")
@folder_options
def retire(
    domain: str,
    selectors: tuple[str, ...],
    last: bool,
    as_json: bool,
    folder: Path | None,
    config: Path | None,
) -> None:
    """Sign no more with the SELECTORS of DOMAIN; their records stay for mail under way."""
    key_folder = open_folder(folder, config)
    keys = select(key_folder, domain, selectors, ())
    refuse_flat(key_folder, keys)
    _keep_one(key_folder, domain, keys, last, "--last")
    now = datetime.now(UTC)
    key_folder.enter(domain, {key.selector: KeyState.RETIRED for key in keys}, now)
    if as_json:
        click.echo(json.dumps({"domain": domain, "retired": sorted(selectors)}, indent=2))
        return
    click.echo(
        f"Retired: {', '.join(selectors)}. Leave the records in DNS until "
        f"{print_date(now + OVERLAP)[:10]}; then:\n"
        f"  {again('revoke', domain, folder, *selectors)}"
    )


def _keep_one(
    key_folder: KeyFolder, domain: str, keys: Sequence[KeyFile], is_forced: bool, option: str
) -> None:
    names = {key.selector for key in keys}
    active = {
        key.selector for key in key_folder.of_domain(domain).keys if key.state is KeyState.ACTIVE
    }
    if active and active <= names and not is_forced:
        raise KeysError(
            f"{domain} would be signed no more: it has no other active key; with {option} it is"
        )


@click.command()
@domain_argument
@some_selector_arguments
@click.option(
    "--now",
    "at_once",
    is_flag=True,
    help="Also a key that signs, or was retired less than a week ago, as when it was stolen: mail "
    "under way that it signed fails.",
)
@update_options
@folder_options
def revoke(
    domain: str,
    selectors: tuple[str, ...],
    at_once: bool,
    server: str | None,
    port: int,
    zone: str | None,
    tsig_key: Path | None,
    ttl: int,
    as_json: bool,
    folder: Path | None,
    config: Path | None,
) -> None:
    """Declare void what the SELECTORS of DOMAIN have signed: their records get an empty p=.

    The new records are printed, or put into DNS with --server. There is no way back.
    """
    key_folder = open_folder(folder, config)
    keys = select(key_folder, domain, selectors, ())
    now = datetime.now(UTC)
    refuse_flat(key_folder, keys)
    if not at_once:
        _wait(keys, now)
    primary = open_primary(server, port, zone, tsig_key, ttl, config) if server else None
    # first of all it signs no more: a failure below must not undo that
    key_folder.enter(domain, {key.selector: KeyState.REVOKED for key in keys}, now)
    records: dict[str, str] = {}
    for key in keys:
        text = revoked_record(key_type(key) or "rsa")
        key_folder.write_record(domain, key.selector, text)
        records[record_name(domain, key.selector)] = text
    if primary is not None:
        for name, text in records.items():
            _withdraw(primary, name, text)
    if as_json:
        where = str(primary.server) if primary else None
        result = {"domain": domain, "server": where, "records": records}
        click.echo(json.dumps(result, indent=2))
        return
    if primary is not None:
        click.echo(f"Revoked at {primary.server}: {', '.join(records)}")
    else:
        click.echo("Revoked here. Now replace the records in DNS by:\n")
        for name, text in records.items():
            click.echo(present(name, text, "bind", ttl))
    click.echo("\nThe files of the keys may be deleted; their selectors are not used again.")


def _wait(keys: Sequence[KeyFile], now: datetime) -> None:
    for key in keys:
        if key.state is KeyState.ACTIVE:
            raise KeysError(f"{key.selector} still signs; retire it first, or see --now")
        wait = time_to_wait(key, now)
        if key.state is KeyState.RETIRED and wait.total_seconds() > 0:
            raise KeysError(
                f"{key.selector} was retired a short while ago, and mail under way may need its "
                f"record until {print_date(now + wait)[:10]}; see --now"
            )


def _withdraw(primary: Primary, name: str, text: str) -> None:
    try:
        records = primary.records(name)
        if records != (text,):
            primary.replace(name, text, records)
    except KeysError as error:
        raise KeysError(
            f"it signs no more, but its record stands: {error}; try again, or by hand: "
            f"{present(name, text, 'bind')}"
        ) from None
