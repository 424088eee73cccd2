"""`gatepost config check --postfix`: the findings about Postfix, one line each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gatepost.cli.configuration import daemons
from gatepost.cli.postfix.check import findings
from gatepost.cli.postfix.finding import PostfixFinding
from gatepost.cli.postfix.ours import Gatepost
from gatepost.cli.postfix.postconf import Postconf
from gatepost.config import GroundSettings


def look(model: GroundSettings, program: str, folder: Path | None) -> Sequence[PostfixFinding]:
    """Read the Postfix that `postconf` knows and judge it; raises `StartError`."""
    return findings(Postconf(program, folder).read(), _gatepost_of(model))


def _gatepost_of(model: GroundSettings) -> Gatepost:
    """Collect the parts of the configuration that Postfix must agree with.

    A daemon without a section is not expected in main.cf, unless no daemon has one.
    """
    found = daemons(model)
    any_is_written = any(daemon.is_written for daemon in found)
    known = Gatepost()
    for daemon in found:
        is_expected = daemon.is_written or not any_is_written
        known = daemon.section.tell_postfix(daemon.settings, known, is_expected=is_expected)
    return known
