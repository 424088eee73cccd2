"""One message on its way through the milter: collected, then judged or signed."""

from __future__ import annotations

from gatepost.reply import Reply
from milters.envelope import Envelope
from milters.guard import Origin
from milters.header import MAX_DELETIONS, deletions
from milters.inbound import Inbound
from milters.outbound import Outbound
from milters.outcome import Outcome, refused
from milters.rules import Rules
from msgauth.ask import Lookup
from msgauth.message import MAX_FIELDS, HeaderField

_TOO_LARGE = Reply(552, "5.3.4", "the header of the message is too large", "header-too-large")
_FORGED = Reply(
    550, "5.7.1", "the message has too many header fields in the name of this host", "forged-fields"
)


class Message:
    """Takes a message in the order of SMTP, and ends in an `Outcome`."""

    __slots__ = ("_fields", "_is_too_large", "_octets", "_treatment", "envelope", "rules")

    def __init__(self, rules: Rules, envelope: Envelope) -> None:
        self.rules = rules
        self.envelope = envelope
        self._fields: list[HeaderField] = []
        self._octets = 0
        self._is_too_large = False
        self._treatment: Inbound | Outbound | Reply | None = None

    @property
    def has_ended_header(self) -> bool:
        """Whether the header is complete, and no field may follow."""
        return self._treatment is not None

    def add_field(self, name: bytes, value: bytes) -> None:
        """A header field; beyond the limits it is dropped, and the message will be refused."""
        self._octets += len(name) + len(value) + 3
        if self._octets > self.rules.settings.max_header or len(self._fields) >= MAX_FIELDS:
            self._is_too_large = True
        else:
            self._fields.append(HeaderField.received(name, value))

    def end_header(self) -> None:
        """The header is complete: prepare what the body has to go through."""
        self._treatment = self._treat()

    def _treat(self) -> Inbound | Outbound | Reply:
        if self._is_too_large:
            return _TOO_LARGE
        # RFC 8601 section 5; our own mail is no exception: its header is the client's
        removed = deletions(
            self._fields,
            self.rules.own_ids,
            received_spf=self.rules.settings.verify.received_spf,
        )
        if len(removed) > MAX_DELETIONS:
            return _FORGED
        treat = Inbound if self.envelope.origin is Origin.OUTSIDE else Outbound
        return treat(self.rules, self.envelope, self._fields, removed)

    def add_body(self, chunk: bytes) -> None:
        """The next part of the body."""
        if self._treatment is None:
            self.end_header()
        if isinstance(self._treatment, Inbound | Outbound):
            self._treatment.hashes.update(chunk)
            if self._treatment.fragile is not None:
                self._treatment.fragile.update(chunk)

    def finish(self, now: int) -> Lookup[Outcome]:
        """The message is complete: decide it."""
        # None: the MTA has not said that the header ended
        treatment = self._treat() if self._treatment is None else self._treatment
        if isinstance(treatment, Reply):
            return refused(treatment, self.envelope.origin, self.envelope.facts(""))
        return (yield from treatment.finish(now))
