"""Message that has arrived, or is arriving: its octets, and the facts in its header."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Final

from delivery.decision import SenderFacts
from delivery.header_filter import HeaderFilter
from delivery.known_results import known_field, own_results
from delivery.protocols.envelope import LmtpEnvelope, address_of
from delivery.reasons import NO_SPACE, TOO_LARGE
from delivery.subject_tag import NO_TAG, SubjectAddition, subject_tag
from gatepost.spool import Spool
from msgauth.authres import AuthenticationResults, dmarc_passed
from msgauth.dmarc import find_author
from msgauth.mail_address import NO_ADDRESS

_PRINTABLE: Final = bytes(range(0x21, 0x7F))


class ScannerCopy:
    """The message for a scanner: `size` octets, which `parts()` yields.

    `is_partial` tells that the end of the message is missing.
    """

    def __init__(
        self, head: bytes, spool: Spool, places: list[tuple[int, int]], whole: int
    ) -> None:
        self._head = head
        self._spool = spool
        self._places = places
        self.taken = sum(end - start for start, end in places)
        """Octets of the message in the copy."""
        self.size = len(head) + self.taken
        self.is_partial = self.taken < whole

    def parts(self) -> Iterator[bytes]:
        """Yield the octets."""
        return chain((self._head,), *(self._spool.read(start, end) for start, end in self._places))


class ArrivedMessage:
    """One message. `problem` is a reason id that keeps it from being delivered, or empty.

    `keeps_virus_status`: see `HeaderFilter`.
    """

    def __init__(self, spool: Spool, max_size: int, *, keeps_virus_status: bool = False) -> None:
        self._spool = spool
        self._max_size = max_size
        self._filter = HeaderFilter(keeps_virus_status=keeps_virus_status)
        self.problem = ""
        self.error = ""
        """The text of an error behind `problem`."""
        self.received = 0
        """Octets of content that came."""
        self._own_results: tuple[str, AuthenticationResults | None] | None = None

    @property
    def queue_id(self) -> str:
        """Return the queue id of our MTA, or an empty text."""
        return self._filter.queue_id

    @property
    def identity(self) -> str:
        """Return a text that is the same each time that our MTA sends the message.

        A queue id is used again for another message, but not within a second. Empty without one.
        """
        return f"{self.queue_id} {self._filter.received[-40:]}" if self.queue_id else ""

    @property
    def size(self) -> int:
        """Return the octets that are delivered, without our own fields."""
        return self._spool.size

    def write(self, data: bytes) -> None:
        """Take content."""
        self.received += len(data)
        if self.received > self._max_size and not self.problem:
            self._give_up(TOO_LARGE, "")
        if not self.problem:
            self._keep(self._filter.write(data))

    def finish(self) -> None:
        """Take the end of the content."""
        if not self.problem:
            self._keep(self._filter.finish())

    def sender(self, envelope: LmtpEnvelope, own_id: str) -> SenderFacts:
        """Return the facts about the sender."""
        author = find_author(self._filter.authors)
        one = NO_ADDRESS
        if not author.problem and len(author.mailboxes) == 1:
            one = author.mailboxes[0]
        results = self._results(own_id)
        is_vouched = bool(one.domain) and results is not None and dmarc_passed(results, one.domain)
        return SenderFacts(address_of(envelope.sender), one, is_vouched)

    def for_spam_scanner(self, envelope: LmtpEnvelope, own_id: str, limit: int) -> ScannerCopy:
        """Return the first `limit` octets without results of authentication, with ours on top."""
        sender = envelope.sender.encode()
        head = b""
        if not sender.translate(None, _PRINTABLE):
            head = b"Return-Path: <%b>\r\n" % sender
        head += known_field(self._results(own_id), own_id)
        whole = self._spool.size - sum(end - start for start, end in self._filter.hidden)
        return ScannerCopy(head, self._spool, list(self._shown(limit)), whole)

    def for_virus_scanner(self, limit: int) -> ScannerCopy:
        """Return the first `limit` octets as they came."""
        size = self._spool.size
        return ScannerCopy(b"", self._spool, [(0, min(limit, size))], size)

    def parts(self, head: bytes, tag: SubjectAddition = NO_TAG) -> Iterator[bytes]:
        """Yield the message as it is delivered, with `head` on top and a tag in its subject."""
        at, parts = 0, [iter((head, tag.head))]
        for place, text in tag.insertions:
            parts += [self._spool.read(at, place), iter((text,))]
            at = place
        return chain(*parts, self._spool.read(at, self._spool.size))

    def tagged(self, tag: str) -> SubjectAddition:
        """Return the additions that put a tag before the subject; none if it is empty."""
        return subject_tag(tag, self._filter.subjects) if tag else NO_TAG

    def close(self) -> None:
        """Forget the octets."""
        self._spool.close()

    def _results(self, own_id: str) -> AuthenticationResults | None:
        """Return the results of our milter, which are read once."""
        if self._own_results is None or self._own_results[0] != own_id:
            self._own_results = own_id, own_results(self._filter.results, (own_id,))
        return self._own_results[1]

    def _keep(self, data: bytes) -> None:
        try:
            self._spool.write(data)
        except OSError as error:
            self._give_up(NO_SPACE, str(error.strerror or error))

    def _give_up(self, problem: str, error: str) -> None:
        self.problem, self.error = problem, error
        self._spool.close()

    def _shown(self, limit: int) -> Iterator[tuple[int, int]]:
        """Yield the places that a spam scanner sees."""
        at = 0
        for hidden in [*self._filter.hidden, None]:
            end = self._spool.size if hidden is None else hidden.start
            end = min(end, at + limit)
            if at < end:
                yield at, end
                limit -= end - at
            if hidden is None or not limit:
                return
            at = hidden.end
