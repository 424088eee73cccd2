"""`gatepost`: the table of its commands, and the output of their errors.

Each command is a module of its own, imported only when it is called.
"""

from __future__ import annotations

import os
import sys

import click

from gatepost.cli.table import CommandTable
from gatepost.errors import ConfigError, StartError
from gatepost.printable import escape, escape_lines
from gatepost.version import __version__

COMMANDS = {
    "milters": ("milters.cli.serve", "Run the milter: sign and verify mail."),
    "auth": ("milters.cli.auth", "Verify or sign a stored message, check SPF and DMARC."),
    "accounts": ("accounts.cli.accounts", "Run the service for domains, mailboxes and aliases."),
    "delivery": ("delivery.cli.serve", "Run the LMTP proxy: scan and mark mail, deliver it."),
    "spam": ("delivery.cli.spam", "Teach the spam filter, undo that, and explain scores."),
    "domain": ("accounts.cli.domain", "Add, show, change and check domains."),
    "user": ("accounts.cli.user", "Add, show and change mailboxes and their passwords."),
    "alias": ("accounts.cli.alias", "Add, show and change aliases."),
    "rule": ("accounts.cli.rule", "Add, show and change rules for arriving mail."),
    "personal-alias": (
        "accounts.cli.personal_alias",
        "Add, show and change aliases of the owner of a mailbox.",
    ),
    "app-password": ("accounts.cli.app_password", "Add and remove passwords for one program."),
    "second-factor": ("accounts.cli.second_factor", "Show and remove second factors of logins."),
    "remote": ("accounts.cli.remote", "Name accounts elsewhere that mail is fetched from."),
    "dkim": ("accounts.cli.dkim", "Add, activate and retire DKIM keys of the datastore."),
    "admin": ("accounts.cli.admin", "Add, show and change administrators."),
    "token": ("accounts.cli.token", "Add and remove tokens of the API."),
    "setup": ("accounts.cli.setup", "Accept the commands of docker-mailserver and docker-post."),
    "trace": ("accounts.cli.trace", "Tell what became of a mail, and what to do next."),
    "quarantine": ("accounts.cli.quarantine", "Show, release and delete mail in quarantine."),
    "hold-queue": ("gatepost.cli.hold_queue", "Serve the hold queue of Postfix to accounts."),
    "postfix-watch": (
        "gatepost.cli.postfix_watch",
        "Report the queue and the deliveries of Postfix to accounts.",
    ),
    "config": ("gatepost.cli.config", "Check and show the configuration."),
    "backup": ("gatepost.cli.backup", "Back up the whole system while mail flows."),
    "restore": ("gatepost.cli.restore", "Check a backup, and put it back on an empty machine."),
    "import": ("gatepost.cli.imports", "Take over the configuration of opendkim or postgrey."),
    "keys": ("milters.cli.keys", "Make, publish, check and retire signing keys."),
    "greylist": ("policyd.cli.greylist", "Show and change the greylist."),
    "greylist-exception": (
        "accounts.cli.greylist_exception",
        "Exempt servers and senders from the greylist.",
    ),
    "dnslist": ("policyd.cli.dnslist", "Query and test the configured DNS lists."),
    "policyd": ("policyd.cli.serve", "Run the policy server, or ask it about a request."),
    "probe": ("gatepost.cli.probe", "Check that a daemon or an SMTP server answers."),
    "version": ("gatepost.cli.version", "Show the versions of Gatepost and its libraries."),
}
"""Word: the module with the click command of that name, and its line in `gatepost --help`."""


@click.command(
    cls=CommandTable, table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="gatepost")
def gatepost() -> None:
    """Gatepost is a mail gate for Postfix: a milter, a policy server, accounts
    and delivery.

    \b
    In main.cf:
      smtpd_milters = unix:gatepost/milter
      non_smtpd_milters = unix:gatepost/milter
      milter_default_action = tempfail
      disable_mime_output_conversion = yes
      smtpd_recipient_restrictions = ..., reject_unauth_destination,
          check_policy_service unix:gatepost/policyd
      smtpd_forbid_bare_newline = normalize
      smtpd_data_restrictions = reject_unauth_pipelining

    Run `gatepost COMMAND --help` for the options of a command.
    """


def main() -> None:
    """Run the command; report errors that the administrator can fix in one line each, without
    traceback.

    Exit status: 0 success, 1 failure (the line says why), 2 wrong usage or configuration.
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
    """Open /dev/null for each closed standard stream, or the next opened file would take its
    place."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    sys.stdin = sys.stdin or open(0)  # noqa: SIM115
    sys.stdout = sys.stdout or open(1, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w")  # noqa: SIM115


if __name__ == "__main__":
    main()
