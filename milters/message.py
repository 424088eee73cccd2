"""One message on its way through the milter: collected, then judged or signed."""

from __future__ import annotations

from gatepost.reply import Reply
from milters.envelope import Envelope
from milters.guard import Origin
from milters.inbound import Inbound
from milters.outbound import Outbound
from milters.outcome import Outcome, refused
from milters.rules import Rules
from msgauth.ask import Lookup
from msgauth.message import MAX_FIELDS, HeaderField

_TOO_LARGE = Reply(552, "5.3.4", "the header of the message is too large", "header-too-large")


class Message:
    """Takes a message in the order of SMTP, and ends in an `Outcome`."""

    __slots__ = ("_fields", "_octets", "_treatment", "envelope", "rules")

    def __init__(self, rules: Rules, envelope: Envelope) -> None:
        self.rules = rules
        self.envelope = envelope
        self._fields: list[HeaderField] = []
        self._octets = 0
        self._treatment: Inbound | Outbound | None = None

    @property
    def _is_too_large(self) -> bool:
        return self._octets > self.rules.settings.max_header or len(self._fields) > MAX_FIELDS

    def add_field(self, name: str, value: bytes) -> None:
        """A header field; beyond the limits it is dropped, and the message will be refused."""
        self._octets += len(name) + len(value) + 3
        if not self._is_too_large:
            self._fields.append(HeaderField.received(name.encode(), value))

    def end_header(self) -> None:
        """The header is complete: prepare what the body has to go through."""
        if not self._is_too_large:
            treat = Inbound if self.envelope.origin is Origin.OUTSIDE else Outbound
            self._treatment = treat(self.rules, self.envelope, self._fields)

    def add_body(self, chunk: bytes) -> None:
        """The next part of the body."""
        if self._treatment is None:
            self.end_header()
        if self._treatment is not None:
            self._treatment.hashes.update(chunk)

    def finish(self, now: int) -> Lookup[Outcome]:
        """The message is complete: decide it."""
        if self._treatment is None:
            # the MTA has not said that the header ended, or it was too large
            self.end_header()
        if self._treatment is None:
            return refused(_TOO_LARGE, self.envelope.origin, self.envelope.facts(""))
        return (yield from self._treatment.finish(now))
