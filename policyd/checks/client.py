"""Check of the client: its host name, its HELO name, its sender domain and SPF."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from gatepost.shortage import ShortageError
from msgauth.drive import asolve
from msgauth.iprev import check_iprev
from msgauth.results import IprevStatus, SpfStatus
from policyd.action import refuse
from policyd.checks import CheckResult
from policyd.checks.spf import Resolves, Spf
from policyd.errors import CheckError, CheckShortageError
from policyd.facts import NO_FACTS, Facts
from policyd.helo import HeloForm, judge_helo
from policyd.hostnames import looks_generic
from policyd.match import ClientTable, parse_address
from policyd.reasons import reply
from policyd.request import Request, State
from policyd.senders import SenderDomain, check_sender_domain
from policyd.settings.client import ClientSettings, Treatment
from policyd.template import fill, of_request


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that a client can break: its reason id, and the text of the reply."""

    reason: str
    text: str


NO_NAME = Rule("no-name", "Your address has no host name that resolves back to it")
GENERIC_NAME = Rule("generic-name", "Your host name looks like that of a consumer line")
HELO_FORGED = Rule("helo-forged", "HELO: this name is ours")
HELO_MALFORMED = Rule("helo-malformed", "HELO: not a domain name or address literal")
HELO_UNQUALIFIED = Rule("helo-unqualified", "HELO: a fully qualified name is required")
SENDER_UNKNOWN = Rule("sender-unknown", "The domain of the sender does not exist")
SENDER_NULL_MX = Rule("sender-null-mx", "The domain of the sender accepts no mail")
SPF_FAIL = Rule("spf-fail", "SPF: this client may not send for the domain of the sender")
SPF_SOFTFAIL = Rule("spf-softfail", "SPF: this client should not send for that domain")

_HELO_STATES = frozenset({State.EHLO, State.HELO, State.MAIL, State.RCPT, State.DATA})
_SENDER_STATES = frozenset({State.MAIL, State.RCPT, State.DATA})


class ClientCheck:
    """The check `client`."""

    name = "client"
    states = frozenset(State)

    def __init__(
        self, settings: ClientSettings, resolver: Resolves, spf: Spf, hostname: str
    ) -> None:
        self._settings = settings
        self._resolver = resolver
        self._spf = spf
        self._hostname = hostname
        self._own_names = frozenset({hostname.lower(), *settings.own_names})
        self._exempt = ClientTable(map(str, settings.exempt_networks))

    async def check(self, request: Request, _facts: Facts = NO_FACTS) -> CheckResult | None:
        """Refuse by the first broken rule that is set to refuse; note the others."""
        address = request.client
        if request.sasl_username or address is None:
            return None
        if self._exempt and self._exempt.match(address, ""):
            return CheckResult("exempt")
        noted: tuple[str, ...] = ()
        try:
            async for rule, treatment in self._broken(request):
                if treatment != "note":
                    return self._refuse(request, rule, treatment, noted)
                noted += (rule.reason,)
        except CheckError as error:
            raise CheckError(str(error), Facts(signals=noted)) from error
        except ShortageError as error:
            # in dry run the mail goes on to greylisting all the same
            raise CheckShortageError(str(error), Facts(signals=noted)) from error
        if not noted:
            return None
        return CheckResult("noted", detail=", ".join(noted), facts=Facts(signals=noted))

    def _refuse(
        self, request: Request, rule: Rule, treatment: Treatment, noted: tuple[str, ...]
    ) -> CheckResult:
        values = of_request(request, self._hostname) | {"problem": rule.text}
        text = fill(self._settings.text, values)
        told = reply(rule.reason, text, temporary=treatment == "defer")
        # A refused client also counts as odd: in a dry run its mail continues to greylisting.
        facts = Facts(signals=(*noted, rule.reason))
        return CheckResult(rule.reason, refuse(told), rule.reason, facts=facts)

    async def _broken(self, request: Request) -> AsyncIterator[tuple[Rule, Treatment]]:
        """Yield the rules that a client breaks, in order of their cost."""
        settings = self._settings
        if request.state in _HELO_STATES:
            for rule, treatment in self._judge_helo(request):
                yield rule, treatment
        if not request.client_name:
            if settings.no_name != "off" and not await self._has_name(request):
                yield NO_NAME, settings.no_name
        elif settings.generic_name != "off" and looks_generic(request.client, request.client_name):
            yield GENERIC_NAME, settings.generic_name
        if request.state in _SENDER_STATES:
            if settings.sender_unknown != "off" and (wrong := await self._judge_sender(request)):
                yield wrong, settings.sender_unknown
            if settings.spf_fail != "off" or settings.spf_softfail != "off":
                found = await self._judge_spf(request)
                if found is not None and found[1] != "off":
                    yield found

    def _judge_helo(self, request: Request) -> list[tuple[Rule, Treatment]]:
        settings = self._settings
        reached_at = parse_address(request.attributes.get("server_address", ""))  # Postfix 3.2
        own = {*settings.own_addresses, *([str(reached_at)] if reached_at else ())}
        found = judge_helo(request.helo_name, request.client, self._own_names, own)
        rule: tuple[Rule, Treatment]
        if found is HeloForm.FINE:
            return []
        if found is HeloForm.FORGED:
            rule = HELO_FORGED, settings.helo_forged
        elif found is HeloForm.UNQUALIFIED:
            rule = HELO_UNQUALIFIED, settings.helo_unqualified
        else:
            rule = HELO_MALFORMED, settings.helo_malformed
        return [rule] if rule[1] != "off" else []

    async def _has_name(self, request: Request) -> bool:
        """Return whether the client has a verified name after all.

        Postfix also reports "unknown" if DNS did not answer, so we ask DNS before we refuse mail.
        """
        if self._settings.no_name == "note":
            return False  # no question is worth a note
        address = request.client
        assert address is not None  # noqa: S101 # looked at in check()
        ask = self._resolver.within(self._settings.dns_budget)
        result = await asolve(check_iprev(address), ask)
        if result.status is IprevStatus.TEMPERROR:
            raise CheckError(result.reason)
        return result.status is IprevStatus.PASS

    async def _judge_sender(self, request: Request) -> Rule | None:
        sender = request.sender_address
        if not sender.host or sender.host.startswith("["):
            return None  # RFC 5321 section 4.1.3: an address literal needs no DNS query
        if not sender.domain:
            return SENDER_UNKNOWN
        ask = self._resolver.within(self._settings.dns_budget)
        found = await asolve(check_sender_domain(sender.domain), ask)
        if found is SenderDomain.TEMPFAIL:
            if self._settings.sender_unknown == "note":
                return None
            raise CheckError(f"DNS gave no answer for {sender.domain}")
        if found is SenderDomain.FINE:
            return None
        return SENDER_UNKNOWN if found is SenderDomain.UNKNOWN else SENDER_NULL_MX

    async def _judge_spf(self, request: Request) -> tuple[Rule, Treatment] | None:
        result = await self._spf.check(request)
        if result.status is SpfStatus.FAIL:
            return SPF_FAIL, self._settings.spf_fail
        if result.status is SpfStatus.SOFTFAIL:
            return SPF_SOFTFAIL, self._settings.spf_softfail
        if result.status is SpfStatus.TEMPERROR and self._settings.spf_fail in ("defer", "reject"):
            raise CheckError(f"SPF: {result.reason}")
        return None
