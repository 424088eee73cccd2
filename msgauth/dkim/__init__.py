"""DomainKeys Identified Mail: signs and verifies (RFC 6376, RFC 8301, RFC 8463, RFC 8616)."""

from msgauth.dkim.body import BodyHashes
from msgauth.dkim.canonical import RELAXED, SIMPLE, Canonical, Canonicalization
from msgauth.dkim.headers import DEFAULT_HEADERS, HeaderPolicy
from msgauth.dkim.record import (
    KeyRecord,
    KeyRecordError,
    RevokedError,
    key_record_name,
    parse_key_record,
)
from msgauth.dkim.sign import MessageSigner, SignatureSpec, SigningError
from msgauth.dkim.signature import Signature
from msgauth.dkim.verify import DkimResult, MessageVerifier, VerifierLimits

__all__ = [
    "DEFAULT_HEADERS",
    "RELAXED",
    "SIMPLE",
    "BodyHashes",
    "Canonical",
    "Canonicalization",
    "DkimResult",
    "HeaderPolicy",
    "KeyRecord",
    "KeyRecordError",
    "MessageSigner",
    "MessageVerifier",
    "RevokedError",
    "Signature",
    "SignatureSpec",
    "SigningError",
    "VerifierLimits",
    "key_record_name",
    "parse_key_record",
]
