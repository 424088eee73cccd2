"""Runs the methods over a message from outside: what is found, and nothing of what is done.

Made when the header is complete, so that body hashes can be taken while the body streams by; DNS is
asked at the end, all methods in one lookup.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from milters.guard import Client
from milters.rules import Rules
from msgauth.ask import Lookup
from msgauth.dkim import BodyHashes, DkimResult, MessageVerifier, VerifierLimits
from msgauth.message import HeaderField
from msgauth.results import DkimStatus, Finding


@dataclass(frozen=True, slots=True)
class Findings:
    """What the methods found; a method that is switched off has nothing."""

    dkim: tuple[DkimResult, ...] = ()

    @property
    def all(self) -> tuple[Finding, ...]:
        """Every finding, in the order in which Authentication-Results shows them."""
        return self.dkim

    @property
    def outcomes(self) -> Mapping[str, str]:
        """The one outcome of each method, as the policy table names them."""
        found: dict[str, str] = {}
        if self.dkim:
            found["dkim"] = _dkim_outcome(self.dkim)
        return found


class Checks:
    """The checks of one message."""

    def __init__(
        self, rules: Rules, client: Client, helo: str, sender: str, fields: Sequence[HeaderField]
    ) -> None:
        settings = rules.settings.verify
        self._rules = rules
        self._client = client
        self._helo = helo
        self._sender = sender
        self._fields = fields
        self.hashes = BodyHashes()
        self._dkim = (
            MessageVerifier(fields, VerifierLimits(settings.max_signatures), self.hashes)
            if settings.dkim
            else None
        )

    def finish(self, now: int) -> Lookup[Findings]:
        """Ask for what is needed and return what was found."""
        dkim = (yield from self._dkim.finish(now)) if self._dkim else ()
        return Findings(dkim=dkim)


def _dkim_outcome(results: Sequence[DkimResult]) -> str:
    """The best that the signatures came to: one that passes is enough (RFC 6376 section 6.1)."""
    statuses = {result.status for result in results}
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
