"""Signer of a streamed message (RFC 6376 section 5, RFC 8463, RFC 8616).

A `SignatureSpec` holds domain, key and options; it is created once for a domain and used for every
message. A `MessageSigner` is created when the header of a message is complete, gets the body in
chunks, and returns the DKIM-Signature fields at the end. Memory does not grow with the body.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from msgauth.dkim.body import BodyHash, BodyHashes
from msgauth.dkim.canonical import RELAXED, Canonical, Canonicalization, canonical_field
from msgauth.dkim.headers import DEFAULT_HEADERS, Header, HeaderPolicy
from msgauth.dkim.quoted import encode_quoted
from msgauth.dkim.record import key_record_name
from msgauth.domain import is_at_or_below, to_alabels
from msgauth.errors import MsgauthError
from msgauth.fold import FOLD, fold, fold_anywhere
from msgauth.keys import SigningKey
from msgauth.message import HeaderField

MAX_TTL: Final = 10 * 366 * 24 * 3600
"""Maximum validity of a signature in seconds: more is probably a mistake in the unit."""

CACHED_LISTS: Final = 1024
"""Cached folded h= lists: the mail of a site has a few dozen sets of header fields."""

MAX_LOCAL_PART: Final = 64
"""Maximum length of the local part of i= (RFC 5321 section 4.5.3.1.1)."""

_FIELD_NAME: Final = b"DKIM-Signature"


class SigningError(MsgauthError):
    """A message cannot be signed, or the requested signature is not allowed."""


@dataclass(frozen=True, slots=True)
class SignatureSpec:
    """Domain, key and options of one DKIM-Signature field, for any number of messages.

    `domain` (d=) and `selector` (s=) may be given with U-labels and are written as A-labels (RFC
    8616 section 5). `auid` (i=) is an address, or ``@`` and a domain, at or below `domain`; None
    writes no i=. `ttl` is the time in seconds after which the signature expires (x=); None writes
    no x=. Raises `SigningError` for invalid values.
    """

    domain: str
    selector: str
    key: SigningKey = field(repr=False)
    canonicalization: Canonicalization = RELAXED
    headers: HeaderPolicy = DEFAULT_HEADERS
    ttl: int | None = None
    auid: str | None = None
    _start: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        domain, selector = signing_names(self.domain, self.selector)
        if self.ttl is not None and not 0 < self.ttl <= MAX_TTL:
            raise SigningError(f"the signature cannot expire after {self.ttl} seconds")
        items = ["v=1;", f"a={self.key.algorithm};", f"c={self.canonicalization};"]
        items += [f"d={domain};", f"s={selector};"]
        if self.auid is not None:
            items.append(f"i={_encoded_auid(self.auid, domain)};")
        object.__setattr__(self, "domain", domain)
        object.__setattr__(self, "selector", selector)
        object.__setattr__(self, "_start", fold(items, column=len(_FIELD_NAME) + 2))

    @property
    def record_name(self) -> str:
        """The name at which the public key must be published."""
        return key_record_name(self.selector, self.domain)

    def unsigned_value(self, names: tuple[str, ...], body_digest: bytes, now: int) -> str:
        """Return the field's value with an empty b= at its end (RFC 6376 section 3.5)."""
        expires = "" if self.ttl is None else f" x={now + self.ttl};"
        return f" {self._start}{FOLD}t={now};{expires}{FOLD}{hash_tags(names, body_digest)}"


def signing_names(domain: str, selector: str) -> tuple[str, str]:
    """Return d= and s= in A-labels; raises `SigningError` if no key can be published there."""
    try:
        names = to_alabels(domain), to_alabels(selector)
        key_record_name(names[1], names[0])
    except MsgauthError as error:
        raise SigningError(f"domain or selector: {error}") from error
    if "." not in names[0]:
        # RFC 6376 section 3.5, domain-name
        raise SigningError(f"the domain {domain!r} has only one label")
    return names


class MessageSigner:
    """Signs one message, once for each of `specs`.

    `fields` is the whole header, without the fields that will be added above it. `hashes` lets
    several parts share one pass over the body; pass the body to only one of them. Raises
    `SigningError` for a header without exactly one From, which must not be signed.
    """

    __slots__ = ("_hashes", "_parts")

    def __init__(
        self,
        specs: Iterable[SignatureSpec],
        fields: Iterable[HeaderField],
        hashes: BodyHashes | None = None,
    ) -> None:
        self._hashes = BodyHashes() if hashes is None else hashes
        header = Header(fields)
        if len(header.named(b"from")) != 1:
            # RFC 6376 section 8.15: the signer would vouch for a message that mail programs show
            # differently
            raise SigningError("the message does not have exactly one From field")
        shared: dict[tuple[int, Canonical], SignedHeader] = {}
        self._parts: list[tuple[SignatureSpec, SignedHeader, BodyHash]] = []
        for spec in specs:
            algorithm = spec.canonicalization.header
            signed = shared.get((id(spec.headers), algorithm))
            if signed is None:
                signed = SignedHeader(header, spec.headers, algorithm)
                shared[id(spec.headers), algorithm] = signed
            self._parts.append((spec, signed, self._hashes.want(spec.canonicalization.body)))

    def body(self, chunk: bytes) -> None:
        """Take the next chunk of the body, cut anywhere."""
        self._hashes.update(chunk)

    def finish(self, now: int) -> tuple[HeaderField, ...]:
        """Return the DKIM-Signature fields in the order of the specs.

        `now` is the time in seconds since 1970 in UTC. Put them above all other fields.
        """
        self._hashes.finish()
        fields = []
        for spec, signed, body_hash in self._parts:
            value = spec.unsigned_value(signed.names, body_hash.digest, now)
            fields.append(signed.sign(spec.key, HeaderField(_FIELD_NAME, value.encode("ascii"))))
        return tuple(fields)


class SignedHeader:
    """The part of a header hash that all signatures over the same fields share.

    Raises `SigningError` if too many fields would be covered.
    """

    __slots__ = ("_algorithm", "_hash", "names")

    def __init__(self, header: Header, policy: HeaderPolicy, algorithm: Canonical) -> None:
        self._algorithm = algorithm
        try:
            self.names, covered = policy.select(header)
        except MsgauthError as error:
            raise SigningError(str(error)) from error
        self._hash = hashlib.sha256(header.canonical(covered, algorithm))

    def sign(self, key: SigningKey, unsigned: HeaderField) -> HeaderField:
        """Return `unsigned`, whose value ends with an empty b=, with the signature filled in."""
        header_hash = self._hash.copy()
        # RFC 6376 section 3.7: the field itself comes last, without its CRLF
        header_hash.update(canonical_field(unsigned, self._algorithm)[:-2])
        signature = sign_digest(key, header_hash.digest())
        return HeaderField(unsigned.name, unsigned.value + signature)


def hash_tags(names: tuple[str, ...], body_digest: bytes) -> str:
    """Return h=, bh= and an empty b=, each on lines of its own."""
    body_hash = base64.b64encode(body_digest).decode("ascii")
    return f"{_h_tag(names)}{FOLD}bh={body_hash};{FOLD}b="


def sign_digest(key: SigningKey, digest: bytes) -> bytes:
    """Return the value of b= at the end of a field, folded (RFC 6376 section 3.5)."""
    signature = base64.b64encode(key.sign(digest)).decode("ascii")
    return fold_anywhere(signature, column=len(" b=")).encode("ascii")


@functools.lru_cache(CACHED_LISTS)
def _h_tag(names: tuple[str, ...]) -> str:
    """Return h= with its names, folded (RFC 6376 section 3.5 allows folds around the colons)."""
    return f"h={fold(names, glue=':', column=len(' h='))};"


def _encoded_auid(auid: str, domain: str) -> str:
    """Return `auid` as the value of i= (RFC 6376 sections 2.11 and 3.5)."""
    local, at, auid_domain = auid.rpartition("@")
    try:
        auid_domain = to_alabels(auid_domain)
    except MsgauthError as error:
        raise SigningError(f"i=: {error}") from error
    if not at or not is_at_or_below(auid_domain, domain):
        raise SigningError(f"i= has to be an address at or below {domain}")
    if len(local) > MAX_LOCAL_PART:
        raise SigningError(f"i= has a local part longer than {MAX_LOCAL_PART} characters")
    # literal UTF-8 is only allowed in internationalized messages (RFC 8616 section 5); encoded, it
    # is allowed in all
    return f"{encode_quoted(local)}@{auid_domain}"
