"""A group of commands that are imported only when they run."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from keyword import iskeyword
from types import ModuleType
from typing import Any

import click

from gatepost.printable import escape_lines

_EXTRAS = frozenset({"accounts"})
"""Packages of ours with requirements of their own, which an extra of the same name installs."""


class CommandTable(click.Group):
    """A group whose commands are in a table: word, module, one line of help.

    The module has a click command named by the word, with underscores for hyphens; a Python keyword
    such as `import` gets a trailing underscore.
    """

    def __init__(
        self, *args: Any, table: Mapping[str, tuple[str, str]] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.table = dict(table or {})

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 # click's signature
        """Return the words in the order of the table."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the module of the command and return it."""
        if cmd_name not in self.table:
            return None
        module = self._module(cmd_name)
        name = cmd_name.replace("-", "_")
        command = getattr(module, f"{name}_" if iskeyword(name) else name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{module.__name__}.{cmd_name} is not a command")
        return command

    def _module(self, word: str) -> ModuleType:
        name = self.table[word][0]
        extra = name.partition(".")[0]
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            missing = (error.name or "").partition(".")[0]
            if extra not in _EXTRAS or missing == extra:
                raise
            raise click.ClickException(
                f"`{word}` needs {missing}, which is not installed: "
                f"run pip install '.[{extra}]' in the checkout"
            ) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; the text of its error is escaped for the terminal."""
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            vars(error)["message"] = escape_lines(error.message)  # final only for type checkers
            raise

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve like click, and suggest the word that was perhaps meant."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            close = difflib.get_close_matches(args[0], self.table, 1)
            if not close or repr(close[0]) in error.message:
                raise
            raise click.UsageError(f"{error.message} Did you mean {close[0]!r}?", ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(word, text) for word, (_, text) in self.table.items()])
