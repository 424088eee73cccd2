"""The evaluation of SPF records for one client (RFC 7208 sections 4.4 to 7)."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from msgauth.address import IpAddress, plain
from msgauth.ask import Answer, Lookup, Question, Rcode, RdType
from msgauth.domain import MAX_LABEL, MAX_NAME, is_at_or_below
from msgauth.results import SpfStatus
from msgauth.spf.macro import MacroError, MacroString, parse_explanation
from msgauth.spf.record import Directive, SpfRecord, SpfRecordError, is_record, parse

MAX_LOOKUPS = 10
"""Maximum terms of a check that query DNS (RFC 7208 section 4.6.4)."""

MAX_VOID_LOOKUPS = 2
"""Maximum void lookups (RFC 7208 section 4.6.4)."""

MAX_NAMES = 10
"""Maximum names looked up from an MX or PTR answer (RFC 7208 section 4.6.4)."""

MAX_EXPLANATION = 400
"""Maximum characters of an explanation: it must fit into one line of an SMTP reply, which has at
most 512 octets with its code (RFC 5321 section 4.5.3.1.5)."""

_UNPRINTABLE = re.compile(r"[^ -~]")


class TemporaryError(Exception):
    """DNS did not answer: the result is "temperror"."""


class PermanentError(Exception):
    """A record cannot be evaluated: the result is "permerror"."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The subject of a check, with the values of macros (RFC 7208 section 7.2)."""

    client: IpAddress
    local: str
    """Local part of the sender: macro l."""
    domain: str
    """Domain of the sender in A-labels: macro o."""
    helo: str
    """The HELO name as given: macro h."""
    receiver: str
    """Our own name: macro r."""
    now: int
    """Seconds since 1970: macro t."""


@dataclass(frozen=True, slots=True)
class CheckHostResult:
    """The result of check_host()."""

    status: SpfStatus
    domain: str
    """The domain whose record decided, perhaps after a redirect."""
    record: SpfRecord | None = None
    """That record, or None."""
    matched: Directive | None = None
    """The directive that matched, or None."""


class Evaluation:
    """One check: its subject, and the used part of the limits."""

    def __init__(self, subject: Subject) -> None:
        self.client = plain(subject.client)
        self._subject = subject
        self._number = int(self.client)
        self._is_ip4 = self.client.version == 4
        self._address_type: RdType = "A" if self._is_ip4 else "AAAA"
        self._lookups = 0
        self._voids = 0
        self._client_names: tuple[str, ...] | None = None
        self._validated: dict[str, bool] = {}

    def check_host(self, domain: str) -> Lookup[CheckHostResult]:
        """Evaluate the record of `domain`, and follow its redirect (RFC 7208 section 4).

        Raises `TemporaryError` and `PermanentError`.
        """
        record = yield from self._record(domain)
        while record is not None:
            for directive in record.directives:
                # Most directives need no DNS: those cost no generator.
                matched = self._matches_client(directive)
                if matched is None:
                    matched = yield from self._matches(directive, domain)
                if matched:
                    return CheckHostResult(directive.result, domain, record, directive)
            if record.redirect is None:
                return CheckHostResult(SpfStatus.NEUTRAL, domain, record)  # RFC 7208 section 4.7
            # RFC 7208 section 6.1
            self._count_lookup()
            target = yield from self._target(record.redirect, domain)
            redirected = None if target is None else (yield from self._record(target))
            if target is None or redirected is None:
                raise PermanentError(f"{domain} redirects to a domain without SPF record")
            domain, record = target, redirected
        return CheckHostResult(SpfStatus.NONE, domain)

    def _record(self, domain: str) -> Lookup[SpfRecord | None]:
        # RFC 7208 sections 4.4 and 4.5
        texts = [text for text in (yield from self._ask(domain, "TXT")) if is_record(text)]
        if len(texts) > 1:
            raise PermanentError(f"{domain} has {len(texts)} SPF records")
        try:
            return parse(texts[0]) if texts else None
        except SpfRecordError as error:
            raise PermanentError(f"SPF record of {domain}: {error}") from error

    def _matches_client(self, directive: Directive) -> bool | None:
        """Return None if this needs DNS."""
        mechanism = directive.mechanism
        if mechanism in ("ip4", "ip6"):
            # RFC 7208 section 5.6
            same_kind = self._is_ip4 == (mechanism == "ip4")
            return same_kind and self._number & directive.mask == directive.network
        return True if mechanism == "all" else None

    def _matches(self, directive: Directive, domain: str) -> Lookup[bool]:
        self._count_lookup()
        target = domain
        if directive.target is not None:
            expanded = yield from self._target(directive.target, domain)
            if expanded is None:
                if directive.mechanism == "include":
                    raise self._nothing_included(directive, domain)
                return False  # RFC 7208 section 4.8: no such name can be asked for
            target = expanded
        match directive.mechanism:
            case "include":
                # RFC 7208 section 5.2
                outcome = yield from self.check_host(target)
                if outcome.status is SpfStatus.NONE:
                    raise self._nothing_included(directive, domain)
                return outcome.status is SpfStatus.PASS
            case "a":
                addresses = yield from self._ask_counting(target, self._address_type)
                return self._is_among(addresses, directive)
            case "mx":
                return (yield from self._matches_mx(directive, target))
            case "ptr":
                return (yield from self._matches_ptr(target))
            case _:
                # RFC 7208 section 5.7: A records, whatever the client's address is
                return bool((yield from self._ask_counting(target, "A")))

    def _nothing_included(self, directive: Directive, domain: str) -> PermanentError:
        return PermanentError(
            f"{domain} includes a domain without SPF record ({directive.text[:80]})"
        )

    def _matches_mx(self, directive: Directive, target: str) -> Lookup[bool]:
        # RFC 7208 section 5.4
        exchanges = yield from self._ask_counting(target, "MX")
        hosts = [host for host in (mx.partition(" ")[2].rstrip(".") for mx in exchanges) if host]
        if len(hosts) > MAX_NAMES:
            # RFC 7208 section 4.6.4. This applies even if one of the first ten would match: answers
            # come in any order, and the result must be deterministic.
            raise PermanentError(f"{target} has more than {MAX_NAMES} MX hosts")
        for host in hosts:
            if self._is_among((yield from self._ask(host, self._address_type)), directive):
                return True
        return False

    def _matches_ptr(self, target: str) -> Lookup[bool]:
        # RFC 7208 section 5.5. A name that does not count need not be validated.
        names = yield from self._names_of_client(counting=True)
        for name in names:
            if is_at_or_below(name, target) and (yield from self._is_validated(name)):
                return True
        return False

    def _names_of_client(self, *, counting: bool) -> Lookup[tuple[str, ...]]:
        if self._client_names is None:
            answer: Answer = yield Question(self.client.reverse_pointer, "PTR")
            # RFC 7208 section 5.5: after a DNS error the mechanism does not match
            names = [] if answer.rcode is Rcode.TEMPFAIL else answer.records[:MAX_NAMES]
            self._client_names = tuple(name.rstrip(".").lower() for name in names)
            if counting and answer.rcode is not Rcode.TEMPFAIL:
                self._count_void(answer.records)
        elif counting:
            self._count_void(self._client_names)
        return self._client_names

    def _is_validated(self, name: str) -> Lookup[bool]:
        validated = self._validated.get(name)
        if validated is None:
            answer: Answer = yield Question(name, self._address_type)
            # RFC 7208 section 5.5: after a DNS error the name is skipped
            validated = self._validated[name] = (
                answer.rcode is not Rcode.TEMPFAIL and self._is_among(answer.records, None)
            )
        return validated

    def _is_among(self, addresses: tuple[str, ...], directive: Directive | None) -> bool:
        if self._is_ip4:
            parse_address: type[IpAddress] = ipaddress.IPv4Address
            shift = 32 - (directive.prefix4 if directive else 32)
        else:
            parse_address = ipaddress.IPv6Address
            shift = 128 - (directive.prefix6 if directive else 128)
        network = self._number >> shift
        for address in addresses:
            try:
                if int(parse_address(address)) >> shift == network:
                    return True
            except ValueError:
                continue  # an invalid address matches nothing
        return False

    def _count_lookup(self) -> None:
        self._lookups += 1
        if self._lookups > MAX_LOOKUPS:
            raise PermanentError(
                f"SPF of {self._subject.domain} needs more than {MAX_LOOKUPS} lookups"
            )

    def _count_void(self, records: tuple[str, ...]) -> None:
        if not records:
            self._voids += 1
            if self._voids > MAX_VOID_LOOKUPS:
                raise PermanentError(
                    f"SPF of {self._subject.domain} has more than {MAX_VOID_LOOKUPS} void lookups"
                )

    def _ask_counting(self, name: str, rdtype: RdType) -> Lookup[tuple[str, ...]]:
        records = yield from self._ask(name, rdtype)
        self._count_void(records)
        return records

    def _ask(self, name: str, rdtype: RdType) -> Lookup[tuple[str, ...]]:
        answer: Answer = yield Question(name, rdtype)
        if answer.rcode is Rcode.TEMPFAIL:
            # RFC 7208 sections 4.4 and 5
            raise TemporaryError(f"DNS gave no answer for {name[:80]} {rdtype}")
        return answer.records

    def _target(self, spec: MacroString, domain: str) -> Lookup[str | None]:
        """Return the expanded domain-spec, or None if it is not a valid name."""
        text = yield from self._expand(spec, domain)
        name = text.removesuffix(".").lower()
        if len(name) > MAX_NAME:
            # RFC 7208 section 7.3: labels are removed from the left
            name = name[name.find(".", len(name) - MAX_NAME - 1) + 1 :]
        # RFC 8616 section 4: a local part that is not ASCII makes a name that matches nothing
        if not name.isascii() or not name.isprintable() or len(name) > MAX_NAME:
            return None
        if any(not 0 < len(label) <= MAX_LABEL for label in name.split(".")):
            return None
        return name

    def _expand(self, spec: MacroString, domain: str) -> Lookup[str]:
        subject = self._subject
        validated = "unknown"
        if spec.uses("p"):
            validated = yield from self._validated_name(domain)

        def value_of(letter: str) -> str:
            # RFC 7208 section 7.2
            match letter:
                case "s":
                    return f"{subject.local}@{subject.domain}"
                case "l":
                    return subject.local
                case "o":
                    return subject.domain
                case "d":
                    return domain
                case "i":
                    return self._dotted()
                case "p":
                    return validated
                case "v":
                    return "in-addr" if self._is_ip4 else "ip6"
                case "h":
                    return subject.helo
                case "c":
                    return str(self.client)
                case "r":
                    return subject.receiver
                case _:
                    return str(subject.now)

        return spec.expand(value_of)

    def _dotted(self) -> str:
        if self._is_ip4:
            return str(self.client)
        return ".".join(f"{self._number:032X}")  # RFC 7208 section 7.3: nibbles

    def _validated_name(self, domain: str) -> Lookup[str]:
        # RFC 7208 section 7.3: the domain itself, else a subdomain, else any name, else "unknown"
        names = yield from self._names_of_client(counting=False)
        for name in sorted(names, key=lambda n: (n != domain, not is_at_or_below(n, domain))):
            if (yield from self._is_validated(name)):
                return name
        return "unknown"

    def explain(self, exp: MacroString, domain: str) -> Lookup[str]:
        """Return the domain's explanation; empty if there is none or it is unusable.

        A failure here does not change the result (RFC 7208 section 6.2).
        """
        target = yield from self._target(exp, domain)
        if target is None:
            return ""
        answer: Answer = yield Question(target, "TXT")
        if answer.rcode is not Rcode.OK or len(answer.records) != 1:
            return ""
        try:
            text = yield from self._expand(parse_explanation(answer.records[0]), domain)
        except MacroError:
            return ""
        return _UNPRINTABLE.sub("?", text[:MAX_EXPLANATION]).strip()
