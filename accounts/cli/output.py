"""Output of objects: text for people, JSON for programs, never a secret."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import click

from accounts.cli.layout import field_lines, table_lines
from gatepost.cli.output import tell

T = TypeVar("T")


def print_json(data: Any) -> None:
    """Print one value as JSON in ASCII, which is safe in every terminal and locale."""
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
    """Print a message, or the result as JSON."""
    if as_json:
        print_json(data)
    else:
        tell(text)
