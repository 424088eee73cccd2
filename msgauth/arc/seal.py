"""Sealer of a forwarded message: adds an ARC set (RFC 8617 section 5.1).

A `SealSpec` holds domain and key and is created once; an `ArcSealer` is created for each message
and gets the outgoing body. Make all other changes to the message first, and pass fields that were
added above the header meanwhile at the end.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from msgauth.arc.sets import AAR, AMS, AS, MAX_SETS, ChainError, collect_sets, hashed_fields
from msgauth.arc.verify import ArcResult
from msgauth.authres import format_value
from msgauth.dkim.body import BodyHashes
from msgauth.dkim.canonical import RELAXED, Canonicalization
from msgauth.dkim.headers import DEFAULT_HEADERS, Header, HeaderPolicy
from msgauth.dkim.sign import SignedHeader, SigningError, hash_tags, sign_digest, signing_names
from msgauth.fold import FOLD, FoldError, fold, require_folded
from msgauth.keys import SigningKey
from msgauth.message import HeaderField
from msgauth.results import ArcStatus, Finding

SEALED_HEADERS: Final = HeaderPolicy(
    DEFAULT_HEADERS.always,
    DEFAULT_HEADERS.present,
    # RFC 8617 section 4.1.2: SHOULD include DKIM-Signature fields that are there
    (*DEFAULT_HEADERS.plain, "DKIM-Signature"),
)
"""The default fields of an ARC-Message-Signature: those of DKIM, and DKIM-Signature fields."""

_RESULTS_COLUMN: Final = len(f"{AAR.decode()}: i={MAX_SETS}; ")
"""The column of the results on the first line of ARC-Authentication-Results."""


@dataclass(frozen=True, slots=True)
class SealSpec:
    """Who seals and how.

    `domain` (d=) and `selector` (s=) may be given with U-labels and are written as A-labels. Raises
    `SigningError` for invalid values.
    """

    domain: str
    selector: str
    key: SigningKey = field(repr=False)
    canonicalization: Canonicalization = RELAXED
    headers: HeaderPolicy = SEALED_HEADERS

    def __post_init__(self) -> None:
        domain, selector = signing_names(self.domain, self.selector)
        object.__setattr__(self, "domain", domain)
        object.__setattr__(self, "selector", selector)


class ArcSealer:
    """Seals one message.

    `fields` is the whole header. `hashes` lets several parts share one pass over the body; pass the
    body to only one of them.
    """

    __slots__ = ("_body_hash", "_fields", "_hashes", "_spec")

    def __init__(
        self, spec: SealSpec, fields: Iterable[HeaderField], hashes: BodyHashes | None = None
    ) -> None:
        self._spec = spec
        self._fields = tuple(fields)
        self._hashes = BodyHashes() if hashes is None else hashes
        self._body_hash = self._hashes.want(spec.canonicalization.body)

    def body(self, chunk: bytes) -> None:
        """Take the next chunk of the body, cut anywhere."""
        self._hashes.update(chunk)

    def finish(
        self, now: int, chain: ArcResult, payload: str, above: Iterable[HeaderField] = ()
    ) -> tuple[HeaderField, ...]:
        """Return the set: ARC-Seal, ARC-Message-Signature, ARC-Authentication-Results.

        Put them above all other fields in this order. `now` is the time in seconds since 1970 in
        UTC. `chain` is what `ArcVerifier` found in the message as it arrived. `payload` is
        everything that this host found, as in Authentication-Results: authserv-id and results,
        folded with CRLF if it is long. `above` are the fields that were added above the header.

        Returns nothing if the chain is already sealed as broken (section 5.1 step 2). Raises
        `SigningError` if no set can be added: there are 50, the payload is invalid, or the state of
        the chain is unknown because DNS did not answer; a seal could then only declare it
        permanently broken (section 5.2.1).
        """
        if chain.sealed_as_failed:
            return ()
        if chain.status is ArcStatus.TEMPERROR:
            raise SigningError("the chain could not be verified now, so it cannot be sealed")
        instance = chain.highest + 1
        if instance > MAX_SETS:
            raise SigningError(f"the message has {MAX_SETS} ARC sets and can get no more")
        self._hashes.finish()
        header = Header((*above, *self._fields))
        aar = _results_field(instance, payload)
        ams = self._message_signature(header, instance, now)
        seal = self._seal(header, chain, (aar, ams), now)
        return seal, ams, aar

    def _message_signature(self, header: Header, instance: int, now: int) -> HeaderField:
        spec = self._spec
        signed = SignedHeader(header, spec.headers, spec.canonicalization.header)
        items = [f"i={instance};", f"a={spec.key.algorithm};", f"c={spec.canonicalization};"]
        items += [f"d={spec.domain};", f"s={spec.selector};", f"t={now};"]
        start = fold(items, column=len(AMS) + 2)
        tags = hash_tags(signed.names, self._body_hash.digest)
        return signed.sign(spec.key, HeaderField(AMS, f" {start}{FOLD}{tags}".encode("ascii")))

    def _seal(
        self, header: Header, chain: ArcResult, new: tuple[HeaderField, HeaderField], now: int
    ) -> HeaderField:
        spec = self._spec
        items = [f"i={chain.highest + 1};", f"a={spec.key.algorithm};", f"cv={chain.status};"]
        items += [f"d={spec.domain};", f"s={spec.selector};", f"t={now};"]
        start = fold(items, column=len(AS) + 2)
        unsigned = HeaderField(AS, f" {start}{FOLD}b=".encode("ascii"))
        covered: list[HeaderField] = []
        if chain.status is not ArcStatus.FAIL:
            # Section 5.1.1: all sets in order. Section 5.1.2: of a broken chain only the new one.
            covered += _older_fields(header, chain)
        covered += new
        digest = hashlib.sha256(hashed_fields(covered) + hashed_fields([unsigned])[:-2])
        signature = sign_digest(spec.key, digest.digest())
        return HeaderField(AS, unsigned.value + signature)


def results_payload(authserv_id: str, findings: Iterable[Finding]) -> str:
    """Return the payload for `ArcSealer.finish`: all findings of the host `authserv_id`.

    Raises `AuthresError` for an empty `authserv_id`.
    """
    return format_value(authserv_id, findings, column=_RESULTS_COLUMN)


def _results_field(instance: int, payload: str) -> HeaderField:
    if not payload:
        raise SigningError("there is nothing to seal: the payload is empty")
    try:
        return HeaderField(AAR, f" i={instance}; {require_folded(payload)}".encode())
    except FoldError as error:
        raise SigningError(str(error)) from error


def _older_fields(header: Header, chain: ArcResult) -> list[HeaderField]:
    try:
        sets = collect_sets(header)
    except ChainError as error:
        raise SigningError(f"the result is not of this message: {error}") from error
    if len(sets) != chain.highest:
        raise SigningError("the result is not of this message")
    return [part for one in sets for part in (one.aar, one.ams, one.seal_field)]
