"""The checks of one signature that DKIM and ARC share, each a step of RFC 6376 section 6.1.

Each returns the input of the next step, or raises `RejectedError` with the result and one sentence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from msgauth.ask import Lookup, Rcode, ask
from msgauth.dkim.body import BodyHash
from msgauth.dkim.canonical import canonical_field
from msgauth.dkim.headers import Header
from msgauth.dkim.record import KeyRecord, KeyRecordError, key_record_name, parse_key_record
from msgauth.dkim.signature import RejectedError, Signature, without_signature
from msgauth.keys import KeyType
from msgauth.message import HeaderField
from msgauth.results import DkimStatus

MAX_KEY_RECORDS: Final = 4
"""Maximum TXT records tried at a key's name: there should be one, and a change of keys or a
wildcard may cause two (RFC 6376 section 3.6.2.2)."""


def check_times(signature: Signature, now: int, drift: int) -> None:
    """Check that the signature is valid at `now`, give or take `drift` (section 6.1.1)."""
    if signature.expires is not None and now > signature.expires + drift:
        raise RejectedError(DkimStatus.PERMERROR, "the signature has expired")
    if signature.timestamp is not None and signature.timestamp > now + drift:
        # RFC 6376 section 3.5: implementations MAY ignore signatures from the future
        raise RejectedError(DkimStatus.NEUTRAL, "the signature is from the future")


def check_body(signature: Signature, body_hash: BodyHash) -> None:
    """Check that bh= is the hash of the body (section 6.1.3).

    It comes before the query for the key, because it needs none and a failure is final.
    """
    if signature.length is not None and signature.length > body_hash.octets:
        # RFC 6376 section 3.5: l= MUST NOT be larger than the canonical body
        raise RejectedError(DkimStatus.FAIL, "the body is shorter than l= says")
    if signature.body_hash != body_hash.digest:
        raise RejectedError(DkimStatus.FAIL, "the body was changed")


def find_records(
    selector: str, domain: str, key_type: KeyType, auid: str = ""
) -> Lookup[Sequence[KeyRecord]]:
    """Query the key and return the matching records, at least one (section 6.1.2).

    `auid` is i= of a DKIM signature, for keys that do not allow a subdomain in it.
    """
    name = key_record_name(selector, domain)
    answer = yield from ask(name, "TXT")
    if answer.rcode is Rcode.TEMPFAIL:
        raise RejectedError(DkimStatus.TEMPERROR, f"DNS did not answer for the key {name}")
    if not answer.records:
        raise RejectedError(DkimStatus.PERMERROR, f"there is no key {name}")
    records = []
    reasons = []
    for text in answer.records[:MAX_KEY_RECORDS]:
        try:
            record = parse_key_record(text)
        except KeyRecordError as error:
            reasons.append(str(error))
            continue
        reason = _misfit(record, domain, key_type, auid)
        if reason:
            reasons.append(reason)
        else:
            records.append(record)
    if not records:
        raise RejectedError(DkimStatus.PERMERROR, reasons[0])
    return records


def _misfit(record: KeyRecord, domain: str, key_type: KeyType, auid: str) -> str:
    """Return why `record` does not apply to this signature, or the empty string (RFC 6376 section
    6.1.2)."""
    if not record.services & {"*", "email"}:
        return "the key is not for mail"
    if record.hashes is not None and "sha256" not in record.hashes:
        return "the key is not for the hash of the signature"
    if record.key.type != key_type:
        return "the key is not for the algorithm of the signature"
    if record.strict and auid.rpartition("@")[2] not in ("", domain):
        return "the key allows no subdomain in i="
    return ""


def header_digest(header: Header, own: HeaderField, signature: Signature) -> bytes:
    """Return the digest that `signature`, in its field `own`, signs (RFC 6376 section 3.7)."""
    algorithm = signature.canonicalization.header
    covered = header.covered(signature.names, own)
    digest = hashlib.sha256(header.canonical(covered, algorithm))
    unsigned = HeaderField(own.name, without_signature(own.value))
    digest.update(canonical_field(unsigned, algorithm)[:-2])
    return digest.digest()


def verifying_record(
    records: Sequence[KeyRecord], digest: bytes, signature: bytes
) -> KeyRecord | None:
    """Return the record whose key verifies the signature, if any does (section 6.1.3)."""
    for record in records:
        if record.key.verify(digest, signature):
            return record
    return None
