"""Output of commands that contains outside data: mail, DNS, file names."""

from __future__ import annotations

import click

from gatepost.printable import escape


def tell(line: str, *, err: bool = False) -> None:
    """Print one line without control characters for the terminal."""
    click.echo(escape(line), err=err)


def counted(number: int, noun: str) -> str:
    """Return the number with its noun, which takes an s unless there is one: ``1 record``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
