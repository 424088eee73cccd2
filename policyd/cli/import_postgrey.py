"""`gatepost import postgrey`: its triplets and clients, its whitelists, its options."""

from __future__ import annotations

import fcntl
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click
from pydantic import ValidationError

from gatepost.cli import configuration
from gatepost.cli.output import counted, tell
from gatepost.files import open_regular
from policyd import records
from policyd.checks.greylist import hide_of, rules_of
from policyd.cli.greylist import write_entries
from policyd.file import PolicydFile
from policyd.greylisting import GreylistRules
from policyd.match import AddressTable, ClientTable, MatchError, read_addresses, read_clients
from policyd.migration.berkeley import BerkeleyError, read_btree
from policyd.migration.postgrey import Options, Taken, read_options, take_clients, take_triplets
from policyd.settings import GreylistSettings
from policyd.stores import StoreEntry

TRIPLETS = "postgrey.db"
CLIENTS = "postgrey_clients.db"
LOCK = "postgrey.lock"
OPTIONS = Path("/etc/default/postgrey")
MAX_OPTIONS = 1 << 20
"""Maximum octets of that file; a command line is shorter."""
WHITELISTS = Path("/etc/postgrey")

_HEADING = "# Made from postgrey's options and whitelists by gatepost import postgrey."


@click.command()
@click.argument("directory", type=click.Path(path_type=Path, exists=True, file_okay=False))
@configuration.config_option
@click.option(
    "--options",
    "options_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"The file with postgrey's command line; default: {OPTIONS} if it exists.",
)
@click.option(
    "--whitelists",
    type=click.Path(path_type=Path, file_okay=False),
    help=f"The folder of its whitelists; default: {WHITELISTS} if it exists.",
)
@click.option("--dry-run", is_flag=True, help="Only show what would be imported.")
def postgrey(
    directory: Path,
    config: Path | None,
    options_file: Path | None,
    whitelists: Path | None,
    dry_run: bool,
) -> None:
    """Import postgrey's database from DIRECTORY into the store.

    DIRECTORY is usually /var/lib/postgrey. Stop postgrey first, so that its files are complete.
    Lines for gatepost.toml go to standard output, the report goes to standard error. You can run
    the import again.
    """
    if _runs(directory) and not dry_run:
        raise click.ClickException(
            f"postgrey is running on {directory}: stop it first (systemctl stop postgrey), "
            "because most of its data is not in its files yet"
        )
    settings = configuration.read_if_any(config, PolicydFile).model.policyd
    options = _options(options_file)
    lists = _whitelists(whitelists)
    delay = _postgreys_delay(options)
    rules = rules_of(settings.greylist)
    taken = Taken()
    try:
        triplets = _pairs(directory / TRIPLETS, needed=True)
        prefixes = _prefixes(options, settings.greylist)
        take_triplets(triplets, replace(rules, delay=delay), taken, prefixes)
        take_clients(_pairs(directory / CLIENTS, needed=False), taken, prefixes)
    except BerkeleyError as error:
        raise click.ClickException(str(error)) from None
    entries = dict(_entries(taken, rules, hide_of(settings.greylist)))
    if not dry_run:
        write_entries(settings, entries.items())
    _print_settings(options, lists)
    _report(taken, options, dry_run)
    if dry_run and _runs(directory):
        click.echo(
            "warning: postgrey is running, and not all of its data is in its files", err=True
        )


def _runs(directory: Path) -> bool:
    """Return whether postgrey holds the lock of its folder."""
    try:
        with open_regular(directory / LOCK) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _prefixes(options: Options, settings: GreylistSettings) -> tuple[int, int]:
    """Return the prefix lengths of a client, for IPv4 and IPv6, as postgrey has them."""
    v4 = options.greylist.get("ipv4_prefix", "")
    v6 = options.greylist.get("ipv6_prefix", "")
    return (
        int(v4) if v4.isdecimal() and int(v4) <= 32 else settings.ipv4_prefix,
        int(v6) if v6.isdecimal() and int(v6) <= 128 else settings.ipv6_prefix,
    )


def _pairs(path: Path, *, needed: bool) -> Iterator[tuple[bytes, bytes]]:
    if not needed and not path.exists():
        return iter(())
    return read_btree(path)


def _entries(
    taken: Taken, rules: GreylistRules, hide: records.Hide
) -> Iterator[tuple[str, StoreEntry]]:
    for (identity, sender, recipient), triplet in taken.triplets:
        key = records.triplet_key(hide, identity, sender, recipient)
        yield key, records.triplet_entry(triplet, rules)
    for identity, client in taken.clients:
        yield records.client_key(hide, identity), records.client_entry(client, rules)


def _options(path: Path | None) -> Options:
    if path is None:
        if not OPTIONS.exists():
            return Options()
        path = OPTIONS
    try:
        with open_regular(path) as file:
            text = file.read(MAX_OPTIONS)
        return read_options(text.decode("utf-8", "backslashreplace"))
    except (OSError, ValueError) as error:
        raise click.ClickException(f"{path}: cannot be read: {error}") from None


def _postgreys_delay(options: Options) -> int:
    digits = options.greylist.get("delay", "").strip('"s')
    return int(digits) if digits.isdecimal() else GreylistRules().delay


def _whitelists(folder: Path | None) -> dict[str, list[Path]]:
    """Return the whitelists that are there, after a look whether each can be read."""
    folder = folder or WHITELISTS
    found: dict[str, list[Path]] = {}
    for key, name in (
        ("allow_clients_files", "whitelist_clients"),
        ("allow_recipients_files", "whitelist_recipients"),
    ):
        paths = [path for path in (folder / name, folder / f"{name}.local") if path.exists()]
        for path in paths:
            try:
                if key == "allow_clients_files":
                    read_clients(path, ClientTable())
                else:
                    read_addresses(path, AddressTable())
            except MatchError as error:
                tell(f"warning: {error}", err=True)
        if paths:
            found[key] = paths
    return found


def _print_settings(options: Options, lists: dict[str, list[Path]]) -> None:
    lines = []
    if options.listen:
        lines += ["[policyd]", f'listen = "{options.listen}"', ""]
    lines.append("[policyd.greylist]")
    lines += [f"{key} = {value}" for key, value in options.greylist.items()]
    for key, paths in lists.items():
        if key not in options.greylist:
            quoted = ", ".join(f'"{path}"' for path in paths)
            lines.append(f"{key} = [{quoted}]")
    text = "\n".join(lines)
    try:
        GreylistSettings.model_validate(tomllib.loads(text)["policyd"]["greylist"])
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        tell(f"warning: check postgrey's options: {error}", err=True)
    # the empty line separates it from the settings in a file that it is appended to
    click.echo(f"\n{_HEADING}\n{text}")


def _report(taken: Taken, options: Options, dry_run: bool) -> None:
    verb = "would be imported" if dry_run else "imported"
    triplets, clients = len(taken.triplets), len(taken.clients)
    click.echo(f"{counted(triplets, 'triplet')}, {counted(clients, 'client')} {verb}", err=True)
    if taken.hidden:
        click.echo(f"{taken.hidden} are hashes of --privacy and cannot be imported", err=True)
    if taken.unreadable:
        click.echo(
            f"{taken.unreadable} entries are not in postgrey's format and were skipped", err=True
        )
    for note in options.notes:
        tell(note, err=True)
