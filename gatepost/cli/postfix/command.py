"""`gatepost config check --postfix`: the findings, a line each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gatepost.cli.configuration import Configuration
from gatepost.cli.postfix.check import findings
from gatepost.cli.postfix.finding import Finding
from gatepost.cli.postfix.ours import Gatepost
from gatepost.cli.postfix.postconf import Postconf


def look(model: Configuration, program: str, folder: Path | None) -> Sequence[Finding]:
    """Read the Postfix that `postconf` knows and judge it; raises `StartError`."""
    return findings(Postconf(program, folder).read(), gatepost_of(model))


def gatepost_of(model: Configuration) -> Gatepost:
    """What a Postfix has to know of this configuration.

    A daemon without a section is not missed in main.cf, unless neither has one.
    """
    sections = model.model_fields_set & {"milters", "policyd"}
    return Gatepost(
        milters=model.milters.listen,
        submission=model.milters.submission_listen,
        policyd=model.policyd.listen,
        has_milters=not sections or "milters" in sections,
        has_policyd=not sections or "policyd" in sections,
        milters_budget=model.milters.verify.dns_budget,
        policyd_budget=model.policyd.budget,
        daemon_names=model.milters.sign.daemon_names,
    )
