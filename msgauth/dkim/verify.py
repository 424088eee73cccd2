"""Verifier of the DKIM signatures of a streamed message (RFC 6376 section 6).

A `MessageVerifier` is created when the header is complete, gets the body in chunks, and queries DNS
at the end. Cheap steps come first: the structure, then the body hash, then DNS, then public-key
cryptography. Everything is bounded: signatures, their length, the records of a key, the size of a
key.

A result of ``pass`` means that the signature covers the whole body and every From field, that its
key is long enough, and that no field which may only occur once was doubled; a signature that
verifies without all this is ``policy``.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from msgauth.ask import Lookup
from msgauth.dkim.body import BodyHash, BodyHashes
from msgauth.dkim.check import (
    check_body,
    check_times,
    find_records,
    header_digest,
    verifying_record,
)
from msgauth.dkim.headers import Header
from msgauth.dkim.record import KeyRecord
from msgauth.dkim.signature import RejectedError, Signature, parse_signature, read_tags
from msgauth.domain import to_alabels
from msgauth.errors import MsgauthError
from msgauth.keys import MIN_RSA_BITS
from msgauth.message import HeaderField
from msgauth.results import DkimStatus, Finding, Property

FIELD_NAME: Final = b"dkim-signature"
_TESTING: Final = "the key is under test (t=y)"


@dataclass(frozen=True, slots=True)
class VerifierLimits:
    """Limits of the work for a message.

    `max_signatures` are checked from the top; mail with more than five is rare. `clock_drift` is
    the number of seconds by which a signer's clock may differ from ours. With `learn_testing`, the
    key is also queried for a signature that has already failed, so that `DkimResult.testing` is
    known if a failure counts against the message.
    """

    max_signatures: int = 10
    clock_drift: int = 3600
    learn_testing: bool = False


DEFAULT_LIMITS: Final = VerifierLimits()


@dataclass(frozen=True, slots=True)
class DkimResult(Finding):
    """The result of one DKIM-Signature field.

    `domain` (d=), `selector` (s=), `auid` (i=) and `algorithm` (a=) are empty if the field could
    not be parsed. `key_bits` is 0 if no key was used. `testing` is the key's flag t=y: the message
    MUST NOT be treated differently from unsigned mail then (RFC 6376 section 3.6.1). `second_field`
    names a field added to the signed one, such as "Subject" (section 8.15). `signature` has all
    tags, if they could be parsed.
    """

    domain: str = ""
    selector: str = ""
    auid: str = ""
    algorithm: str = ""
    key_bits: int = 0
    testing: bool = False
    second_field: str = ""
    signature: Signature | None = None


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A well-formed signature, waiting for the end of the body."""

    field: HeaderField
    signature: Signature
    body_hash: BodyHash


class MessageVerifier:
    """Verifies all signatures of one message.

    `fields` is the whole header as it arrived. `hashes` lets several parts share one pass over the
    body; pass the body to only one of them.
    """

    __slots__ = ("_entries", "_hashes", "_header", "_limits", "_unchecked")

    def __init__(
        self,
        fields: Iterable[HeaderField],
        limits: VerifierLimits = DEFAULT_LIMITS,
        hashes: BodyHashes | None = None,
    ) -> None:
        self._limits = limits
        self._hashes = BodyHashes() if hashes is None else hashes
        self._header = Header(fields)
        signed = self._header.named(FIELD_NAME)
        self._unchecked = max(len(signed) - limits.max_signatures, 0)
        self._entries = [self._read(one) for one in signed[: limits.max_signatures]]

    def _read(self, field: HeaderField) -> _Candidate | DkimResult:
        tags: dict[str, str] = {}
        try:
            tags = read_tags(field.value)
            signature = parse_signature(tags)
        except RejectedError as error:
            return _unread(tags, error)
        body_hash = self._hashes.want(signature.canonicalization.body, signature.length)
        return _Candidate(field, signature, body_hash)

    def body(self, chunk: bytes) -> None:
        """Take the next chunk of the body, cut anywhere."""
        self._hashes.update(chunk)

    @property
    def domains(self) -> tuple[str, ...]:
        """The d= of the signatures not verified yet, in the order of the message."""
        waiting = (entry for entry in self._entries if isinstance(entry, _Candidate))
        return tuple(entry.signature.domain for entry in waiting)

    def verify(self, now: int, domains: Iterable[str]) -> Lookup[None]:
        """Verify the signatures of `domains`, in their order, before `finish` does the others.

        Use it to spend the time for DNS on them first. The body must have ended.
        """
        self._hashes.finish()
        for domain in dict.fromkeys(domains):
            for number, entry in enumerate(self._entries):
                if isinstance(entry, _Candidate) and entry.signature.domain == domain:
                    self._entries[number] = yield from self._verify(entry, now)

    def finish(self, now: int) -> Lookup[tuple[DkimResult, ...]]:
        """Return one result for each signature in the order of the message, at least one.

        `now` is the time in seconds since 1970 in UTC. A message without signatures has the one
        result ``none``; signatures beyond the limit share one result ``neutral``.
        """
        yield from self.verify(now, self.domains)
        results = [entry for entry in self._entries if isinstance(entry, DkimResult)]
        if self._unchecked:
            reason = f"{self._unchecked} more signatures were not checked"
            results.append(DkimResult("dkim", DkimStatus.NEUTRAL, reason))
        if not results:
            results.append(DkimResult("dkim", DkimStatus.NONE, "the message is not signed"))
        return tuple(results)

    def _verify(self, candidate: _Candidate, now: int) -> Lookup[DkimResult]:
        signature = candidate.signature
        try:
            check_times(signature, now, self._limits.clock_drift)
            check_body(signature, candidate.body_hash)
        except RejectedError as error:
            known = yield from self._key_of_failed(signature)
            return _result(signature, error.status, str(error), known)
        try:
            records = yield from _records(signature)
        except RejectedError as error:
            return _result(signature, error.status, str(error))
        digest = header_digest(self._header, candidate.field, signature)
        record = verifying_record(records, digest, signature.signature)
        if record is None:
            reason = "the signature does not match the header and the key"
            return _result(signature, DkimStatus.FAIL, reason, records[0])
        # RFC 6376 section 8.15: a mail program may show the unsigned field
        if second := self._header.second_field(signature.names):
            reason = f"the message has a {second} that the signature does not cover"
            result = _result(signature, DkimStatus.POLICY, reason, record)
            return replace(result, second_field=second)
        reason = _objection(candidate, record)
        return _result(signature, DkimStatus.POLICY if reason else DkimStatus.PASS, reason, record)

    def _key_of_failed(self, signature: Signature) -> Lookup[KeyRecord | None]:
        if not self._limits.learn_testing:
            return None
        try:
            return (yield from _records(signature))[0]
        except RejectedError:
            return None


def _objection(candidate: _Candidate, record: KeyRecord) -> str:
    """Return why a signature that verifies does not count, or the empty string."""
    length = candidate.signature.length
    if record.key.is_too_short:
        # RFC 8301 section 3.2: MUST NOT be considered valid
        return f"the key has {record.key.bits} bits, fewer than {MIN_RSA_BITS}"
    if length is not None:
        # RFC 6376 section 8.2: anybody can append to the signed part
        return (
            f"l= covers {length} of {candidate.body_hash.octets} octets and lets others append more"
        )
    return ""


def _records(signature: Signature) -> Lookup[Sequence[KeyRecord]]:
    return find_records(signature.selector, signature.domain, signature.key_type, signature.auid)


def _result(
    signature: Signature, status: DkimStatus, reason: str, record: KeyRecord | None = None
) -> DkimResult:
    testing = record.testing if record else False
    if testing:
        reason = f"{reason}; {_TESTING}" if reason else _TESTING
    # anybody can write anything into i=, and no key has confirmed that of a failed signature
    auid = (Property("header", "i", signature.auid),) if status is DkimStatus.PASS else ()
    # RFC 8601 section 2.7.1, and RFC 6008 for header.b: eight characters tell signatures apart
    properties = (
        Property("header", "d", signature.domain),
        *auid,
        Property("header", "s", signature.selector),
        Property("header", "a", signature.algorithm),
        Property("header", "b", base64.b64encode(signature.signature[:6]).decode("ascii")),
    )
    return DkimResult(
        "dkim",
        status,
        reason,
        properties,
        domain=signature.domain,
        selector=signature.selector,
        auid=signature.auid,
        algorithm=signature.algorithm,
        key_bits=record.key.bits if record else 0,
        testing=testing,
        signature=signature,
    )


def _unread(tags: dict[str, str], error: RejectedError) -> DkimResult:
    """Return the result of an unusable signature field, with the names that can be shown."""
    shown = {}
    for tag in ("d", "s"):
        try:
            shown[tag] = to_alabels(tags[tag])
        except (KeyError, MsgauthError):
            continue
    return DkimResult(
        "dkim",
        error.status,
        str(error),
        tuple(Property("header", tag, value) for tag, value in shown.items()),
        domain=shown.get("d", ""),
        selector=shown.get("s", ""),
    )
