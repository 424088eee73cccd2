"""Checks that all mail passes the milter, and of Postfix's behaviour while it is down."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gatepost.cli.postfix.finding import Level, PostfixFinding, set_line
from gatepost.cli.postfix.lists import Endpoint, endpoint, split
from gatepost.cli.postfix.ours import Gatepost, as_postfix_writes, leads_to
from gatepost.cli.postfix.restrictions import is_for_own_networks
from gatepost.cli.postfix.settings import Installation, MasterService, seconds

SMTPD = "smtpd_milters"
OTHERS = "non_smtpd_milters"
_ACTION = "milter_default_action"
_PROTOCOL = "milter_protocol"
_TIMEOUT = "milter_content_timeout"
_SIZE = "message_size_limit"
_OVERRIDES = "receive_override_options"

_BAD_ACTIONS: dict[str, tuple[Level, str]] = {
    "accept": ("error", "while the milter is down, mail is sent unsigned and accepted unchecked"),
    "reject": ("error", "while the milter is down, mail is rejected instead of deferred"),
    "quarantine": ("warning", "while the milter is down, mail is held until somebody releases it"),
}


@dataclass(frozen=True, slots=True)
class Use:
    """A service that passes mail to the milter, with the parameter and its options."""

    service: MasterService
    parameter: str
    milter: Endpoint


def uses(
    postfix: Installation, gatepost: Gatepost, services: Iterable[MasterService], parameter: str
) -> Iterator[Use]:
    """Yield where these services name one of our addresses, unless they skip it."""
    for service in services:
        if _skips_milters(service):
            continue
        for item in split(service.values.get(parameter, "")):
            found = endpoint(item)
            if leads_to(found.address, gatepost.all_milters, postfix, service):
                yield Use(service, parameter, found)


def findings(
    postfix: Installation, gatepost: Gatepost, services: Iterable[MasterService]
) -> Iterator[PostfixFinding]:
    """Yield settings that let mail bypass the milter; `services` are the smtpd services reachable
    by others."""
    facing = list(services)
    smtpd = list(uses(postfix, gatepost, facing, SMTPD))
    cleanup = list(uses(postfix, gatepost, postfix.running("cleanup"), OTHERS))
    if not smtpd and not cleanup:
        if gatepost.has_milters:
            yield from _unused(postfix, gatepost, facing)
        return
    with_it = {use.service.label for use in smtpd}
    for service in facing:
        if service.label not in with_it:
            yield _passed_by(postfix, gatepost, service)
    if not cleanup:
        for service in postfix.running("cleanup"):
            yield PostfixFinding(
                "warning",
                postfix.where(service, OTHERS),
                OTHERS,
                "mail that local programs submit by sendmail(1) is not signed",
                _line(OTHERS, postfix, gatepost, service),
            )
    for service in postfix.running("pickup"):
        if cleanup and _skips_milters(service):
            yield PostfixFinding(
                "warning",
                postfix.where(service, _OVERRIDES),
                _OVERRIDES,
                "no_milters: mail submitted by sendmail(1) is not signed",
                "remove no_milters",
            )
    for use in (*smtpd, *cleanup):
        yield from _while_away(postfix, use)
        yield from _timeouts(postfix, gatepost, use)
        yield from _protocol(postfix, use)
    for use in smtpd:
        yield from _maps(postfix, use.service)
        yield from _scanned_size(postfix, gatepost, use.service)


def _skips_milters(service: MasterService) -> bool:
    return "no_milters" in split(service.values.get(_OVERRIDES, ""))


def _line(parameter: str, postfix: Installation, gatepost: Gatepost, service: MasterService) -> str:
    """Return the advice to name the milter, possibly besides others."""
    address = as_postfix_writes(gatepost.all_milters[0], postfix, service)
    beside = ", besides the other milters" if service.values.get(parameter) else ""
    return set_line(parameter, address) + beside


def _unused(
    postfix: Installation, gatepost: Gatepost, facing: Iterable[MasterService]
) -> Iterator[PostfixFinding]:
    for service in facing:
        value = service.values.get(SMTPD, "")
        if _skips_milters(service):
            yield _passed_by(postfix, gatepost, service)
            continue
        if is_for_own_networks(service.values):
            continue
        listens = ", ".join(one.postfix for one in gatepost.all_milters)
        yield PostfixFinding(
            "error",
            postfix.where(service, SMTPD),
            SMTPD,
            f"it is {value}, but [milters] listens on {listens}: no mail is signed or checked"
            if value
            else "it is empty: no mail is signed or checked",
            _line(SMTPD, postfix, gatepost, service),
        )


def _passed_by(postfix: Installation, gatepost: Gatepost, service: MasterService) -> PostfixFinding:
    # machines of our own may have a reason
    level: Level = "warning" if is_for_own_networks(service.values) else "error"
    if _skips_milters(service):
        return PostfixFinding(
            level,
            postfix.where(service, _OVERRIDES),
            _OVERRIDES,
            f"no_milters: mail through {service.name} is neither signed nor checked",
            "take no_milters out",
        )
    value = service.values.get(SMTPD, "")
    return PostfixFinding(
        level,
        postfix.where(service, SMTPD),
        SMTPD,
        f"it is {value or 'empty'} for {service.name}: this mail is neither signed nor checked, "
        "unlike other mail",
        _line(SMTPD, postfix, gatepost, service),
    )


def _while_away(postfix: Installation, use: Use) -> Iterator[PostfixFinding]:
    own = use.milter.options.get("default_action")
    action = (own or use.service.values.get(_ACTION, "tempfail")).lower()
    if action in _BAD_ACTIONS:
        level, why = _BAD_ACTIONS[action]
        parameter = use.parameter if own else _ACTION
        yield PostfixFinding(
            level,
            postfix.where(use.service, parameter),
            parameter,
            f"default_action={action}: {why}" if own else f"it is {action}: {why}",
            'write "default_action=tempfail"' if own else set_line(_ACTION, "tempfail"),
        )


def _timeouts(postfix: Installation, gatepost: Gatepost, use: Use) -> Iterator[PostfixFinding]:
    own = use.milter.options.get("content_timeout")
    value = own or use.service.values.get(_TIMEOUT, "300s")
    limit = seconds(value)
    if limit is not None and limit <= gatepost.milters_budget:
        parameter = use.parameter if own else _TIMEOUT
        yield PostfixFinding(
            "warning",
            postfix.where(use.service, parameter),
            parameter,
            f"Postfix waits {value} for the milter's answer, but the milter may take "
            f"{gatepost.milters_budget:g} s: verify.dns_budget and virus.timeout",
            'write "content_timeout=300s"' if own else set_line(_TIMEOUT, "300s"),
        )


def _scanned_size(
    postfix: Installation, gatepost: Gatepost, service: MasterService
) -> Iterator[PostfixFinding]:
    """Compare the largest message with the largest one that is scanned for viruses."""
    if gatepost.scan_size is None:
        return
    value = service.values.get(_SIZE, "10240000")
    if not value.isdecimal() or 0 < int(value) <= gatepost.scan_size:
        return
    yield PostfixFinding(
        "warning",
        postfix.where(service, _SIZE),
        _SIZE,
        f"it is {value}, but virus.scan_size of [milters] is {gatepost.scan_size}: larger messages "
        "are not scanned as a whole, and `on_error` decides about them",
        "raise scan_size, and StreamMaxLength of clamd, to this size"
        if int(value)
        else set_line(_SIZE, str(gatepost.scan_size)),
    )


def _protocol(postfix: Installation, use: Use) -> Iterator[PostfixFinding]:
    own = use.milter.options.get("protocol")
    value = own or use.service.values.get(_PROTOCOL, "6")
    if value[:1] not in ("2", "3", "4", "5"):
        return
    parameter = use.parameter if own else _PROTOCOL
    yield PostfixFinding(
        "warning",
        postfix.where(use.service, parameter),
        parameter,
        f"version {value} of the milter protocol does not transmit the white space after the "
        "colon of a header field, so signatures that cover it fail",
        'write "protocol=6"' if own else set_line(_PROTOCOL, "6"),
    )


def _maps(postfix: Installation, service: MasterService) -> Iterator[PostfixFinding]:
    value = service.values.get("smtpd_milter_maps", "")
    if value:
        yield PostfixFinding(
            "warning",
            postfix.where(service, "smtpd_milter_maps"),
            "smtpd_milter_maps",
            f"clients in {value} have other milters or none: their mail may bypass Gatepost",
            f"make sure that each entry names the milter, like {SMTPD}",
        )
