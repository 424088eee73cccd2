"""Objects as the commands print them: text for people, JSON for programs, never a secret."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields
from typing import Any, TypeVar

import click
from sqlalchemy import Connection

from accounts.cli.datastore import Datastore
from accounts.cli.layout import field_lines, table_lines
from accounts.directory.paging import MAX_PAGE
from gatepost.cli.output import tell

T = TypeVar("T")

_HIDDEN = frozenset({"id", "password"})


def as_data(one: Any, *, has_id: bool = False, **more: Any) -> dict[str, Any]:
    """Return the fields of an object as JSON has them, and `more`.

    A hash is left out; `has_password` says whether there is one. Times are seconds since the epoch.
    """
    data: dict[str, Any] = {"id": one.id} if has_id else {}
    for field in fields(one):
        value = getattr(one, field.name)
        if field.name == "password":
            data["has_password"] = value is not None
        elif field.name not in _HIDDEN:
            data[field.name] = list(value) if isinstance(value, tuple) else value
    return data | more


def print_json(data: Any) -> None:
    """Print one value as JSON in ASCII, which no terminal and no locale changes."""
    click.echo(json.dumps(data, indent=2))


def print_object(data: dict[str, Any], pairs: Iterable[tuple[str, str]], *, as_json: bool) -> None:
    """Print one object."""
    if as_json:
        print_json(data)
        return
    for line in field_lines(pairs):
        click.echo(line)


def print_list(
    objects: Iterable[T],
    heads: Sequence[str],
    row: Callable[[T], Sequence[str]],
    data: Callable[[T], Any],
    *,
    as_json: bool,
) -> None:
    """Print objects as a table, or as a list in JSON with a line for each."""
    if as_json:
        begin = "["
        for one in objects:
            click.echo(f"{begin}\n{json.dumps(data(one))}", nl=False)
            begin = ","
        click.echo("\n]" if begin == "," else "[]")
        return
    count = 0
    for line in table_lines(heads, map(row, objects)):
        click.echo(line)
        count += 1
    if not count:
        click.echo("(none)", err=True)


def print_done(text: str, data: Any, *, as_json: bool) -> None:
    """Print that something was done, or its result."""
    if as_json:
        print_json(data)
    else:
        tell(text)


def pages(
    store: Datastore,
    find: Callable[[Connection, Any, int], list[T]],
    key: Callable[[T], Any],
) -> Iterator[T]:
    """Yield the objects of all pages; `find` takes the key that a page begins behind."""
    after: Any = None
    while True:
        found = store.read(lambda connection, after=after: find(connection, after, MAX_PAGE))  # type: ignore[misc]
        yield from found
        if len(found) < MAX_PAGE:
            return
        after = key(found[-1])
