"""A message from outside: checked, judged by the policy, and perhaps sealed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from milters.actions import Action, DeleteHeader, Quarantine, Refuse
from milters.checks import Checks, Findings
from milters.envelope import Envelope
from milters.header import insert, verdict
from milters.outcome import SECOND_FIELD, Outcome
from milters.policy import Disposition, decide, reply
from milters.rules import Rules
from milters.vouching import voucher
from msgauth.arc import ArcSealer
from msgauth.ask import Lookup
from msgauth.authres import format_field, format_value
from msgauth.dkim import SigningError
from msgauth.dmarc import find_author
from msgauth.message import HeaderField
from msgauth.spf import received_spf

ARC_COLUMN = len("ARC-Authentication-Results: i=50; ")
"""Where the results begin on the first line of the field that ARC keeps them in."""


class Inbound:
    """Prepared when the header is complete; `hashes` wants the body.

    `removed` are the deletions of what others have written in our name.
    """

    def __init__(
        self,
        rules: Rules,
        envelope: Envelope,
        fields: Sequence[HeaderField],
        removed: Sequence[DeleteHeader],
    ) -> None:
        self._rules = rules
        self._envelope = envelope
        self._removed = removed
        author = find_author([field.value for field in fields if field.key == b"from"])
        self._author_domain = author.domains[0] if author.domains else ""
        # a sealer may have looked at one of several authors alone
        self._vouched_for = self._author_domain if len(author.domains) == 1 else ""
        self._checks = Checks(rules, envelope, fields, author)
        self.hashes = self._checks.hashes
        seal = rules.signing.seal_spec()
        self._sealer = ArcSealer(seal, fields, self.hashes) if seal is not None else None

    def finish(self, now: int) -> Lookup[Outcome]:
        """Check and judge."""
        findings = yield from self._checks.finish(now)
        policy = self._rules.settings.policy
        sealer = voucher(findings.arc, policy.trusted_sealers, self._vouched_for)
        disposition = decide(findings.outcomes, self._rules.table, vouched=bool(sealer))
        facts = self._envelope.facts(self._author_domain)
        facts.update(_shown(findings))
        if disposition.overlooked:
            facts["overlooked"] = disposition.overlooked
        if findings.second_field:
            facts["noted"] = SECOND_FIELD
        if sealer:
            facts["vouched_by"] = sealer
        seal: Sequence[HeaderField] = ()
        sealed = ""
        if disposition.action not in ("defer", "reject") and self._rules.signing.seals:
            seal, sealed = self._seal(findings, now)
        return Outcome(
            (*self._removed, *self._consequences(disposition, findings, seal)),
            self._envelope.origin.value,
            disposition.action,
            disposition.reason,
            seal=sealed,
            results=tuple((finding.method, finding.status.value) for finding in findings.all),
            forged=len(self._removed),
            proxied=findings.proxied,
            second_field=bool(findings.second_field),
            facts=facts,
        )

    def _consequences(
        self, disposition: Disposition, findings: Findings, seal: Sequence[HeaderField]
    ) -> Iterable[Action]:
        if disposition.action in ("defer", "reject"):
            yield Refuse(reply(disposition, self._author_domain))
            return
        rules, envelope = self._rules, self._envelope
        if disposition.action in ("tag", "quarantine"):
            yield verdict(disposition)
        address = envelope.client.address
        if rules.settings.verify.received_spf and findings.spf and address:
            yield insert(received_spf(findings.spf, address, envelope.helo, rules.hostname))
        yield insert(format_field(rules.authserv_id, findings.all, utf8=envelope.utf8))
        yield from map(insert, reversed(seal))
        if disposition.action == "quarantine" and rules.settings.policy.quarantine == "hold":
            yield Quarantine(disposition.reason)

    def _seal(self, findings: Findings, now: int) -> tuple[Sequence[HeaderField], str]:
        """The new ARC set and `sealed`; or none, and the reason id why."""
        if self._sealer is None or findings.arc is None:
            return (), "no-key"
        payload = format_value(self._rules.authserv_id, findings.all, column=ARC_COLUMN)
        try:
            fields = self._sealer.finish(now, findings.arc, payload)
        except SigningError:
            return (), "unsealable"
        return fields, "sealed" if fields else "chain-closed"


def _shown(findings: Findings) -> dict[str, list[str]]:
    """Every result with its reason, by method, for the log."""
    shown: dict[str, list[str]] = {}
    for finding in findings.all:
        text = f"{finding.status.value} {finding.reason}".rstrip()
        shown.setdefault(finding.method, []).append(text)
    return shown
