"""`gatepost auth`: the checks and signatures of the milter, on the command line and offline."""

from __future__ import annotations

import click

from milters.cli.auth.lookups import dmarc, spf
from milters.cli.auth.messages import sign, verify


@click.group()
def auth() -> None:
    """Verify or sign a stored message, check SPF and DMARC.

    The verdicts are those of the milter.

    \b
    With --dns FILE all answers come from a zone file instead of the network:
      ["example.org"]
      TXT = "v=spf1 ip4:192.0.2.1 -all"
    """


for command in (verify, sign, spf, dmarc):
    auth.add_command(command)
