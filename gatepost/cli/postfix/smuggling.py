"""Checks against SMTP smuggling: a second message hidden inside one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gatepost.cli.postfix.finding import PostfixFinding, set_line
from gatepost.cli.postfix.restrictions import steps
from gatepost.cli.postfix.settings import Installation, MasterService

_BARE = "smtpd_forbid_bare_newline"
_DATA = "smtpd_data_restrictions"
_PIPELINING = "reject_unauth_pipelining"
_FORBID = "smtpd_forbid_unauth_pipelining"


def findings(postfix: Installation, services: Iterable[MasterService]) -> Iterator[PostfixFinding]:
    """Yield settings that let a stranger's message smuggle in a second one."""
    for service in services:
        yield from _bare_newlines(postfix, service)
        yield from _pipelining(postfix, service)


def _bare_newlines(postfix: Installation, service: MasterService) -> Iterator[PostfixFinding]:
    value = service.values.get(_BARE)
    if value is None:
        yield PostfixFinding(
            "error",
            "main.cf",
            _BARE,
            "this Postfix is older than 3.5.23, 3.6.13, 3.7.9 and 3.8.4 and cannot prevent SMTP "
            "smuggling",
            "install a newer one, and until then write "
            f'"{_DATA} = {_PIPELINING}" and "smtpd_discard_ehlo_keywords = chunking"',
        )
    elif value.lower() not in ("normalize", "yes", "reject"):
        # the first versions with the parameter only know yes and no
        right = "normalize" if f"{_BARE}_reject_code" in service.values else "yes"
        yield PostfixFinding(
            "error",
            postfix.where(service, _BARE),
            _BARE,
            f"it is {value or 'empty'}, so a stranger can hide a second message, from anybody, in "
            "their own (SMTP smuggling)",
            set_line(_BARE, right),
        )


def _pipelining(postfix: Installation, service: MasterService) -> Iterator[PostfixFinding]:
    if service.values.get(_FORBID, "no").lower() == "yes":
        return
    own = [step for parameter, step in steps(service.values) if parameter == _DATA]
    there = [step for step in own if step.name == _PIPELINING]
    if any(step.is_reached for step in there):
        return
    value = service.values.get(_DATA, "")
    why = "it comes after a restriction that always decides" if there else "it is missing"
    yield PostfixFinding(
        "warning",
        postfix.where(service, _DATA),
        _DATA,
        f"{_PIPELINING}: {why}; a client that pipelines too early is not refused",
        set_line(_DATA, ", ".join(filter(None, (_PIPELINING, "" if there else value)))),
    )
