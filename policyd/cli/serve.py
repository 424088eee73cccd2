"""`gatepost policyd`: the policy server, and requests to it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gatepost.cli import configuration
from gatepost.config import GroundSettings
from policyd.cli.ask import ask
from policyd.file import PolicydFile
from policyd.settings import PolicydSettings


@click.group(invoke_without_command=True)
@configuration.config_option
@click.pass_context
def policyd(ctx: click.Context, config: Path | None) -> None:
    """Run the policy server behind check_policy_service.

    \b
    In main.cf:
      smtpd_recipient_restrictions = ..., reject_unauth_destination,
          check_policy_service { unix:gatepost/policyd,
              timeout=10s, default_action=DUNNO }
      smtpd_forbid_bare_newline = normalize
      smtpd_data_restrictions = reject_unauth_pipelining

    SIGHUP, or a change of its files, reloads the configuration; SIGTERM answers the requests in
    progress and stops.
    """
    ctx.ensure_object(dict)["config"] = config
    if ctx.invoked_subcommand is not None:
        return
    from policyd.service import serve

    def load() -> tuple[GroundSettings, PolicydSettings]:
        model = configuration.read_if_any(config, PolicydFile).model
        return model, model.policyd

    sys.exit(serve(load, config or configuration.DEFAULT_PATH))


policyd.add_command(ask)
