"""New passwords, from a prompt on the terminal, a file, or standard input."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from accounts.passwords import Password
from accounts.passwords.secret import MAX_OCTETS

_STDIN = Path("-")


def new_password(file: Path | None) -> str:
    """Return a new password, without any check of its strength.

    It is read from `file`, or asked for on a terminal, or else read from standard input. Raises
    `PasswordError` if it cannot be a password.
    """
    return Password(_given(file)).text


def _given(file: Path | None) -> str | bytes:
    if file is None and sys.stdin.isatty():
        asked: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return asked
    if file is None or file == _STDIN:
        return _one_line(sys.stdin.buffer.read(MAX_OCTETS + 3))
    try:
        with file.open("rb") as opened:
            return _one_line(opened.read(MAX_OCTETS + 3))
    except OSError as error:
        raise click.ClickException(f"cannot read {file}: {error.strerror}") from None


def _one_line(octets: bytes) -> bytes:
    line = octets.removesuffix(b"\n").removesuffix(b"\r")
    if b"\n" in line:
        raise click.ClickException("the password must be the only line")
    return line
