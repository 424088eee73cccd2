"""`gatepost greylist`: commands that show and change the greylist."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import click

from gatepost.cli import configuration
from gatepost.cli.output import counted, tell
from policyd import records
from policyd.checks.greylist import hide_of, rules_of
from policyd.cli.store import run
from policyd.file import PolicydFile
from policyd.greylist_names import (
    ClientNameError,
    identities_of_domain,
    identity_of,
    known_as,
    meant,
)
from policyd.greylist_search import ExportedRecord, scan
from policyd.greylisting import ClientRecord, TripletRecord
from policyd.settings import PolicydSettings
from policyd.stores import Known, Store, StoreEntry

AT_ONCE = 500
"""Records written at once."""
MOMENT = "A running policy server sees it within a minute."


_kinds = click.option(
    "--kind",
    "kinds",
    type=click.Choice(["triplet", "client"]),
    multiple=True,
    default=("triplet", "client"),
    help="Only records of this kind; by default both.",
)


@click.group()
def greylist() -> None:
    """Show and change the greylist.

    The greylist knows a client by its identity: host:example.org (the domain of its verified host
    name), spf:example.org (the domain of a sender that passed SPF), net:192.0.2.0/24 or
    dnswl:ZONE.
    """


@greylist.command("list")
@configuration.config_option
@_kinds
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    help="Maximum number of records; 0: all.",
)
def list_records(config: Path | None, kinds: tuple[str, ...], limit: int) -> None:
    """List triplets and clients."""
    settings = _settings(config)

    async def work(store: Store) -> None:
        count = 0
        async for record in scan(store, kinds):
            if limit and count >= limit:
                click.echo(f"(only the first {limit} are shown: --limit)", err=True)
                return
            _show(record, settings)
            count += 1

    run(settings.store, work)


@greylist.command()
@click.argument("text")
@configuration.config_option
@_kinds
def find(text: str, config: Path | None, kinds: tuple[str, ...]) -> None:
    """List records whose client, sender or recipient contains TEXT.

    TEXT may be the address, network or host name of a client: then the records of its identity are
    listed, which may be its network, the domain of its host name, or the domain of a sender for
    which SPF passed. With privacy_key_file TEXT must be a whole identity, address, host name,
    sender or recipient.
    """
    settings = _settings(config)
    hide = hide_of(settings.greylist)
    parts = {hide(one) for one in meant(text, settings) | identities_of_domain(text)}

    async def work(store: Store) -> int:
        found = 0
        others = await known_as(store, text, hide)
        parts.update(others)
        if others and hide is records.plain:
            tell(f"{text} is known as {', '.join(sorted(others))}", err=True)
        async for record in scan(store, kinds):
            is_within = hide is records.plain and any(text.lower() in one for one in record.parts)
            if is_within or parts & set(record.parts):
                _show(record, settings)
                found += 1
        return found

    if not run(settings.store, work):
        raise click.ClickException(f"no record of {text}")


@greylist.command()
@click.argument("client")
@configuration.config_option
def allow(client: str, config: Path | None) -> None:
    """Let CLIENT pass without delay from now on.

    CLIENT is an address, a network, a host name or an identity. It expires like every other record
    when the client is not seen for max_age; use allow_clients in gatepost.toml for permanent
    exceptions.
    """
    settings = _settings(config)
    rules = rules_of(settings.greylist)
    if not rules.auto_allow_after:
        raise click.ClickException(
            "auto_allow_clients is 0: no client is ever trusted; use allow_clients"
        )
    try:
        identity = identity_of(client, settings)
    except ClientNameError as error:
        raise click.ClickException(str(error)) from None
    now = int(time.time())
    entry = records.client_entry(ClientRecord(rules.auto_allow_after, now), rules)
    key = records.client_key(hide_of(settings.greylist), identity)

    async def work(store: Store) -> None:
        await store.update((key,), lambda _: ([entry], None))

    run(settings.store, work)
    tell(f"{identity} is no longer delayed. {MOMENT}")


@greylist.command()
@click.argument("text")
@configuration.config_option
def forget(text: str, config: Path | None) -> None:
    """Forget the records whose client, sender or recipient is TEXT.

    An address, a network or a host name stands for its identity. If the client is also known under
    another identity, that identity is printed; forget it by name, for all clients that share it.
    """
    settings = _settings(config)
    hide = hide_of(settings.greylist)
    parts = {hide(one) for one in meant(text, settings)}

    async def work(store: Store) -> int:
        others = await known_as(store, text, hide) - parts
        if others and hide is records.plain:
            tell(f"{text} is also known as {', '.join(sorted(others))}, which is kept", err=True)
        keys = [
            record.key
            async for record in scan(store, ("triplet", "client"))
            if parts & set(record.parts)
        ]
        await asyncio.gather(*(store.update((key,), lambda _: ([None], None)) for key in keys))
        return len(keys)

    count = run(settings.store, work)
    click.echo(f"{counted(count, 'record')} forgotten. {MOMENT}")
    if not count:
        sys.exit(1)


@greylist.command("export")
@configuration.config_option
@_kinds
def export_records(config: Path | None, kinds: tuple[str, ...]) -> None:
    """Print all records, one JSON object per line."""
    settings = _settings(config)

    async def work(store: Store) -> None:
        async for record in scan(store, kinds):
            click.echo(json.dumps(record.as_json(), separators=(",", ":")))

    run(settings.store, work)


@greylist.command("import")
@click.argument("file", type=click.File("r", encoding="utf-8"), default="-")
@configuration.config_option
def import_records(file: TextIO, config: Path | None) -> None:
    """Import records that `gatepost greylist export` has written.

    They are read from FILE or standard input, and merged with existing records: the earliest first
    attempt and the latest last attempt are kept.
    """
    settings = _settings(config)
    hide = hide_of(settings.greylist)
    entries = [_read_line(number, line, hide) for number, line in enumerate(file, 1)]
    count = write_entries(settings, (entry for entry in entries if entry is not None))
    click.echo(f"{counted(count, 'record')} read. {MOMENT}", err=True)


def write_entries(settings: PolicydSettings, entries: Iterable[tuple[str, StoreEntry]]) -> int:
    """Merge entries into the store; returns how many."""

    async def work(store: Store) -> int:
        count, waiting = 0, iter(entries)
        while some := list(islice(waiting, AT_ONCE)):
            await asyncio.gather(
                *(store.update((key,), _merging(key, entry)) for key, entry in some)
            )
            count += len(some)
        return count

    return run(settings.store, work, once=False)


def _merging(key: str, entry: StoreEntry) -> Any:
    def change(known: Known) -> tuple[Known, None]:
        old = known[0]
        return [entry if old is None else records.merge(key, entry, old)], None

    return change


def _settings(config: Path | None) -> PolicydSettings:
    return configuration.read_if_any(config, PolicydFile).model.policyd


def _show(record: ExportedRecord, settings: PolicydSettings) -> None:
    now = int(time.time())
    state = record.state(rules_of(settings.greylist), now)
    known = record.known
    seen = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(known.last))
    who = "  ".join(part or "<>" for part in record.parts)
    tell(f"{record.kind}  {who}  {state}, last seen {seen}")


def _read_line(number: int, line: str, hide: records.Hide) -> tuple[str, StoreEntry] | None:
    if not line.strip():
        return None
    try:
        item = json.loads(line)
        _check_parts(item)
        expires = int(item["expires"])
        if item["kind"] == "client":
            client = ClientRecord(int(item["returns"]), int(item["last"]))
            return _client_key(hide, item), StoreEntry(records.client_value(client), expires)
        triplet = TripletRecord(int(item["first"]), int(item["last"]), int(item["passed"]))
        return _triplet_key(hide, item), StoreEntry(records.triplet_value(triplet), expires)
    except (ValueError, KeyError, TypeError) as error:
        raise click.ClickException(f"line {number}: not a record: {error}") from None


def _check_parts(item: object) -> None:
    """Refuse parts that cannot be in a key; raises `ValueError` or `TypeError`."""
    if not isinstance(item, dict):
        raise TypeError("not an object")
    if item["kind"] not in ("triplet", "client"):
        raise ValueError(f"{item['kind']!r} is neither triplet nor client")
    for name in ("client", "sender", "recipient"):
        part = item.get(name, "")
        if not isinstance(part, str):
            raise TypeError(f"{name} is not text")
        if "\n" in part or "\0" in part:
            raise ValueError(f"{name} has a line feed or NUL")
        part.encode()  # a lone surrogate cannot be stored


def _client_key(hide: records.Hide, item: dict[str, str]) -> str:
    # a record exported in privacy mode is hashed already
    return records.client_key(_once(hide, item["client"]), item["client"])


def _triplet_key(hide: records.Hide, item: dict[str, str]) -> str:
    return records.triplet_key(
        _once(hide, item["client"]), item["client"], item["sender"], item["recipient"]
    )


def _once(hide: records.Hide, client: str) -> records.Hide:
    return hide if ":" in client else records.plain
