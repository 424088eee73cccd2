"""Checks that Postfix does not present strangers' mail as ours, which would be signed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gatepost.cli.postfix.finding import PostfixFinding
from gatepost.cli.postfix.lists import endpoint, split
from gatepost.cli.postfix.milters import SMTPD
from gatepost.cli.postfix.ours import Gatepost, leads_to
from gatepost.cli.postfix.settings import Installation, MasterService

_NAME = "milter_macro_daemon_name"
_DEFAULTS = "milter_macro_defaults"
_PUBLIC = ("smtp", "25")


def findings(
    postfix: Installation, gatepost: Gatepost, services: Iterable[MasterService]
) -> Iterator[PostfixFinding]:
    """Yield settings by which mail of strangers is signed, and names of missing services."""
    facing = list(services)
    for service in facing:
        yield from _defaults(postfix, service)
        if not is_public(service):
            continue
        for item in split(service.values.get(SMTPD, "")):
            address = endpoint(item).address
            if leads_to(address, gatepost.submission, postfix, service):
                yield PostfixFinding(
                    "error",
                    postfix.where(service, SMTPD),
                    SMTPD,
                    f"{address} is in submission_listen, so mail from strangers through "
                    f"{service.name} is signed",
                    "use an address of listen instead",
                )
        if service.values.get(_NAME) in gatepost.daemon_names:
            yield PostfixFinding(
                "error",
                postfix.where(service, _NAME),
                _NAME,
                f"{service.values[_NAME]} is in sign.daemon_names, so mail from strangers through "
                f"{service.name} is signed",
                "give the name only to the submission services",
            )
    known = {service.values.get(_NAME, "") for service in facing}
    for name in gatepost.daemon_names:
        if name not in known:
            yield PostfixFinding(
                "warning",
                "master.cf",
                _NAME,
                f"sign.daemon_names has {name}, but no service has this name",
                f'write "-o {_NAME}={name}" below the submission service',
            )


def _defaults(postfix: Installation, service: MasterService) -> Iterator[PostfixFinding]:
    # The milter asks for the macros that it needs, whatever main.cf lists; a default counts.
    for item in split(service.values.get(_DEFAULTS, "")):
        name = item.removeprefix("{").partition("=")[0].strip().strip("{}").strip()
        if name == "auth_authen":
            yield PostfixFinding(
                "error",
                postfix.where(service, _DEFAULTS),
                _DEFAULTS,
                "auth_authen has a default, so every stranger counts as logged in and their mail "
                "is "
                "signed",
                "remove auth_authen",
            )


def is_public(service: MasterService) -> bool:
    """Return whether it accepts mail from the Internet: port 25, or connections from postscreen."""
    return service.type == "pass" or service.name.rpartition(":")[2] in _PUBLIC
