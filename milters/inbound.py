"""A message from outside: checks, policy, and perhaps an ARC seal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from milters.actions import DeleteHeader, MessageAction, Quarantine, Refuse
from milters.envelope import Envelope
from milters.header import count_forged, insert, verdict
from milters.inbound_checks import checks_of, outcomes
from milters.outcome import SECOND_FIELD, MessageOutcome, shown
from milters.policy import Disposition, decide, reply
from milters.rules import Rules
from milters.sealing import Sealing
from milters.vouching import voucher
from msgauth.ask import Lookup
from msgauth.checks import Findings
from msgauth.dmarc import find_author
from msgauth.message import HeaderField
from msgauth.spf import received_spf
from msgauth.trace import Trace


class Inbound:
    """Prepared when the header is complete; `hashes` and `fragile` then get the body.

    `fields` are the header fields needed until the end (`needed`). `removed` are the deletions of
    forged fields in our name.
    """

    def __init__(
        self,
        rules: Rules,
        envelope: Envelope,
        fields: Sequence[HeaderField],
        removed: Sequence[DeleteHeader],
        trace: Trace | None = None,
    ) -> None:
        self._rules = rules
        self._envelope = envelope
        self._removed = removed
        author = find_author([field.value for field in fields if field.key == b"from"])
        self._author_domain = author.domains[0] if author.domains else ""
        # a sealer may have checked only one of several authors
        self._vouched_for = self._author_domain if len(author.domains) == 1 else ""
        self._checks = checks_of(rules, envelope, fields, author, trace)
        self.hashes = self._checks.hashes
        self._sealing = Sealing(rules, fields, self.hashes) if rules.signing.seals else None
        self.fragile = self._sealing.fragile if self._sealing is not None else None

    def finish(self, now: int) -> Lookup[MessageOutcome]:
        """Check the message and apply the policy."""
        findings = yield from self._checks.finish(now)
        policy = self._rules.settings.policy
        sealer = voucher(findings.arc, policy.trusted_sealers, self._vouched_for)
        disposition = decide(outcomes(findings), self._rules.table, vouched=bool(sealer))
        facts = self._envelope.facts(self._author_domain)
        facts.update(shown(findings.all))
        if disposition.overlooked:
            facts["overlooked"] = disposition.overlooked
        if findings.second_field:
            facts["noted"] = SECOND_FIELD
        if sealer:
            facts["vouched_by"] = sealer
        seal: Sequence[HeaderField] = ()
        sealed = ""
        if disposition.action not in ("defer", "reject") and self._sealing is not None:
            seal, sealed = self._sealing.finish(now, findings.arc, findings.all)
        return MessageOutcome(
            (*self._removed, *self._consequences(disposition, findings, seal)),
            self._envelope.origin.value,
            disposition.action,
            disposition.reason,
            seal=sealed,
            results=tuple((finding.method, finding.status.value) for finding in findings.all),
            forged=count_forged(self._removed),
            proxied=self._rules.guard.is_proxy(self._envelope.client),
            second_field=bool(findings.second_field),
            fragile=self.fragile.reasons if self.fragile is not None and seal else (),
            facts=facts,
        )

    def _consequences(
        self, disposition: Disposition, findings: Findings, seal: Sequence[HeaderField]
    ) -> Iterable[MessageAction]:
        if disposition.action in ("defer", "reject"):
            yield Refuse(reply(disposition, self._author_domain))
            return
        rules, envelope = self._rules, self._envelope
        if disposition.action in ("tag", "quarantine"):
            yield verdict(disposition)
        address = envelope.client.address
        if rules.settings.verify.received_spf and findings.spf and address:
            yield insert(received_spf(findings.spf, address, envelope.helo, rules.hostname))
        yield insert(findings.authentication_results(rules.authserv_id, utf8=envelope.utf8))
        yield from map(insert, reversed(seal))
        if disposition.action == "quarantine" and rules.settings.policy.quarantine == "hold":
            yield Quarantine(disposition.reason)
