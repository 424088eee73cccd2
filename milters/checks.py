"""Runs the methods over a message from outside: what is found, and nothing of what is done.

Made when the header is complete, so that body hashes can be taken while the body streams by; DNS is
asked at the end, all methods in one lookup.

The order of the questions is that of their weight, because all have one budget of time and a sender
chooses many of the names: first the policy of the author domain, in a time of its own, then what
could be aligned with it, then all else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from milters.envelope import Envelope
from milters.rules import Rules
from msgauth.arc import ArcResult, ArcVerifier
from msgauth.ask import Lookup
from msgauth.dkim import BodyHashes, DkimResult, MessageVerifier
from msgauth.dmarc import Author, DmarcCheck, DmarcResult, Policy
from msgauth.domain import DomainError, to_alabels
from msgauth.iprev import IprevResult, check_iprev
from msgauth.message import HeaderField
from msgauth.results import DkimStatus, DmarcStatus, Finding, IprevStatus, Property, SpfStatus
from msgauth.spf import SpfResult, check_helo, check_mail_from


@dataclass(frozen=True, slots=True)
class Findings:
    """What the methods found; a method that was not run has nothing.

    `proxied` says that the client's address is a proxy's, so that nothing was derived from it.
    """

    proxied: bool = False
    iprev: IprevResult | None = None
    helo: SpfResult | None = None
    spf: SpfResult | None = None
    dkim: tuple[DkimResult, ...] = ()
    arc: ArcResult | None = None
    dmarc: DmarcResult | None = None

    @property
    def all(self) -> tuple[Finding, ...]:
        """Every finding, in the order in which Authentication-Results shows them."""
        found = (self.iprev, self.helo, self.spf, *self.dkim, self.arc, self.dmarc)
        return tuple(finding for finding in found if finding is not None)

    @property
    def second_field(self) -> str:
        """The field that was added to one that a signature covers, as "Subject", or empty."""
        return next((one.second_field for one in self.dkim if one.second_field), "")

    @property
    def outcomes(self) -> Mapping[str, str]:
        """The one outcome of each method, as the policy table names them."""
        found: dict[str, str] = {}
        if self.iprev is not None:
            found["iprev"] = self.iprev.status.value
        if self.spf is not None:
            found["spf"] = self.spf.status.value
        if self.dkim:
            found["dkim"] = _dkim_outcome(self.dkim)
            if found["dkim"] == DkimStatus.POLICY and self.second_field:
                found["dkim"] = "second_field"
        if self.arc is not None:
            found["arc"] = self.arc.status.value
        if self.dmarc is not None:
            found["dmarc"] = _dmarc_outcome(self.dmarc)
        return found


class Checks:
    """The checks of one message."""

    def __init__(
        self, rules: Rules, envelope: Envelope, fields: Sequence[HeaderField], author: Author
    ) -> None:
        self._settings = settings = rules.settings.verify
        self._hostname = rules.hostname
        self._client = envelope.client
        self._helo = envelope.helo
        self._sender = envelope.sender
        self._author = author
        self._proxied = rules.guard.is_proxy(envelope.client)
        self.hashes = BodyHashes()
        self._dkim = (
            MessageVerifier(fields, rules.dkim_limits, self.hashes) if settings.dkim else None
        )
        self._arc = ArcVerifier(fields, self.hashes) if settings.arc else None

    def finish(self, now: int) -> Lookup[Findings]:
        """Ask for what is needed and return what was found."""
        check = DmarcCheck(self._author) if self._settings.dmarc else None
        if check:
            yield from check.find_policies()
            if self._dkim:
                alignable = yield from check.alignable("dkim", self._dkim.domains)
                yield from self._dkim.verify(now, alignable)
        spf = yield from self._check_mail_from(now)
        arc = (yield from self._arc.finish(now)) if self._arc else None
        dkim = (yield from self._dkim.finish(now)) if self._dkim else ()
        dmarc = (yield from check.finish(dkim, spf or self._unknown_spf())) if check else None
        helo = yield from self._check_helo(now)
        iprev = yield from self._check_iprev()
        return Findings(self._proxied, iprev, helo, spf, dkim, arc, dmarc)

    def _check_iprev(self) -> Lookup[IprevResult | None]:
        if not self._settings.iprev or self._proxied or self._client.address is None:
            return None
        if self._client.hostname:
            # the MTA has followed the name back to the address already
            shown = (Property("policy", "iprev", str(self._client.address)),)
            reason = f"{self._client.hostname} has the address {self._client.address}"
            return IprevResult("iprev", IprevStatus.PASS, reason, shown, self._client.hostname)
        return (yield from check_iprev(self._client.address))

    def _check_helo(self, now: int) -> Lookup[SpfResult | None]:
        client = self._client.address
        # without a sender the check of MAIL FROM is that of the HELO name
        if not self._settings.spf or self._proxied or client is None or not self._sender:
            return None
        return (yield from check_helo(client, self._helo, receiver=self._hostname, now=now))

    def _check_mail_from(self, now: int) -> Lookup[SpfResult | None]:
        client = self._client.address
        if not self._settings.spf or self._proxied or client is None:
            return None
        # RFC 7208 section 2.4: the null reverse-path stands for postmaster at the HELO name
        check = check_mail_from(client, self._helo, self._sender, receiver=self._hostname, now=now)
        return (yield from check)

    def _unknown_spf(self) -> SpfResult:
        """For DMARC: SPF might have passed for this domain, nobody can know."""
        try:
            domain = to_alabels(self._sender.rpartition("@")[2] or self._helo)
        except DomainError:
            domain = ""
        return SpfResult(
            "spf", SpfStatus.TEMPERROR, "the client's address is not known", domain=domain
        )


def _dkim_outcome(results: Sequence[DkimResult]) -> str:
    """The best that the signatures came to: one that passes is enough (RFC 6376 section 6.1)."""
    statuses = {
        # RFC 6376 section 3.6.1: t=y MUST NOT be treated differently from unsigned mail
        DkimStatus.NONE
        if result.testing and result.status is not DkimStatus.PASS
        else result.status
        for result in results
    }
    for status in _DKIM_ORDER:
        if status in statuses:
            return status.value
    return DkimStatus.NONE.value


# temperror before fail: a signature that could not be checked may be the good one
_DKIM_ORDER = (
    DkimStatus.PASS,
    DkimStatus.TEMPERROR,
    DkimStatus.FAIL,
    DkimStatus.POLICY,
    DkimStatus.PERMERROR,
    DkimStatus.NEUTRAL,
)


def _dmarc_outcome(result: DmarcResult) -> str:
    if result.status is DmarcStatus.FAIL:
        return f"fail_{result.disposition.value}"
    if result.status is DmarcStatus.TEMPERROR and result.disposition is not Policy.NONE:
        return f"temperror_{result.disposition.value}"
    return result.status.value
