"""`gatepost keys new` and `gatepost keys list`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from gatepost.cli import configuration
from gatepost.cli.output import tell
from gatepost.key_pair import MAX_NEW_RSA_BITS
from gatepost.snapshots.form import SnapshotError
from milters.cli.account_data import NoAccountDataError, read_kept
from milters.cli.keys.options import (
    again,
    any_domain_argument,
    check_selector,
    describe,
    describe_stored,
    domain_argument,
    folder_options,
    group_of_daemon,
    kind,
    open_folder,
)
from milters.file import MiltersFile
from milters.keys.account import DKIM_KEYS, read_account_keys
from milters.keys.lifecycle import make
from milters.keys.record import present
from milters.keys.state import KeyState
from msgauth.keys import GOOD_RSA_BITS, MIN_RSA_BITS, KeyType

ALGORITHMS: dict[str, tuple[KeyType, ...]] = {
    "both": ("rsa", "ed25519"),
    "rsa": ("rsa",),
    "ed25519": ("ed25519",),
}


@click.command()
@domain_argument
@click.option(
    "--selector",
    callback=check_selector,
    help="The selector, as in SELECTOR._domainkey.DOMAIN; by default year, month and type, as in "
    "202611r. With both algorithms, r and e are appended.",
)
@click.option(
    "--algorithm",
    type=click.Choice(list(ALGORITHMS)),
    default="both",
    show_default=True,
    help="Use both: receivers that cannot verify Ed25519 (RFC 8463) verify RSA.",
)
@click.option(
    "--bits",
    type=click.IntRange(MIN_RSA_BITS, MAX_NEW_RSA_BITS),
    default=GOOD_RSA_BITS,
    show_default=True,
    help="Length of an RSA key. Use less than 2048 only if your DNS cannot hold more.",
)
@click.option(
    "--active",
    is_flag=True,
    help="Make the key active at once, without looking into DNS; for a first set-up.",
)
@folder_options
def new(
    domain: str,
    selector: str | None,
    algorithm: str,
    bits: int,
    active: bool,
    as_json: bool,
    folder: Path | None,
    config: Path | None,
) -> None:
    """Make the signing keys of DOMAIN and print their records.

    Existing keys are not overwritten. The new keys do not sign until you activate them.
    """
    key_folder = open_folder(folder, config)
    if not key_folder.path.is_dir():
        key_folder.create(group_of_daemon(config))
    types = ALGORITHMS[algorithm]
    made = make(
        key_folder,
        domain,
        types,
        datetime.now(UTC),
        selector=selector,
        rsa_bits=bits,
        state=KeyState.ACTIVE if active else KeyState.NEW,
    )
    described = [describe(key, signing) for key, signing in made.keys]
    if as_json:
        click.echo(json.dumps({"domain": domain, "keys": described}, indent=2))
        return
    files = [key.path for key, _ in made.keys]
    what = "a new key" if len(files) == 1 else f"{len(files)} new keys"
    records = "this record" if len(files) == 1 else "these records"
    click.echo(f"{domain} has {what} in {files[0].parent}. Put {records} into DNS:\n")
    for key in described:
        click.echo(present(key["name"], key["record"], "bind"))
    if bits < GOOD_RSA_BITS and "rsa" in types:
        click.echo(f"\nAn RSA key of {bits} bits is short: RFC 8301 asks for {GOOD_RSA_BITS}.")
    if active:
        click.echo(
            "\nActive: the milter signs as soon as it sees the record in DNS, "
            "or at once with require_published = false."
        )
    else:
        it, record = ("it", "the record") if len(files) == 1 else ("them", "the records")
        click.echo(
            f"\nNo mail is signed with {it} yet. Next:\n"
            f"  {again('check', domain, folder)}       until every name server has {record}\n"
            f"  {again('activate', domain, folder)}    to start signing"
        )
    if made.waiting:
        selectors = [key.selector for key, _ in made.keys]
        waiting = ", ".join(made.waiting)
        click.echo(
            f"\nThese keys were already waiting to be activated: {waiting}. If you made the new "
            f"ones by mistake:\n  {again('discard', domain, folder, *selectors)}"
        )


@click.command(name="list")
@any_domain_argument
@folder_options
def list_keys(domain: str | None, as_json: bool, folder: Path | None, config: Path | None) -> None:
    """List the keys of DOMAIN, or of every domain, with their states.

    The active keys of accounts that the milter has taken over are among them, if it signs with
    them. Exits with 1 when something in the folder cannot be used.
    """
    listing = open_folder(folder, config).scan()
    keys = [describe(key) for key in listing.keys if domain in (None, key.domain)]
    problems = [problem.text for problem in listing.problems if domain in (None, problem.domain)]
    if folder is None:
        more, others = _from_accounts(config)
        keys += [key for key in more if domain in (None, key["domain"])]
        problems += [text for name, text in others if domain in (None, name) or not name]
    problems += [key["problem"] for key in keys if "problem" in key]
    if as_json:
        click.echo(json.dumps({"keys": keys, "problems": problems}, indent=2))
    else:
        print_table([_row(key) for key in keys])
        for problem in problems:
            tell(f"not used: {problem}", err=True)
    if problems:
        raise SystemExit(1)


def _from_accounts(config: Path | None) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    """Return the keys of accounts in the form of `describe`, and problems with their domains."""
    source = configuration.read_if_any(config, MiltersFile).model.milters.accounts
    if not source.keys:
        return [], []
    try:
        found = read_account_keys(read_kept(source, DKIM_KEYS), {})
    except (NoAccountDataError, SnapshotError) as error:
        return [], [("", str(error))]
    stored = sorted(found.all_keys(), key=lambda key: key.name)
    return [describe_stored(key) for key in stored], list(found.problems)


def _row(key: dict[str, Any]) -> tuple[str, ...]:
    since = "accounts" if key["file"] is None else key["since"].get(key["state"], "")[:10]
    return key["domain"], key["selector"], kind(key), key["state"], since


def print_table(rows: list[tuple[str, ...]]) -> None:
    """Print columns as narrow as possible."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        tell("  ".join(cells).rstrip())
