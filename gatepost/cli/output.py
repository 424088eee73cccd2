"""Output of commands that contains outside data: mail, DNS, file names."""

from __future__ import annotations

import click

from gatepost.printable import escape


def tell(line: str, *, err: bool = False) -> None:
    """Print one line without control characters for the terminal."""
    click.echo(escape(line), err=err)


def counted(number: int, noun: str) -> str:
    """Return the number with its noun, which takes an s, or es after s and x: ``1 record``."""
    ending = "" if number == 1 else "es" if noun.endswith(("s", "x")) else "s"
    return f"{number} {noun}{ending}"
