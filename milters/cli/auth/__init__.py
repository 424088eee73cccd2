"""`gatepost auth`: what the milter would find and do, by hand and offline."""

from __future__ import annotations

import click

from milters.cli.auth.lookups import dmarc, spf
from milters.cli.auth.messages import sign, verify


@click.group()
def auth() -> None:
    """Verify and sign a stored message, check SPF, look up DMARC: the milter's own verdict.

    \b
    With --dns FILE the answers come from a zone file, and nothing is asked:
      ["example.org"]
      TXT = "v=spf1 ip4:192.0.2.1 -all"
    """


for command in (verify, sign, spf, dmarc):
    auth.add_command(command)
