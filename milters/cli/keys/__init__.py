"""`gatepost keys`: commands for signing keys, from creation to revocation."""

from __future__ import annotations

import click

from milters.cli.keys.check import activate, check
from milters.cli.keys.discard import discard
from milters.cli.keys.end import retire, revoke
from milters.cli.keys.new import list_keys, new
from milters.cli.keys.options import KeyCommands
from milters.cli.keys.publish import publish


@click.group(cls=KeyCommands)
def keys() -> None:
    """Make, publish, check and retire signing keys.

    \b
    The life of a key:
      gatepost keys new example.org           make it
      gatepost keys publish example.org       print its record, or put it into DNS
      gatepost keys check example.org         see whether every name server has it
      gatepost keys activate example.org      sign with it, and retire the old key
      gatepost keys revoke example.org OLD    revoke the old key, a week later

    `gatepost keys discard example.org NEW` deletes a new key that was made by mistake.
    """


for command in (new, list_keys, publish, check, activate, retire, revoke, discard):
    keys.add_command(command)
