"""Output of commands that contains outside data: mail, DNS, file names."""

from __future__ import annotations

import click

from gatepost.printable import escape


def tell(line: str, *, err: bool = False) -> None:
    """Print one line without control characters for the terminal."""
    click.echo(escape(line), err=err)


def counted(number: int, noun: str) -> str:
    """Return the number with its noun in the plural: ``1 record``, ``2 boxes``, ``0 entries``."""
    if number == 1:
        return f"{number} {noun}"
    if noun.endswith("y") and noun[-2:-1] not in "aeou":
        return f"{number} {noun[:-1]}ies"
    return f"{number} {noun}{'es' if noun.endswith(('s', 'x')) else 's'}"
