"""One message on its way through the milter: signed when it is ours, checked when it is not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gatepost.reply import Reply
from milters.actions import Action, DeleteHeader, Quarantine, Refuse
from milters.author import Author, authors
from milters.checks import Checks, Findings
from milters.guard import Client, Origin
from milters.header import deletions, insert, verdict
from milters.outcome import Outcome
from milters.policy import Disposition, decide, reply
from milters.rules import Rules
from milters.vouching import voucher
from msgauth import dmarc
from msgauth.arc import ArcSealer
from msgauth.ask import Lookup
from msgauth.authres import format_field, format_value
from msgauth.dkim import BodyHashes, MessageSigner, SigningError
from msgauth.message import MAX_FIELDS, HeaderField
from msgauth.spf.received import received_spf

MAX_RECIPIENTS = 1000
"""Recipients that are remembered: Postfix's smtpd_recipient_limit."""

ARC_COLUMN = len("ARC-Authentication-Results: i=50; ")
"""Where the results begin on the first line of the field that ARC keeps them in."""

_TOO_LARGE = Reply(552, "5.3.4", "the header of the message is too large", "header-too-large")
_NOT_YOURS = Reply(550, "5.7.1", "you may not send mail with this From", "from-not-yours")
_UNSIGNED = Reply(451, "4.7.1", "the message cannot be signed now, try again later", "unsigned")


class Message:
    """Takes a message in the order of SMTP, and ends in an `Outcome`."""

    def __init__(
        self,
        rules: Rules,
        client: Client,
        helo: str,
        origin: Origin,
        sender: str,
        login: str,
        *,
        utf8: bool,
    ) -> None:
        self.rules = rules
        self._client = client
        self._helo = helo
        self._origin = origin
        self._sender = sender
        self._login = login
        self._utf8 = utf8
        self._recipients: list[str] = []
        self._recipient_count = 0
        self._fields: list[HeaderField] = []
        self._octets = 0
        self._is_too_large = False
        self._has_ended_header = False
        self._author_domain = ""
        self._checks: Checks | None = None
        self._signer: MessageSigner | None = None
        self._sealer: ArcSealer | None = None
        self._algorithms: tuple[str, ...] = ()
        self._signing_domain = ""
        self._unsigned = ""
        self._refusal: Reply | None = None
        self._hashes: BodyHashes | None = None

    def add_recipient(self, recipient: str) -> None:
        """A recipient was accepted."""
        self._recipient_count += 1
        if len(self._recipients) < MAX_RECIPIENTS:
            self._recipients.append(recipient)

    def add_field(self, name: str, value: bytes) -> None:
        """A header field; beyond the limits it is dropped, and the message will be refused."""
        self._octets += len(name) + len(value) + 3
        if self._octets > self.rules.settings.max_header or len(self._fields) >= MAX_FIELDS:
            self._is_too_large = True
            return
        self._fields.append(HeaderField.received(name.encode(), value))

    def end_header(self) -> None:
        """The header is complete: prepare what the body has to go through."""
        self._has_ended_header = True
        if self._is_too_large:
            self._refusal = _TOO_LARGE
            return
        from_fields = [field.value for field in self._fields if field.key == b"from"]
        if self._origin is Origin.OUTSIDE:
            author = dmarc.find_author(from_fields)
            self._author_domain = author.domains[0] if author.domains else ""
            self._checks = Checks(
                self.rules, self._client, self._helo, self._sender, self._fields, author
            )
            self._hashes = self._checks.hashes
            spec = self.rules.signing.seal_spec() if self.rules.settings.verify.arc else None
            if spec is not None:
                self._sealer = ArcSealer(spec, self._fields, self._hashes)
            return
        ours = authors(from_fields)
        self._author_domain = ours[0].domain if ours else ""
        if self._login and not self.rules.ownership.allows(self._login, ours):
            self._refusal = _NOT_YOURS
        elif self.rules.guard.is_signed(self._origin):
            self._prepare_signatures(ours)

    def _prepare_signatures(self, ours: Sequence[Author]) -> None:
        if not ours:
            self._unsigned = "no-author"
            return
        specs = self.rules.signing.specs(ours[0], self._recipients)
        if not specs:
            self._unsigned = "no-key"
            return
        hashes = BodyHashes()
        try:
            self._signer = MessageSigner(specs, self._fields, hashes)
        except SigningError:
            self._unsigned = "unsignable"
            return
        self._hashes = hashes
        self._algorithms = tuple(spec.key.algorithm for spec in specs)
        self._signing_domain = specs[0].domain

    def add_body(self, chunk: bytes) -> None:
        """The next part of the body."""
        if not self._has_ended_header:
            self.end_header()
        if self._hashes is not None:
            self._hashes.update(chunk)

    def finish(self, now: int) -> Lookup[Outcome]:
        """The message is complete: decide it."""
        if not self._has_ended_header:
            self.end_header()
        if self._refusal is not None:
            return self._refused(self._refusal)
        if self._checks is not None:
            return self._judged((yield from self._checks.finish(now)), now)
        if self._unsigned and self.rules.settings.sign.required:
            return self._refused(_UNSIGNED)
        return self._signed(now)

    def _refused(self, refusal: Reply) -> Outcome:
        return Outcome(
            (Refuse(refusal),),
            self._origin.value,
            "reject" if refusal.code >= 500 else "defer",
            refusal.reason,
            unsigned=self._unsigned,
            facts=self._facts(),
        )

    def _signed(self, now: int) -> Outcome:
        deletions = self._deletions()
        facts = self._facts()
        insertions: list[Action] = []
        if self._signer is not None:
            # each goes on top of the one before, so the first comes last
            insertions = [insert(field) for field in reversed(self._signer.finish(now))]
            facts["signed"] = self._signing_domain
        return Outcome(
            (*deletions, *insertions),
            self._origin.value,
            "accept",
            signatures=self._algorithms,
            unsigned=self._unsigned,
            forged=len(deletions),
            facts=facts,
        )

    def _judged(self, findings: Findings, now: int) -> Outcome:
        policy = self.rules.settings.policy
        sealer = voucher(findings.arc, policy.trusted_sealers, self._author_domain)
        disposition = decide(findings.outcomes, self.rules.table, vouched=bool(sealer))
        deletions = self._deletions()
        facts = self._facts()
        for method in {finding.method: None for finding in findings.all}:
            facts[method] = [
                f"{finding.status.value} {finding.reason}".rstrip()
                for finding in findings.all
                if finding.method == method
            ]
        if disposition.overlooked:
            facts["overlooked"] = disposition.overlooked
        if sealer:
            facts["vouched_by"] = sealer
        return Outcome(
            (*deletions, *self._consequences(disposition, findings, now)),
            self._origin.value,
            disposition.action,
            disposition.reason,
            results=tuple((finding.method, finding.status.value) for finding in findings.all),
            forged=len(deletions),
            guarded=findings.guarded,
            facts=facts,
        )

    def _consequences(
        self, disposition: Disposition, findings: Findings, now: int
    ) -> Iterable[Action]:
        if disposition.action in ("defer", "reject"):
            yield Refuse(reply(disposition, self._author_domain))
            return
        if disposition.action in ("tag", "quarantine"):
            yield verdict(disposition)
        if self.rules.settings.verify.received_spf and findings.spf and self._client.address:
            yield insert(
                received_spf(findings.spf, self._client.address, self._helo, self.rules.hostname)
            )
        yield insert(format_field(self.rules.authserv_id, findings.all, utf8=self._utf8))
        yield from map(insert, reversed(self._seal(findings, now)))
        if disposition.action == "quarantine" and self.rules.settings.policy.quarantine == "hold":
            yield Quarantine(disposition.reason)

    def _seal(self, findings: Findings, now: int) -> Sequence[HeaderField]:
        """The new ARC set; none where nothing is to be sealed, or the chain does not allow it."""
        if self._sealer is None or findings.arc is None:
            return ()
        payload = format_value(self.rules.authserv_id, findings.all, column=ARC_COLUMN)
        try:
            return self._sealer.finish(now, findings.arc, payload)
        except SigningError:
            return ()

    def _deletions(self) -> list[DeleteHeader]:
        # RFC 8601 section 5; our own mail is no exception, because its header is the client's
        writes_spf = self.rules.settings.verify.received_spf
        return deletions(self._fields, self.rules.own_ids, received_spf=writes_spf)

    def _facts(self) -> dict[str, object]:
        facts: dict[str, object] = {
            "client": str(self._client.address or "local"),
            "helo": self._helo,
            "mail_from": self._sender,
            "header_from": self._author_domain,
            "recipients": self._recipient_count,
        }
        if self._login:
            facts["login"] = self._login
        return facts
