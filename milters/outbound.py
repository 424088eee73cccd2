"""A message of ours: ownership of its From, and its signatures.

Mail from outside that returns to us, for example by a redirect, is signed only if our own fields
say that it passed DMARC.
"""

from __future__ import annotations

from collections.abc import Sequence

from gatepost.ownership import RightsUnknownError
from gatepost.reply import Reply
from milters.actions import DeleteHeader
from milters.envelope import Envelope
from milters.fragile import FragileParts
from milters.header import count_forged, insert
from milters.marks import read_marks
from milters.outcome import MessageOutcome, refused, shown
from milters.returning import UNSIGNED, Returned, Returning
from milters.rules import Rules
from msgauth.ask import Lookup
from msgauth.dkim import BodyHashes, MessageSigner, SigningError
from msgauth.dmarc import find_author
from msgauth.mail_address import MailAddress
from msgauth.message import HeaderField
from msgauth.trace import Trace

_NOT_YOURS = Reply(550, "5.7.1", "you may not use this From address", "from-not-yours")
_UNSIGNED = Reply(
    451, "4.7.1", "the message cannot be signed now, please try again later", "unsigned"
)

_UNKNOWN_OWNERS = Reply(
    451,
    "4.7.1",
    "it is not known now who may use this From address, please try again later",
    "owners-unknown",
)

_UNREADABLE = "key-unreadable"


class Outbound:
    """Prepared when the header is complete; `hashes` and `fragile` then get the body.

    `fields` are the whole header, `kept` the fields needed until the end (`needed`). `removed` are
    the deletions of forged fields in our name.
    """

    def __init__(
        self,
        rules: Rules,
        envelope: Envelope,
        fields: Sequence[HeaderField],
        kept: Sequence[HeaderField],
        removed: Sequence[DeleteHeader],
        trace: Trace | None = None,
    ) -> None:
        self.hashes = BodyHashes()
        self.fragile: FragileParts | None = None
        self._rules = rules
        self._envelope = envelope
        self._removed = removed
        self._signer: MessageSigner | None = None
        self._algorithms: tuple[str, ...] = ()
        self._signing_domain = ""
        self._unsigned = ""
        ours = _authors([field.value for field in fields if field.key == b"from"])
        self._author_domain = ours[0].domain if ours else ""
        domains = {author.domain for author in ours}
        self._marks = read_marks(
            fields,
            rules.own_ids,
            self._author_domain if len(domains) == 1 else "",
            without_dmarc=not rules.settings.verify.dmarc,
        )
        self._returning: Returning | None = None
        self._refusal = self._ownership_refusal(ours)
        if self._refusal is not None:
            pass
        elif self._marks.are_bad:
            self._returning = Returning(rules, envelope, kept, self._marks, self.hashes, trace)
            self.fragile = self._returning.fragile
            if rules.guard.is_signed(envelope.origin):
                self._unsigned = UNSIGNED
        elif rules.guard.is_signed(envelope.origin):
            self._prepare(ours, fields)

    def _ownership_refusal(self, ours: Sequence[MailAddress]) -> Reply | None:
        login = self._envelope.login
        try:
            if not login or self._rules.ownership.allows(login, ours):
                return None
        except RightsUnknownError:
            return _UNKNOWN_OWNERS
        return _NOT_YOURS

    def _prepare(self, ours: Sequence[MailAddress], fields: Sequence[HeaderField]) -> None:
        if not ours:
            self._unsigned = "no-author"
            return
        specs = self._rules.signing.specs(ours[0], self._envelope.recipient_domains)
        if not specs:
            unreadable = self._rules.signing.is_unreadable(ours[0])
            self._unsigned = _UNREADABLE if unreadable else "no-key"
            return
        try:
            self._signer = MessageSigner(specs, fields, self.hashes)
        except SigningError:
            self._unsigned = "unsignable"
            return
        self._algorithms = tuple(spec.key.algorithm for spec in specs)
        self._signing_domain = specs[0].domain
        self.fragile = FragileParts(fields, [spec.headers for spec in specs])

    def finish(self, now: int) -> Lookup[MessageOutcome]:
        """Sign or refuse; DNS is only queried for mail that arrived from outside and is to be
        sealed."""
        refusal = self._refusal
        # Mail that arrived from outside is not deferred for want of a key: it could wait forever.
        # An error of ours defers: an unreadable key is not the same as none.
        sign = self._rules.settings.sign
        must_sign = self._unsigned == _UNREADABLE or (sign.required and not self._marks.count)
        if refusal is None and self._unsigned and must_sign:
            refusal = _UNSIGNED
        facts = self._envelope.facts(self._author_domain)
        if refusal is not None:
            return refused(refusal, self._envelope.origin, facts, self._unsigned)
        returned = Returned()
        if self._returning is not None:
            returned = yield from self._returning.finish(now)
            facts.update(shown(returned.findings))
        insertions = returned.actions
        is_covered = self._signer is not None or returned.is_sealed
        if self._signer is not None:
            # each is inserted above the previous one, so the first comes last
            insertions = tuple(insert(field) for field in reversed(self._signer.finish(now)))
            facts["signed"] = self._signing_domain
        return MessageOutcome(
            (*self._removed, *insertions),
            self._envelope.origin.value,
            "accept",
            signatures=self._algorithms,
            unsigned=self._unsigned,
            seal=returned.seal,
            forged=count_forged(self._removed) - self._marks.count,
            fragile=self.fragile.reasons if self.fragile is not None and is_covered else (),
            facts=facts,
        )


def _authors(fields: Sequence[bytes]) -> tuple[MailAddress, ...]:
    """Return the addresses that a mail program could show as author, the first one in From first.

    The local part is empty if programs may show different ones. The result is empty unless there is
    exactly one From field that all mail programs read as the same domain. `fields` has the values
    of all From fields of a message.
    """
    found = find_author(fields)
    return () if found.problem else found.mailboxes
