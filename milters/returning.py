"""Mail from outside that returns to us and is not known to be genuine.

It is not signed, and keeps our findings from its arrival: while it is on our hosts, another
redirect must not sign it either, and the next mailbox files it by the verdict. Our fields are
rewritten with only the negative findings, because one of our clients may have forged the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from milters.actions import InsertHeader, MessageAction
from milters.envelope import Envelope
from milters.fragile import FragileParts
from milters.header import VERDICT, insert
from milters.marks import Marks
from milters.rules import Rules
from milters.sealing import Sealing
from msgauth.arc import ArcResult, ArcVerifier
from msgauth.ask import Lookup
from msgauth.authres import format_field
from msgauth.dkim import BodyHashes
from msgauth.message import HeaderField
from msgauth.results import ArcStatus, Finding
from msgauth.trace import Trace

UNSIGNED = "from-outside"
"""The reason id why such a message is not signed."""


@dataclass(frozen=True, slots=True)
class Returned:
    """The actions for the message; `seal` is the result of the ARC seal, as in `MessageOutcome`."""

    actions: tuple[MessageAction, ...] = ()
    findings: tuple[Finding, ...] = ()
    seal: str = ""
    is_sealed: bool = False


class Returning:
    """Prepared when the header is complete; takes its share of `hashes`."""

    def __init__(
        self,
        rules: Rules,
        envelope: Envelope,
        fields: Sequence[HeaderField],
        marks: Marks,
        hashes: BodyHashes,
        trace: Trace | None = None,
    ) -> None:
        self._rules = rules
        self._envelope = envelope
        self._marks = marks
        self._trace = trace
        self._chain: ArcVerifier | None = None
        self.fragile: FragileParts | None = None
        if rules.signing.seals:
            self._chain = ArcVerifier(fields, hashes)
            self._sealing = Sealing(rules, fields, hashes)
            self.fragile = self._sealing.fragile

    def finish(self, now: int) -> Lookup[Returned]:
        """Query the keys of the ARC chain if the message is to be sealed, and seal it."""
        findings = () if self._marks.dmarc is None else (self._marks.dmarc,)
        set_: Sequence[HeaderField] = ()
        seal = ""
        if self._chain is not None:
            lookup = self._chain.finish(now)
            if self._trace is not None:
                lookup = self._trace.follow(lookup, "arc")
            chain = yield from lookup
            findings = (chain, *findings)
            if self._is_sealed_by_us(chain):
                seal = "already-sealed"
            else:
                set_, seal = self._sealing.finish(now, chain, findings)
        actions: list[MessageAction] = []
        if self._marks.verdict:
            actions.append(InsertHeader(VERDICT, f" {self._marks.verdict}"))
        utf8 = self._envelope.utf8
        actions.append(insert(format_field(self._rules.authserv_id, findings, utf8=utf8)))
        # each is inserted above the previous one
        actions += map(insert, reversed(set_))
        return Returned(tuple(actions), findings, seal, bool(set_))

    def _is_sealed_by_us(self, chain: ArcResult) -> bool:
        """Return whether the message is unchanged since we sealed it on arrival."""
        last = chain.hops[-1].domain if chain.status is ArcStatus.PASS else None
        return last == self._rules.settings.seal.domain
