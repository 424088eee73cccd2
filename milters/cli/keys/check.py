"""`gatepost keys check` and `gatepost keys activate`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from gatepost.cli.output import tell
from milters.cli.keys.checked import Checked, check_all
from milters.cli.keys.daemon import unreadable_by_daemon
from milters.cli.keys.dns import Servers, open_servers, server_options
from milters.cli.keys.options import (
    again,
    any_domain_argument,
    domain_argument,
    folder_options,
    open_folder,
    refuse_flat,
    select,
    selector_arguments,
)
from milters.keys.errors import KeysError
from milters.keys.folder import KeyFile, KeyFolder
from milters.keys.rotation import replaced_by
from milters.keys.state import OVERLAP, KeyState, print_date

IN_DNS = (KeyState.NEW, KeyState.PUBLISHED, KeyState.ACTIVE, KeyState.RETIRED)
"""States in which the record is to be in DNS, or soon will be."""

MUST_BE_IN_DNS = (KeyState.NEW, KeyState.PUBLISHED, KeyState.ACTIVE)


@click.command()
@any_domain_argument
@selector_arguments
@server_options
@folder_options
def check(
    domain: str | None,
    selectors: tuple[str, ...],
    told: tuple[str, ...],
    port: int,
    as_json: bool,
    folder: Path | None,
    config: Path | None,
) -> None:
    """Compare the keys of DOMAIN, or of every domain, with DNS.

    Every name server that is responsible is asked, not a resolver with its cache. A new key that
    all of them have is noted as published. All are asked at once, and after 20 seconds, for many
    keys a quarter of a second more for each, what has not answered counts as silent.

    Exits with 1 when a key that is new, published or active is not at every server, or when the
    milter's user cannot read one that is to sign.
    """
    key_folder = open_folder(folder, config)
    if domain is None:
        keys = [key for key in key_folder.scan().keys if key.state in IN_DNS]
    else:
        keys = select(key_folder, domain, selectors, IN_DNS)
    checked, problems = check_all(keys, open_servers(told, port, config, len(keys)))
    if folder is None:
        problems += unreadable_by_daemon(config)
    if not told:
        problems += _note(key_folder, checked)
    if as_json:
        found = [one.as_json() for one in checked]
        click.echo(json.dumps({"keys": found, "problems": problems}, indent=2))
    else:
        for one in checked:
            one.tell()
        for problem in problems:
            tell(problem, err=True)
    missing = [c for c in checked if not c.is_published and c.key.state in MUST_BE_IN_DNS]
    if missing or problems:
        raise SystemExit(1)


def _note(key_folder: KeyFolder, checked: Sequence[Checked]) -> list[str]:
    """Remember what every name server was seen to have; returns what could not be noted."""
    problems = []
    for one in checked:
        life = one.key.life
        if not one.is_published or life is None or KeyState.PUBLISHED in life.since:
            continue
        state = KeyState.PUBLISHED if life.state is KeyState.NEW else life.state
        try:
            key_folder.enter(
                one.key.domain, {one.key.selector: state}, datetime.now(UTC), was_seen=True
            )
        except KeysError as error:
            problems.append(f"not noted: {error}")
    return problems


@click.command()
@domain_argument
@selector_arguments
@click.option(
    "--keep-old", is_flag=True, help="Let the keys that sign now go on, besides the new ones."
)
@click.option(
    "--unchecked",
    is_flag=True,
    help="Do not look into DNS. The milter still does, unless require_published = false.",
)
@server_options
@folder_options
def activate(
    domain: str,
    selectors: tuple[str, ...],
    keep_old: bool,
    unchecked: bool,
    told: tuple[str, ...],
    port: int,
    as_json: bool,
    folder: Path | None,
    config: Path | None,
) -> None:
    """Sign with the keys of DOMAIN that are new or published, or with the SELECTORS.

    Only when every name server has their records. The keys of the same type that signed until now
    are retired: they sign no more, and their records stay for mail under way.
    """
    key_folder = open_folder(folder, config)
    keys = select(key_folder, domain, selectors, (KeyState.NEW, KeyState.PUBLISHED))
    if not keys:
        raise KeysError(
            f"{domain} has no key that waits to be activated; {again('new', domain, folder)}"
        )
    refuse_flat(key_folder, keys)
    if not unchecked:
        _insist(keys, open_servers(told, port, config, len(keys)))
    now = datetime.now(UTC)
    active = {key.selector: KeyState.ACTIVE for key in keys}
    old: list[KeyFile] = []
    if not keep_old:
        old = replaced_by(keys, key_folder.of_domain(domain).keys)
    retired = {key.selector: KeyState.RETIRED for key in old}
    key_folder.enter(domain, active, now, was_seen=not unchecked, also=retired)
    if as_json:
        result = {"domain": domain, "active": sorted(active), "retired": sorted(retired)}
        click.echo(json.dumps(result, indent=2))
        return
    click.echo(f"{domain} is signed with {', '.join(sorted(active))} from now on.")
    if retired:
        names = sorted(retired)
        click.echo(
            f"Retired: {', '.join(names)}. Leave the records in DNS for mail under way; after "
            f"{print_date(now + OVERLAP)[:10]}:\n  {again('revoke', domain, folder, *names)}"
        )


def _insist(keys: Sequence[KeyFile], servers: Servers) -> None:
    """Raise `KeysError` unless every name server has each of the records."""
    checked, problems = check_all(keys, servers)
    if problems:
        raise KeysError(problems[0])
    missing = [one for one in checked if not one.is_published]
    for one in missing:
        one.tell()
    if missing:
        raise KeysError("nothing is activated: not every name server has every record")
