"""`gatepost accounts import`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from accounts.cli.datastore import Datastore, opened
from accounts.cli.options import json_option
from accounts.cli.output import print_json
from accounts.exchange.apply import ImportOutcome, ImportRefused, import_document
from accounts.exchange.document import LARGEST, Document
from accounts.exchange.notes import Reading, SourceError
from accounts.exchange.plan_text import plan_lines
from accounts.exchange.planned import PlannedChange, counts
from accounts.exchange.sources import SOURCES, read_source
from accounts.passwords import Password, PasswordSettings, hash_password
from gatepost.cli.configuration import config_option
from gatepost.cli.output import tell
from gatepost.config.types import SecretFile, parse_size

_SOURCES = "\n".join(f"  {name}:\n    {text}" for name, text in SOURCES.items())
_NO_LOGIN = "{SSHA512}" + "A" * 104
"""Placeholder for the hash of a password in clear text during a dry run."""


class _Size(click.ParamType):  # type: ignore[type-arg]  # click before 8.5 has none
    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return int(value if isinstance(value, int) else parse_size(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command(
    name="import",
    help="Import accounts from another system, or an export.\n\nPrints the changes as a diff: + is "
    "added, ~ is changed, ! is refused. One transaction makes all changes or none. Nothing is ever "
    "removed, and importing the same source again changes nothing. Notes about everything that is "
    "left out or changed go to standard error.\n\nCreates the datastore if it is a file that does "
    f"not exist.\n\n\b\nKIND and its SOURCE:\n{_SOURCES}",
)
@click.argument("kind", type=click.Choice(list(SOURCES)), metavar="KIND")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option("--dry-run", is_flag=True, help="Print the diff without changing anything.")
@click.option("--partly", is_flag=True, help="Skip refused changes and make the others.")
@click.option(
    "--keep-passwords",
    is_flag=True,
    help="Keep the passwords of existing mailboxes.",
)
@click.option("--origin", metavar="DOMAIN", help="The domain to add to names without one.")
@click.option(
    "--database-password-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File with the password for the database in SOURCE.",
)
@click.option("--largest", type=_Size(), default=LARGEST, help="Maximum size of an export.")
@config_option
@json_option
def import_(
    kind: str,
    sources: Sequence[str],
    dry_run: bool,
    partly: bool,
    keep_passwords: bool,
    origin: str | None,
    database_password_file: Path | None,
    largest: int,
    config: Path | None,
    as_json: bool,
) -> None:
    """See `help` above."""
    reading = _read(kind, sources, origin, database_password_file, largest)
    if not as_json:
        for note in reading.notes:
            tell(str(note), err=True)
    # a dry run must not create anything
    with opened(config, make=not dry_run) as store:
        outcome, is_done = _imported(
            store, reading.document, dry_run=dry_run, partly=partly, keep_passwords=keep_passwords
        )
    if as_json:
        print_json(_data(outcome, reading, is_done=is_done))
    else:
        for line in _lines(outcome, "" if is_done else "to be "):
            click.echo(line)
        if not is_done:
            click.echo("nothing was changed", err=True)
    if outcome.refused:
        raise SystemExit(1)


def _read(
    kind: str, sources: Sequence[str], origin: str | None, file: Path | None, largest: int
) -> Reading:
    try:
        password = None if file is None else SecretFile(file).read_text()
        return read_source(kind, sources, origin=origin, password=password, largest=largest)
    except SourceError as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"cannot read {error.filename}: {error.strerror}") from None
    except ValueError as error:
        raise click.ClickException(str(error)) from None


def _imported(
    store: Datastore, document: Document, *, dry_run: bool, partly: bool, keep_passwords: bool
) -> tuple[ImportOutcome, bool]:
    """Return the outcome of the import, and whether it was written."""
    seal = store.seal()

    def hashed(clear: str) -> str:
        return _NO_LOGIN if dry_run else _hash(clear, store.passwords)

    def work(write: Any) -> ImportOutcome:
        return import_document(
            write,
            document,
            seal,
            hashed,
            passwords="datastore" if keep_passwords else "source",
            partly=partly or dry_run,
        )

    if dry_run:
        return store.rehearse(work), False
    try:
        return store.write(work), True
    except ImportRefused as error:
        return error.outcome, False


def _hash(clear: str, settings: PasswordSettings) -> str:
    return hash_password(Password(clear), settings)


def _changes(outcome: ImportOutcome) -> tuple[PlannedChange, ...]:
    return (*outcome.done, *outcome.refused)


def _lines(outcome: ImportOutcome, when: str) -> Iterator[str]:
    *lines, _ = plan_lines(_changes(outcome))
    yield from lines
    found = counts(_changes(outcome))
    yield (
        f"{found['add']} {when}added, {found['change']} {when}changed, {outcome.kept} unchanged, "
        f"{found['conflict']} refused"
    )


def _data(outcome: ImportOutcome, reading: Reading, *, is_done: bool) -> dict[str, Any]:
    """Return the result for JSON, without secrets."""
    return {
        "written": is_done,
        "kept": outcome.kept,
        "changes": [_change(one) for one in _changes(outcome)],
        "notes": [
            {"kind": note.kind, "place": str(note.place), "text": note.text}
            for note in reading.notes
        ],
    }


def _change(one: PlannedChange) -> dict[str, Any]:
    return {
        "action": one.action,
        "kind": one.kind,
        "name": one.name,
        "owner": one.owner or None,
        "reason": one.reason or None,
        "fields": [
            {"field": each.field, "is_secret": True}
            if each.is_secret
            else {"field": each.field, "before": each.before, "after": each.after}
            for each in one.differences
        ],
    }
