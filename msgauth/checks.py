"""All checks of a message from outside and their results, without any decision.

A `MessageChecks` is created when the header is complete, so that the body is hashed while it
streams; DNS is queried at the end, for all methods in one lookup.

The most important questions come first, because all share one time limit and a sender chooses many
of the names: first the policy of the author domain, with its own share of the time, then
identifiers that could be aligned with it, then the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from msgauth.address import IpAddress, plain
from msgauth.arc import ArcResult, ArcVerifier
from msgauth.ask import Lookup
from msgauth.authres import format_field
from msgauth.dkim import BodyHashes, DkimResult, MessageVerifier, VerifierLimits
from msgauth.dkim.verify import DEFAULT_LIMITS
from msgauth.dmarc import Author, DmarcCheck, DmarcResult
from msgauth.domain import DomainError, to_alabels
from msgauth.iprev import IprevResult, check_iprev
from msgauth.mail_address import NO_ADDRESS, MailAddress
from msgauth.message import HeaderField
from msgauth.results import Finding, IprevStatus, Property, SpfStatus
from msgauth.spf import SpfResult, check_helo, check_mail_from
from msgauth.trace import Trace

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Transaction:
    """The facts that SMTP gives about a message before its header (RFC 5321 section 3.3).

    `client` is the address of the client; None if unknown, and then checks that need it are
    skipped. `helo` is the name in HELO or EHLO, `mail_from` the reverse-path. `client_name` is the
    client's host name as verified by the MTA (FCrDNS), without a final dot, or empty.
    """

    client: IpAddress | None = None
    helo: str = ""
    mail_from: MailAddress = NO_ADDRESS
    client_name: str = ""


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """The methods to run, and their limits.

    DMARC depends on the results of DKIM and SPF, and cannot pass without them. `receiver` is our
    own host name, which may appear in an SPF explanation (RFC 7208 section 7.3). `limits` applies
    to DKIM.
    """

    dkim: bool = True
    spf: bool = True
    arc: bool = True
    dmarc: bool = True
    iprev: bool = True
    receiver: str = "unknown"
    limits: VerifierLimits = DEFAULT_LIMITS


DEFAULT_OPTIONS: Final = CheckOptions()


@dataclass(frozen=True, slots=True)
class Findings:
    """The results of all methods for one message; a method that did not run has none.

    `author` is the author in From. `dkim` has one result for each signature, at least
    one. `spf` is the result for MAIL FROM, or for the HELO name if there is no sender; `helo` is
    the result for the HELO name if there is a sender.
    """

    author: Author
    iprev: IprevResult | None = None
    helo: SpfResult | None = None
    spf: SpfResult | None = None
    dkim: tuple[DkimResult, ...] = ()
    arc: ArcResult | None = None
    dmarc: DmarcResult | None = None

    @property
    def all(self) -> tuple[Finding, ...]:
        """Every finding, in the order in which Authentication-Results shows them."""
        found = (self.iprev, self.helo, self.spf, *self.dkim, self.arc, self.dmarc)
        return tuple(finding for finding in found if finding is not None)

    @property
    def second_field(self) -> str:
        """The name of a second field added to a signed one, such as "Subject", or empty."""
        return next((one.second_field for one in self.dkim if one.second_field), "")

    def authentication_results(self, authserv_id: str, *, utf8: bool = False) -> HeaderField:
        """Return the Authentication-Results field (RFC 8601) of host `authserv_id`.

        Put it at the top of the message, after removing the fields that claim to be of the same
        host (`msgauth.fields_to_remove`). `utf8` tells whether the message may have UTF-8 in its
        header (RFC 6531). Raises `AuthresError` for an empty `authserv_id`.
        """
        return format_field(authserv_id, self.all, utf8=utf8)


class MessageChecks:
    """The checks of one message.

    `fields` is the whole header as it arrived, or as much of it as signatures can cover; `author`
    is the result of `find_author` for its From fields. `hashes` needs the body before `finish`:
    pass each chunk to ``hashes.update()``. `trace` records questions and findings.
    """

    def __init__(
        self,
        transaction: Transaction,
        fields: Sequence[HeaderField],
        author: Author,
        options: CheckOptions = DEFAULT_OPTIONS,
        trace: Trace | None = None,
    ) -> None:
        self._transaction = transaction
        self._author = author
        self._options = options
        self._trace = trace
        self.hashes = BodyHashes()
        self._dkim = MessageVerifier(fields, options.limits, self.hashes) if options.dkim else None
        self._arc = ArcVerifier(fields, self.hashes) if options.arc else None

    def finish(self, now: int) -> Lookup[Findings]:
        """Query DNS as needed and return the findings.

        `now` is the time in seconds since 1970 in UTC.
        """
        check = DmarcCheck(self._author) if self._options.dmarc else None
        if check:
            yield from self._follow("dmarc", check.find_policies())
            if self._dkim:
                yield from self._verify_alignable(check, self._dkim, now)
        spf = yield from self._follow("spf", self._check_mail_from(now))
        arc = (yield from self._follow("arc", self._arc.finish(now))) if self._arc else None
        dkim = (yield from self._follow("dkim", self._dkim.finish(now))) if self._dkim else ()
        dmarc = None
        if check:
            dmarc = yield from self._follow("dmarc", check.finish(dkim, spf or self._unknown_spf()))
        helo = yield from self._follow("spf", self._check_helo(now))
        iprev = yield from self._follow("iprev", self._check_iprev())
        return Findings(self._author, iprev, helo, spf, dkim, arc, dmarc)

    def _follow(self, step: str, lookup: Lookup[T]) -> Lookup[T]:
        return lookup if self._trace is None else self._trace.follow(lookup, step)

    def _verify_alignable(self, check: DmarcCheck, dkim: MessageVerifier, now: int) -> Lookup[None]:
        alignable = yield from self._follow("dmarc", check.alignable("dkim", dkim.domains))
        yield from self._follow("dkim", dkim.verify(now, alignable))

    def _check_iprev(self) -> Lookup[IprevResult | None]:
        client, name = self._transaction.client, self._transaction.client_name
        if not self._options.iprev or client is None:
            return None
        if name:
            # the MTA has already verified the name
            address = str(plain(client))
            shown = (Property("policy", "iprev", address),)
            reason = f"{name} has the address {address}"
            return IprevResult("iprev", IprevStatus.PASS, reason, shown, name)
        return (yield from check_iprev(client))

    def _check_helo(self, now: int) -> Lookup[SpfResult | None]:
        said, receiver = self._transaction, self._options.receiver
        # without a sender the check of MAIL FROM is that of the HELO name
        if not self._options.spf or said.client is None or not said.mail_from.text:
            return None
        return (yield from check_helo(said.client, said.helo, receiver=receiver, now=now))

    def _check_mail_from(self, now: int) -> Lookup[SpfResult | None]:
        said, receiver = self._transaction, self._options.receiver
        if not self._options.spf or said.client is None:
            return None
        # RFC 7208 section 2.4: the null reverse-path stands for postmaster at the HELO name
        check = check_mail_from(said.client, said.helo, said.mail_from, receiver=receiver, now=now)
        return (yield from check)

    def _unknown_spf(self) -> SpfResult:
        """Return a result for DMARC: it is unknown whether SPF would have passed for this
        domain."""
        said = self._transaction
        domain = said.mail_from.domain
        if not domain and "@" not in said.mail_from.text:
            try:
                domain = to_alabels(said.mail_from.text or said.helo)
            except DomainError:
                domain = ""
        return SpfResult(
            "spf", SpfStatus.TEMPERROR, "the client's address is not known", domain=domain
        )
