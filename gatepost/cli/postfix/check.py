"""All checks of a Postfix that uses Gatepost."""

from __future__ import annotations

from collections.abc import Sequence

from gatepost.cli.postfix import delivery, milters, origins, policy, smuggling
from gatepost.cli.postfix.finding import PostfixFinding
from gatepost.cli.postfix.ours import Gatepost
from gatepost.cli.postfix.settings import Installation, MasterService


def findings(postfix: Installation, gatepost: Gatepost) -> Sequence[PostfixFinding]:
    """Return every finding once, errors first."""
    facing = [one for one in postfix.running("smtpd") if _concerns(postfix, gatepost, one)]
    found = dict.fromkeys(
        (
            *smuggling.findings(postfix, facing),
            *milters.findings(postfix, gatepost, facing),
            *origins.findings(postfix, gatepost, facing),
            *policy.findings(postfix, gatepost, facing),
            *delivery.findings(postfix),
        )
    )
    return sorted(found, key=lambda finding: finding.level != "error")


def _concerns(postfix: Installation, gatepost: Gatepost, service: MasterService) -> bool:
    """Return whether mail enters Postfix through this service.

    Mail that a content filter returns (to a loopback port without the milter) was checked before.
    """
    return not service.is_internal or any(milters.uses(postfix, gatepost, [service], milters.SMTPD))
