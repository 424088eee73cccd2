"""`gatepost accounts`: the service, and commands for its whole datastore."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click

from gatepost.cli import configuration
from gatepost.cli.table import CommandTable
from gatepost.config import GroundSettings
from gatepost.errors import StartError

COMMANDS = {
    "migrate": ("accounts.cli.migrate", "Create the tables, or bring them to this version."),
    "import": ("accounts.cli.imports", "Import accounts from another system, or an export."),
    "export": ("accounts.cli.exports", "Write everything to a file that can be imported."),
    "backup": ("accounts.cli.backup", "Write all data to a file while the service runs."),
    "restore": ("accounts.cli.restore", "Replace all data with those of a backup."),
    "reseal": ("accounts.cli.reseal", "Encrypt all secrets with a new key of the key file."),
    "demo": ("accounts.cli.demo", "Add a domain with users, to try a new system."),
}
"""Modules with the click command of each name, and its line of help."""


@click.group(cls=CommandTable, table=COMMANDS, invoke_without_command=True)
@configuration.config_option
@click.option(
    "--migrate",
    is_flag=True,
    help="First create the tables, or bring them to this version, like `gatepost accounts "
    "migrate`.",
)
@click.pass_context
def accounts(ctx: click.Context, config: Path | None, migrate: bool) -> None:
    """Run the service for domains, mailboxes and aliases.

    \b
    In main.cf:
      virtual_mailbox_domains = socketmap:inet:127.0.0.1:10030:domains
      virtual_mailbox_maps = socketmap:inet:127.0.0.1:10030:mailboxes
      virtual_alias_maps = socketmap:inet:127.0.0.1:10030:aliases
      smtpd_sender_login_maps = socketmap:inet:127.0.0.1:10030:senders
      smtpd_sasl_type = dovecot
      smtpd_sasl_path = inet:127.0.0.1:12345

    SIGHUP, or a change of its files, reloads the configuration; SIGTERM answers the requests in
    progress and stops.
    """
    ctx.ensure_object(dict)["config"] = config
    if ctx.invoked_subcommand is not None:
        return
    if migrate:
        _migrate(config)
    from accounts.settings import AccountsFile, AccountsSettings

    def load() -> tuple[GroundSettings, AccountsSettings]:
        model = configuration.read_if_any(config, AccountsFile).model
        return model, model.accounts

    try:
        from accounts.service import serve
    except ModuleNotFoundError as error:
        raise StartError(
            f"`gatepost accounts` needs {error.name}, which is not installed: "
            "run pip install '.[accounts]' in the checkout"
        ) from None
    sys.exit(serve(load, config or configuration.DEFAULT_PATH))


def _migrate(config: Path | None) -> None:
    """Migrate in a process of its own, whose libraries the service does not need.

    Exits if that fails.
    """
    options = () if config is None else ("--config", str(config))
    # -P: "-m" looks in the working directory first, which may be anybody's
    command = [sys.executable, "-P", "-m", "gatepost.cli", "accounts", "migrate", *options]
    if status := subprocess.run(command, check=False).returncode:
        sys.exit(status)
