"""Checks that Postfix queries the policy server, and at the right place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gatepost.cli.postfix.finding import Level, PostfixFinding, set_line
from gatepost.cli.postfix.lists import split
from gatepost.cli.postfix.origins import is_public
from gatepost.cli.postfix.ours import Gatepost, as_postfix_writes, leads_to
from gatepost.cli.postfix.restrictions import BEFORE_MESSAGE, RECIPIENT, RELAY, Restriction, steps
from gatepost.cli.postfix.settings import Installation, MasterService, seconds

_TIMEOUT = "smtpd_policy_service_timeout"
_ACTION = "smtpd_policy_service_default_action"
_GUARD = "reject_unauth_destination"


@dataclass(frozen=True, slots=True)
class _Question:
    service: MasterService
    parameter: str
    step: Restriction


def findings(
    postfix: Installation, gatepost: Gatepost, services: Iterable[MasterService]
) -> Iterator[PostfixFinding]:
    """Yield mistakes in Postfix's use of the policy server."""
    facing = list(services)
    ours: list[_Question] = []
    others: list[_Question] = []
    for service in facing:
        for parameter, step in steps(service.values):
            if step.argument is None:
                continue
            question = _Question(service, parameter, step)
            is_ours = leads_to(step.argument.address, gatepost.policyd, postfix, service)
            (ours if is_ours else others).append(question)
    yield from _unasked(postfix, gatepost, facing, ours, others)
    for question in ours:
        yield from _order(postfix, question)
        yield from _options(postfix, gatepost, question)


def _unasked(
    postfix: Installation,
    gatepost: Gatepost,
    facing: Iterable[MasterService],
    ours: list[_Question],
    others: list[_Question],
) -> Iterator[PostfixFinding]:
    if not ours and not gatepost.has_policyd:
        return
    asking = {question.service.label for question in ours}
    for service in filter(is_public, facing):
        if service.label in asking:
            continue
        named = [one for one in others if one.service is service and one.step.argument]
        addresses = ", ".join(one.step.argument.address for one in named if one.step.argument)
        listens = ", ".join(one.postfix for one in gatepost.policyd)
        address = as_postfix_writes(gatepost.policyd[0], postfix, service)
        yield PostfixFinding(
            "warning",
            postfix.where(service, RECIPIENT),
            RECIPIENT,
            f"it queries {addresses}, but [policyd] listens on {listens}: the policy server is "
            f"not queried about mail through {service.name}"
            if named
            else f"the policy server is not queried about mail through {service.name}",
            f'put "check_policy_service {address}" after {_GUARD}',
        )


def _order(postfix: Installation, question: _Question) -> Iterator[PostfixFinding]:
    service, parameter, step = question.service, question.parameter, question.step
    address = step.argument.address if step.argument else ""
    where = postfix.where(service, parameter)
    if not step.is_reached:
        yield PostfixFinding(
            "error",
            where,
            parameter,
            f"check_policy_service {address} comes after a restriction that always decides, and "
            "is never queried",
            "put it before permit, reject or defer",
        )
    elif not step.is_guarded and parameter in (*BEFORE_MESSAGE, RELAY, RECIPIENT):
        yield PostfixFinding(
            "error",
            where,
            parameter,
            f"check_policy_service {address} comes before {_GUARD}: the server is queried about "
            "mail from strangers to strangers, and an answer OK would relay it",
            f"put it after {_GUARD} in {RECIPIENT}",
        )


def _options(
    postfix: Installation, gatepost: Gatepost, question: _Question
) -> Iterator[PostfixFinding]:
    service, argument = question.service, question.step.argument
    options = argument.options if argument else {}
    own = options.get("timeout")
    value = own or service.values.get(_TIMEOUT, "100s")
    limit = seconds(value)
    if limit is not None and limit <= gatepost.policyd_budget:
        parameter = question.parameter if own else _TIMEOUT
        yield PostfixFinding(
            "warning",
            postfix.where(service, parameter),
            parameter,
            f"Postfix waits {value} for an answer, but budget in [policyd] allows "
            f"{gatepost.policyd_budget:g} s",
            f'write "timeout={gatepost.policyd_budget + 5:g}s"'
            if own
            else set_line(_TIMEOUT, "100s"),
        )
    own = options.get("default_action")
    action = own or service.values.get(_ACTION, "451")
    word = (split(action) or [""])[0].upper()
    level: Level
    if word in ("OK", "PERMIT"):
        level, why = "error", "while the policy server is down, every recipient is accepted"
    elif word == "REJECT" or (word[:1] == "5" and word.isdecimal()):
        level, why = "error", "while the policy server is down, mail is rejected"
    else:
        return
    parameter = question.parameter if own else _ACTION
    yield PostfixFinding(
        level,
        postfix.where(service, parameter),
        parameter,
        f"default_action={action}: {why}" if own else f"it is {action}: {why}",
        'write "default_action=DUNNO" to continue without it, or remove it to defer'
        if own
        else set_line(_ACTION, "451 4.3.5 Server configuration problem"),
    )
