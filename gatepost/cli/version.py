"""`gatepost version`."""

from __future__ import annotations

import importlib.metadata
import platform

import click

from gatepost.version import __version__

_LIBRARIES = ("cryptography", "dnspython", "pydantic", "uvloop")


@click.command()
def version() -> None:
    """Show the versions of Gatepost, Python and the main libraries.

    Include them in a bug report.
    """
    click.echo(f"gatepost {__version__}")
    click.echo(f"python {platform.python_version()}")
    for library in _LIBRARIES:
        click.echo(f"{library} {importlib.metadata.version(library)}")
