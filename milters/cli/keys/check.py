"""`gatepost keys check` and `gatepost keys activate`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from gatepost.cli.output import tell
from milters.cli.keys.daemon import keys_outside_folder, unreadable_by_daemon
from milters.cli.keys.dns import open_servers, server_options
from milters.cli.keys.options import (
    again,
    any_domain_argument,
    describe,
    domain_argument,
    folder_options,
    kind,
    open_folder,
    selector_arguments,
)
from milters.cli.keys.progress import Progress
from milters.keys import lifecycle
from milters.keys.checked import CheckedKey, CheckedKeys, check_keys
from milters.keys.errors import KeysError, NothingWaitsError
from milters.keys.folder import KeyFile
from milters.keys.lifecycle import MUST_BE_IN_DNS, UnpublishedError
from milters.keys.servers import Servers
from milters.keys.state import OVERLAP, print_date


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

    All authoritative name servers are asked directly and at the same time, not through the cache of
    a resolver. A new key that all of them have becomes published. A server that has not answered
    after 20 seconds, plus a quarter of a second for each key, counts as silent.

    Without --keys, the keys of [[milters.key]] and of opendkim's tables are checked too.

    Exits with 1 when a key that is new, published or active is not at every server, or when the
    milter's user cannot read one that is to sign.
    """
    key_folder = open_folder(folder, config)
    outside = [] if folder else keys_outside_folder(config)
    keys = lifecycle.to_check(key_folder, domain, selectors, outside)
    if not keys:
        tell(f"{domain or key_folder.path} has no keys to check", err=True)
    looked = _look_at(keys, open_servers(told, port, config, len(keys)))
    problems = list(looked.problems)
    if folder is None:
        problems += unreadable_by_daemon(config)
    if not told:
        problems += lifecycle.note_seen(key_folder, looked.checked, datetime.now(UTC))
    if as_json:
        found = [_json_of(one) for one in looked.checked]
        click.echo(json.dumps({"keys": found, "problems": problems}, indent=2))
    else:
        for one in looked.checked:
            _show(one)
        for problem in problems:
            tell(problem, err=True)
    missing = [
        one for one in looked.checked if not one.is_published and one.key.state in MUST_BE_IN_DNS
    ]
    if missing or problems:
        raise SystemExit(1)


@click.command()
@domain_argument
@selector_arguments
@click.option("--keep-old", is_flag=True, help="Keep the current keys active beside the new ones.")
@click.option(
    "--unchecked",
    is_flag=True,
    help="Do not check DNS. The milter still does, unless require_published = false.",
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
    """Start signing with the new keys of DOMAIN, or with SELECTORS.

    Every name server must have their records. The keys of the same type that signed until now are
    retired: they stop signing, and their records stay for mail in transit.
    """

    def look(keys: Sequence[KeyFile]) -> CheckedKeys:
        return _look_at(keys, open_servers(told, port, config, len(keys)))

    now = datetime.now(UTC)
    try:
        done = lifecycle.activate(
            open_folder(folder, config),
            domain,
            selectors,
            None if unchecked else look,
            now,
            keep_old=keep_old,
        )
    except NothingWaitsError as error:
        raise KeysError(f"{error}; {again('new', domain, folder)}") from None
    except UnpublishedError as error:
        for one in error.missing:
            _show(one)
        raise
    if as_json:
        result = {"domain": domain, "active": done.active, "retired": done.retired}
        click.echo(json.dumps(result, indent=2))
        return
    click.echo(f"{domain} is signed with {', '.join(done.active)} from now on.")
    if done.retired:
        click.echo(
            f"Retired: {', '.join(done.retired)}. Leave the records in DNS for mail in transit; "
            f"after {print_date(now + OVERLAP)[:10]}:\n"
            f"  {again('revoke', domain, folder, *done.retired)}"
        )


def _look_at(keys: Sequence[KeyFile], servers: Servers) -> CheckedKeys:
    """Query all keys at once; on a terminal it shows the progress."""
    with Progress("keys", len(keys)) as progress:
        return check_keys(keys, servers, progress.advance)


def _json_of(one: CheckedKey) -> dict[str, Any]:
    """Return the check in the form for `--json`."""
    return {
        **describe(one.key, one.signing),
        "seen": str(one.found.seen),
        "reason": one.found.reason,
        "note": one.found.note,
        "servers": [
            {
                "server": str(sight.said.server),
                "name": sight.said.name,
                "seen": str(sight.publication.seen),
                "reason": sight.publication.reason,
            }
            for sight in one.sights
        ],
    }


def _show(one: CheckedKey) -> None:
    """Print the check, with one line per server that does not have the record."""
    described = describe(one.key, one.signing)
    hosts = {sight.said.server.host for sight in one.sights}
    head = f"{one.key.selector} of {one.key.domain} ({kind(described)}, {one.key.state})"
    if one.is_published:
        tell(f"{head}: published at {', '.join(sorted(hosts))}")
        if one.found.note:
            tell(f"  but {one.found.note}")
        return
    tell(f"{head}: {one.found.seen}" + ("" if one.sights else one.found.reason))
    for sight in one.sights:
        reason = sight.publication.reason or "has the record"
        tell(f"  {sight.said.server}: {reason}")
