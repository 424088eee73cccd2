"""Output of commands that contains data of others: mail, DNS, file names."""

from __future__ import annotations

import click

from gatepost.printable import escape


def tell(line: str, *, err: bool = False) -> None:
    """Print one line, which does nothing to the terminal whatever is in it."""
    click.echo(escape(line), err=err)
