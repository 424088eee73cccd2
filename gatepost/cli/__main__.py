"""`gatepost`: the table of its commands, and how their errors are told.

Each command is a module of its own, imported only when it is called.
"""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from keyword import iskeyword
from typing import Any

import click

from gatepost.config import ConfigError
from gatepost.errors import StartError
from gatepost.printable import escape, escape_lines
from gatepost.version import __version__

COMMANDS = {
    "milters": ("gatepost.cli.milters", "Run the milter: sign and verify mail."),
    "auth": ("gatepost.cli.auth", "Verify and sign a stored message, check SPF and DMARC."),
    "config": ("gatepost.cli.config", "Check and show the configuration."),
    "import": ("gatepost.cli.imports", "Take over from opendkim and postgrey."),
    "keys": ("gatepost.cli.keys", "Make, publish, check and retire signing keys."),
    "greylist": ("gatepost.cli.greylist", "See what the greylist knows, and change it."),
    "dnslist": ("gatepost.cli.dnslist", "Ask and test the configured DNS lists."),
    "policyd": ("gatepost.cli.policyd", "Run the policy server, or ask what it would say."),
    "probe": ("gatepost.cli.probe", "Shake hands with a milter, policy or SMTP server."),
    "version": ("gatepost.cli.version", "Show the version of Gatepost and of what it runs on."),
}
"""Word: the module that has a click command of that name, and what `gatepost --help` says of it."""


class CommandTable(click.Group):
    """A group whose commands are looked up in `COMMANDS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The words in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of the command and return it."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[cmd_name][0])
        # a word of Python, as "import", has an underscore behind it
        command = getattr(module, f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{module.__name__}.{cmd_name} is no command")
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; the text of its error does nothing to the terminal."""
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            vars(error)["message"] = escape_lines(error.message)  # final for type checkers alone
            raise

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the word that was perhaps meant."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            close = difflib.get_close_matches(args[0], COMMANDS, 1)
            if not close or close[0] in error.message:
                raise
            raise click.UsageError(f"{error.message} Did you mean {close[0]!r}?", ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(word, text) for word, (_, text) in COMMANDS.items()])


@click.command(cls=CommandTable, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gatepost")
def gatepost() -> None:
    """Gatepost stands at the gate of a Postfix mail system.

    \b
    In main.cf:
      smtpd_milters = inet:127.0.0.1:8891
      smtpd_recipient_restrictions = ..., reject_unauth_destination,
          check_policy_service inet:127.0.0.1:10023
      smtpd_forbid_bare_newline = normalize
      smtpd_data_restrictions = reject_unauth_pipelining

    Every command has a --help of its own.
    """


def main() -> None:
    """Run the command; what the administrator can mend is told in a line each, without traceback.

    Exit status: 0 done, 1 it cannot be done (the line says why), 2 wrong usage or configuration.
    """
    _have_standard_streams()
    try:
        gatepost()
    except ConfigError as error:
        for problem in error.problems:
            click.echo(f"gatepost: {escape(str(problem))}", err=True)
        sys.exit(2)
    except StartError as error:
        click.echo(f"gatepost: {escape_lines(str(error))}", err=True)
        sys.exit(1)


def _have_standard_streams() -> None:
    """Put /dev/null where a standard stream is closed, or the next file opened takes its place."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    sys.stdin = sys.stdin or open(0)  # noqa: SIM115
    sys.stdout = sys.stdout or open(1, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w")  # noqa: SIM115


if __name__ == "__main__":
    main()
