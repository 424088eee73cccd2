"""One message in the milter: collected, then checked or signed."""

from __future__ import annotations

from dataclasses import replace

from gatepost.reply import Reply
from milters.content import MessageContent
from milters.envelope import Envelope
from milters.guard import Origin
from milters.header import MAX_DELETIONS, deletions
from milters.inbound import Inbound
from milters.memory import MESSAGE, RECIPIENT, Holding, Memory, kept_cost, received_cost
from milters.needed import needed
from milters.outbound import Outbound
from milters.outcome import MessageOutcome, refused
from milters.rules import Rules
from msgauth.ask import Lookup
from msgauth.mail_address import MailAddress
from msgauth.message import MAX_FIELDS, HeaderField
from msgauth.trace import Trace

MAX_MESSAGE_ID = 250
"""Characters of the Message-ID in the log; RFC 5322 section 3.6.4 sets no limit."""
_MESSAGE_ID = b"message-id"

_BUSY = Reply(
    451, "4.3.2", "too many large messages in progress, please try again", "too-much-mail"
)
_TOO_LARGE = Reply(552, "5.3.4", "the header of the message is too large", "header-too-large")
_FORGED = Reply(
    550, "5.7.1", "the message has too many header fields in the name of this host", "forged-fields"
)


class Message:
    """Collects a message in the order of SMTP, and returns an `MessageOutcome`.

    `memory` counts the memory that it uses. If there is no room, the message's data is dropped and
    the message will be deferred. `trace` records its DNS questions and findings.
    """

    __slots__ = (
        "_fields",
        "_held",
        "_memory",
        "_message_id",
        "_octets",
        "_refusal",
        "_size",
        "_trace",
        "_treatment",
        "content",
        "envelope",
        "rules",
    )

    def __init__(
        self, rules: Rules, envelope: Envelope, memory: Memory, trace: Trace | None = None
    ) -> None:
        self.rules = rules
        self._trace = trace
        self.envelope = envelope
        self._fields: list[HeaderField] = []
        self._octets = 0
        self._size = 0
        self._message_id = ""
        self._refusal: Reply | None = None
        self._memory = memory
        self._held = Holding(memory)
        self._hold(MESSAGE)
        self._treatment: Inbound | Outbound | Reply | None = None
        self.content: MessageContent | None = None
        """The content, if it is to be scanned for viruses and the header was not refused."""

    @property
    def has_ended_header(self) -> bool:
        """Return whether the header is complete, so that no field may follow."""
        return self._treatment is not None

    def add_recipient(self, recipient: MailAddress) -> None:
        """Add an accepted recipient."""
        if self._hold(RECIPIENT + len(recipient.text)):
            self.envelope.add_recipient(recipient)

    def add_field(self, name: bytes, value: bytes) -> None:
        """Add a field; beyond the limits, the header is dropped and the message refused."""
        self._octets += len(name) + len(value) + 3
        if not self._message_id and name.lower() == _MESSAGE_ID:
            text = value.strip()[:MAX_MESSAGE_ID].decode("utf-8", "replace")
            self._message_id = " ".join(text.split())
        if self._octets > self.rules.settings.max_header or len(self._fields) >= MAX_FIELDS:
            self._refuse(_TOO_LARGE)
        elif self._hold(received_cost(name, value)):
            self._fields.append(HeaderField.received(name, value))

    def _hold(self, octets: int) -> bool:
        """Hold `octets` more; returns False if the message is refused, now or earlier."""
        if self._refusal is None and not self._held.grow(octets):
            self._refuse(_BUSY)
        return self._refusal is None

    def _refuse(self, reply: Reply) -> None:
        # a permanent refusal, or a message that was not kept whole, stays so
        if self._refusal is None or reply.code >= 500:
            self._refusal = reply
        self._fields = []
        self._held.set(MESSAGE)

    def end_header(self) -> None:
        """End the header, and prepare the processing of the body; a second end changes nothing."""
        if self._treatment is not None:
            return
        self._treatment = self._treat()
        self._fields = []

    def _treat(self) -> Inbound | Outbound | Reply:
        if self._refusal is not None:
            return self._refusal
        # RFC 8601 section 5; our own mail is no exception: its header is the client's
        virus = self.rules.settings.virus
        removed = deletions(
            self._fields,
            self.rules.own_ids,
            received_spf=self.rules.settings.verify.received_spf,
            virus_status=virus.address is not None,
        )
        if len(removed) > MAX_DELETIONS:
            return _FORGED
        # our own messages keep no more than those from outside, and mostly nothing
        kept = needed(self._fields)  # the rest of the header is dropped
        octets = MESSAGE + kept_cost(kept)
        if octets > self._held.octets and not self._hold(octets - self._held.octets):
            return _BUSY
        treatment: Inbound | Outbound
        if self.envelope.origin is Origin.OUTSIDE:
            treatment = Inbound(self.rules, self.envelope, kept, removed, self._trace)
        else:
            treatment = Outbound(
                self.rules, self.envelope, self._fields, kept, removed, self._trace
            )
        if virus.address is not None:
            self.content = MessageContent(virus, self._fields, self._memory)
        self._held.set(octets)
        return treatment

    def add_body(self, chunk: bytes) -> None:
        """Take the next part of the body."""
        if self._treatment is None:
            self.end_header()
        self._size += len(chunk)
        if isinstance(self._treatment, Inbound | Outbound):
            self._treatment.hashes.update(chunk)
            if self._treatment.fragile is not None:
                self._treatment.fragile.update(chunk)
            if self.content is not None:
                self.content.write(chunk)

    def finish(self, now: int) -> Lookup[MessageOutcome]:
        """Decide the complete message."""
        # None: the MTA has not signalled the end of the header
        if self._treatment is None:
            self.end_header()
        treatment = self._treatment
        assert treatment is not None  # noqa: S101 # made when the header ended
        if isinstance(treatment, Reply):
            outcome = refused(treatment, self.envelope.origin, self.envelope.facts(""))
        else:
            outcome = yield from treatment.finish(now)
        return replace(
            outcome, facts={**self._facts(), **outcome.facts}, listed=tuple(self.envelope.listed)
        )

    def _facts(self) -> dict[str, object]:
        # the empty line after the header counts, too
        facts: dict[str, object] = {"size": self._octets + 2 + self._size}
        if self._message_id:
            facts["message_id"] = self._message_id
        return facts
