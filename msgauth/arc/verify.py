"""Verifier of the ARC chain of a streamed message (RFC 8617 section 5.2).

It checks the structure first, then the body, then queries DNS. The sets of a chain that passed tell
who sealed the message and what each sealer found; those of another chain tell nothing, because a
broken chain MUST be treated as none.

RFC 8617 section 5.2.1 counts a DNS failure as a permanently broken chain. That is for sealers,
which have to record a result; here it is `temperror`, so that a later attempt may succeed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from msgauth.arc.sets import ArcSet, ChainError, Seal, collect_sets, hashed_fields
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
from msgauth.dkim.signature import (
    RejectedError,
    Signature,
    parse_message_signature,
    without_signature,
)
from msgauth.keys import MIN_RSA_BITS
from msgauth.message import HeaderField
from msgauth.results import ArcStatus, DkimStatus, Finding, Property

MAX_OLDER: Final = 10
"""Maximum older message signatures checked to find the oldest that passes: this is for information
only (RFC 8617 section 5.2 step 5), and longer chains are rare."""

CLOCK_DRIFT: Final = 3600
"""Seconds a sealer's clock may differ from ours."""


@dataclass(frozen=True, slots=True)
class ArcHop:
    """One sealer of the message, as stated by its seal.

    `domain` and `selector` are those of the seal, in A-labels; `payload` is the text of its
    ARC-Authentication-Results after the instance: authserv-id and results.
    """

    instance: int
    domain: str
    selector: str
    payload: str


@dataclass(frozen=True, slots=True)
class ArcResult(Finding):
    """The result of an ARC chain.

    `hops` is empty unless the chain passed, the oldest first. `oldest_pass` is 0 if every message
    signature verifies, otherwise the oldest instance from which on all do. It is None without a
    pass, and if it is unknown because `MAX_OLDER` skipped some or DNS did not answer. `highest` is
    the highest instance found, whatever the result; `sealed_as_failed` says that the newest seal
    has cv=fail and no further set must be added (RFC 8617 section 5.1 step 2).
    """

    hops: tuple[ArcHop, ...] = ()
    oldest_pass: int | None = None
    highest: int = 0
    sealed_as_failed: bool = False

    @property
    def sealers(self) -> tuple[str, ...]:
        """The domains that sealed, the oldest first; empty unless the chain passed."""
        return tuple(hop.domain for hop in self.hops)


@dataclass(frozen=True, slots=True)
class _MessageSignature:
    """The AMS of one set, waiting for the end of the body."""

    field: HeaderField
    signature: Signature
    body_hash: BodyHash


class ArcVerifier:
    """Verifies the chain of one message.

    `fields` is the whole header as it arrived. `hashes` lets several parts share one pass over the
    body; pass the body to only one of them.
    """

    __slots__ = ("_broken", "_hashes", "_header", "_is_cut", "_newest", "_older", "_sets")

    def __init__(self, fields: Iterable[HeaderField], hashes: BodyHashes | None = None) -> None:
        self._hashes = BodyHashes() if hashes is None else hashes
        self._header = Header(fields)
        self._broken: ArcResult | None = None
        self._is_cut = False  # whether message signatures are there that will not be checked
        self._newest: _MessageSignature | None = None
        self._older: list[_MessageSignature] = []
        self._sets: tuple[ArcSet, ...] = ()
        try:
            self._sets = collect_sets(self._header)
            if self._sets:
                self._newest = self._read(self._sets[-1])
        except ChainError as error:
            # the result, not the exception: that keeps its frames, and they keep the message
            self._broken = ArcResult(
                "arc",
                ArcStatus.FAIL,
                str(error),
                highest=error.highest,
                sealed_as_failed=error.sealed,
            )
            return
        self._is_cut = len(self._sets) > MAX_OLDER + 1
        for one in self._sets[-2 : -2 - MAX_OLDER : -1]:
            try:
                self._older.append(self._read(one))
            except ChainError:
                # an unreadable older one does not verify: those before it do not count
                self._is_cut = False
                break

    def _read(self, one: ArcSet) -> _MessageSignature:
        try:
            signature = _message_signature(one.ams_tags)
        except RejectedError as error:
            raise ChainError(f"set {one.instance}: {error}", self._sets[-1].instance) from error
        body_hash = self._hashes.want(signature.canonicalization.body)
        return _MessageSignature(one.ams, signature, body_hash)

    def body(self, chunk: bytes) -> None:
        """Take the next chunk of the body, cut anywhere."""
        self._hashes.update(chunk)

    def finish(self, now: int) -> Lookup[ArcResult]:
        """Return the result; `now` is the time in seconds since 1970 in UTC."""
        self._hashes.finish()
        if self._broken is not None:
            return self._broken
        if self._newest is None:
            return ArcResult("arc", ArcStatus.NONE)
        highest = self._sets[-1].instance
        try:
            yield from self._verify_message(self._newest, now)
            yield from self._verify_seals()
        except RejectedError as error:
            temporary = error.status is DkimStatus.TEMPERROR
            status = ArcStatus.TEMPERROR if temporary else ArcStatus.FAIL
            return ArcResult("arc", status, str(error), highest=highest)
        oldest = yield from self._oldest_pass(now)
        return ArcResult(
            "arc",
            ArcStatus.PASS,
            # RFC 8617 section 10.2
            properties=() if oldest is None else (Property("header", "oldest-pass", str(oldest)),),
            hops=tuple(
                ArcHop(one.instance, one.seal.domain, one.seal.selector, one.payload)
                for one in self._sets
            ),
            oldest_pass=oldest,
            highest=highest,
        )

    def _verify_message(self, one: _MessageSignature, now: int) -> Lookup[None]:
        """Verify the message signature like a DKIM signature (step 4)."""
        signature = one.signature
        check_times(signature, now, CLOCK_DRIFT)
        check_body(signature, one.body_hash)
        digest = header_digest(self._header, one.field, signature)
        yield from _verify(signature, digest, "the message signature does not match")
        if second := self._header.second_field(signature.names):
            # RFC 6376 section 8.15, for the AMS by RFC 8617 section 4.1.2: the reader may be
            # shown the field that nobody signed
            raise RejectedError(DkimStatus.POLICY, f"a {second} is not covered")

    def _verify_seals(self) -> Lookup[None]:
        """Verify every seal over all sets up to its own (step 6, section 5.1.1).

        The first invalid seal decides, even after one whose key could not be fetched.
        """
        digests = list(_seal_digests(self._sets))
        temporary = None
        for one, digest in zip(reversed(self._sets), reversed(digests), strict=True):
            try:
                yield from _verify(one.seal, digest, f"seal {one.instance} does not match")
            except RejectedError as error:
                if error.status is not DkimStatus.TEMPERROR:
                    raise
                temporary = temporary or error
        if temporary is not None:
            raise temporary

    def _oldest_pass(self, now: int) -> Lookup[int | None]:
        """Return the instance from which on all message signatures verify (step 5, for information
        only).

        None if unknown.
        """
        passed = self._sets[-1].instance
        for one in self._older:
            try:
                yield from self._verify_message(one, now)
            except RejectedError as error:
                return None if error.status is DkimStatus.TEMPERROR else passed
            passed -= 1
        if passed == 1:
            return 0
        return None if self._is_cut else passed


def _message_signature(tags: dict[str, str]) -> Signature:
    signature = parse_message_signature(tags)
    if signature.length is not None:
        # RFC 6376 section 8.2: everybody could append to what the sealer saw
        raise RejectedError(DkimStatus.POLICY, "l= lets others append")
    if b"arc-seal" in signature.names:
        # RFC 8617 section 4.1.2: MUST NOT be included. The other two ARC fields MUST NOT either,
        # and are let pass because sealers that followed the drafts did include them.
        raise RejectedError(DkimStatus.PERMERROR, "h= includes ARC-Seal")
    return signature


def _verify(signed: Signature | Seal, digest: bytes, misfit: str) -> Lookup[None]:
    records = yield from find_records(signed.selector, signed.domain, signed.key_type)
    record = verifying_record(records, digest, signed.signature)
    if record is None:
        raise RejectedError(DkimStatus.FAIL, misfit)
    if record.key.is_too_short:
        # RFC 8301 section 3.2, which RFC 8617 section 4.1.3 takes over with the algorithms
        reason = f"a key has {record.key.bits} bits, fewer than {MIN_RSA_BITS}"
        raise RejectedError(DkimStatus.POLICY, reason)


def _seal_digests(sets: Iterable[ArcSet]) -> Iterable[bytes]:
    """Yield what each seal signs (RFC 8617 section 5.1.1), hashing every field once."""
    digest = hashlib.sha256()
    for one in sets:
        digest.update(hashed_fields([one.aar, one.ams]))
        unsigned = HeaderField(one.seal_field.name, without_signature(one.seal_field.value))
        own = digest.copy()
        own.update(hashed_fields([unsigned])[:-2])
        yield own.digest()
        digest.update(hashed_fields([one.seal_field]))
