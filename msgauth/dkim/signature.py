"""DKIM-Signature fields as values (RFC 6376 section 3.5), and the first step of verifying them.

Section 6.1.1 warns that "being liberal in what you accept is definitely a bad strategy in this
security context": a syntax error makes the field unusable. `parse_message_signature` also reads
ARC-Message-Signature fields, which only differ in two tags (RFC 8617 section 4.1.2).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from msgauth.dkim.canonical import Canonicalization
from msgauth.dkim.quoted import decode_quoted
from msgauth.dkim.record import key_record_name
from msgauth.domain import is_at_or_below, to_alabels
from msgauth.errors import MsgauthError
from msgauth.keys import KeyType
from msgauth.results import DkimStatus
from msgauth.tags import TagError, decode_base64, parse_tags, split_list

KEY_TYPES: Final[dict[str, KeyType]] = {"rsa-sha256": "rsa", "ed25519-sha256": "ed25519"}
"""The supported algorithms of a=, and the type of key that each needs."""

_HISTORIC: Final = frozenset({"rsa-sha1"})  # RFC 8301 section 3.1
_FIELD_NAME = re.compile(r"[!-9<-~]+\Z")  # ftext of RFC 5322 section 3.6.8, without ";"
_TIME = re.compile(r"[0-9]{1,12}\Z")
_LENGTH = re.compile(r"[0-9]{1,76}\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class RejectedError(MsgauthError):
    """A signature does not count; `status` is the result, the text is one sentence with the
    reason."""

    def __init__(self, status: DkimStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature over a header and a body.

    `domain` (d=) and `selector` (s=) are in A-labels, `auid` (i=) is decoded and empty for ARC,
    `names` (h=) are lower-case. `length` is l=, `timestamp` t= and `expires` x=; None if the tag is
    absent.
    """

    algorithm: str
    domain: str
    selector: str
    auid: str
    names: tuple[bytes, ...]
    canonicalization: Canonicalization
    body_hash: bytes
    signature: bytes
    length: int | None
    timestamp: int | None
    expires: int | None

    @property
    def key_type(self) -> KeyType:
        """The type of key that `algorithm` needs."""
        return KEY_TYPES[self.algorithm]


def read_tags(value: bytes) -> dict[str, str]:
    """Return the tags of a signature field's value; raises `RejectedError`."""
    try:
        return parse_tags(value.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise _syntax("the signature is not UTF-8") from error
    except MsgauthError as error:
        raise _syntax(f"the signature is not a tag list: {error}") from error


def parse_signature(tags: dict[str, str]) -> Signature:
    """Read the tags of a DKIM-Signature; raises `RejectedError` (RFC 6376 section 6.1.1)."""
    if require(tags, "v") != "1":
        raise _syntax("v= is not 1")
    domain = domain_tag(tags, "d")
    auid = _auid_tag(tags, domain)
    if "dns/txt" not in split_list(tags.get("q", "dns/txt")):
        # RFC 6376 section 3.5: unrecognized query methods MUST be ignored
        raise _syntax("q= names no known way to get the key")
    return parse_message_signature(tags, auid)


def parse_message_signature(tags: dict[str, str], auid: str = "") -> Signature:
    """Read the tags that DKIM-Signature and ARC-Message-Signature share; raises `RejectedError`."""
    signature = Signature(
        algorithm=algorithm_tag(tags),
        domain=domain_tag(tags, "d"),
        selector=domain_tag(tags, "s"),
        auid=auid,
        names=_names_tag(tags),
        canonicalization=_canonicalization_tag(tags),
        body_hash=base64_tag(tags, "bh"),
        signature=base64_tag(tags, "b"),
        length=_number_tag(tags, "l", _LENGTH),
        timestamp=time_tag(tags, "t"),
        expires=time_tag(tags, "x"),
    )
    check_record_name(signature.selector, signature.domain)
    if signature.expires is not None and signature.expires <= (signature.timestamp or 0):
        # RFC 6376 section 3.5: x= MUST be greater than t=
        raise _syntax("x= is not later than t=")
    if b"from" not in signature.names:
        # RFC 6376 section 6.1.1
        raise RejectedError(DkimStatus.PERMERROR, "the signature does not cover From")
    return signature


def require(tags: dict[str, str], name: str) -> str:
    """Return a required, non-empty tag."""
    value = tags.get(name)
    if not value:
        raise _syntax(f"{name}= is missing")
    return value


def algorithm_tag(tags: dict[str, str]) -> str:
    """Return a=, one of `KEY_TYPES`."""
    algorithm = require(tags, "a")
    if algorithm in _HISTORIC:
        # RFC 8301 section 3.1: such signatures have permanently failed evaluation
        raise RejectedError(DkimStatus.PERMERROR, f"{algorithm} is not secure and must not be used")
    if algorithm not in KEY_TYPES:
        raise _syntax("a= names an unknown algorithm")
    return algorithm


def domain_tag(tags: dict[str, str], name: str) -> str:
    """Return d= or s= in A-labels; U-labels are allowed (RFC 8616 section 5)."""
    value = require(tags, name)
    try:
        domain = to_alabels(value)
    except MsgauthError as error:
        raise _syntax(f"{name}= is not a domain name") from error
    if name == "d" and "." not in domain:
        raise _syntax("d= has only one label")
    return domain


def check_record_name(selector: str, domain: str) -> None:
    """Refuse a pair whose key record would have an invalid DNS name."""
    try:
        key_record_name(selector, domain)
    except MsgauthError as error:
        raise _syntax("d= and s= are too long together") from error


def base64_tag(tags: dict[str, str], name: str) -> bytes:
    """Return the octets of b= or bh=."""
    encoded = require(tags, name)
    try:
        return decode_base64(encoded)
    except TagError as error:
        raise _syntax(f"{name}= is not base64") from error


def time_tag(tags: dict[str, str], name: str) -> int | None:
    """Return t= or x= in seconds since 1970."""
    return _number_tag(tags, name, _TIME)


def without_signature(value: bytes) -> bytes:
    """Return a signature field's value with its b= empty (RFC 6376 section 3.7)."""
    parts = value.split(b";")
    for number, part in enumerate(parts):
        name, equals, _ = part.partition(b"=")
        if equals and name.strip(b" \t\r\n") == b"b":
            parts[number] = name + equals
            break
    return b";".join(parts)


def _syntax(reason: str) -> RejectedError:
    # RFC 8601 section 2.7.1: "neutral" is for signatures with syntax errors
    return RejectedError(DkimStatus.NEUTRAL, reason)


def _number_tag(tags: dict[str, str], name: str, pattern: re.Pattern[str]) -> int | None:
    value = tags.get(name)
    if value is None:
        return None
    if not pattern.match(value):
        raise _syntax(f"{name}= is not a number")
    return int(value)


def _names_tag(tags: dict[str, str]) -> tuple[bytes, ...]:
    names = split_list(require(tags, "h"))
    if not all(map(_FIELD_NAME.match, names)):
        raise _syntax("h= has something that is not a field name")
    return tuple(name.lower().encode("ascii") for name in names)


def _canonicalization_tag(tags: dict[str, str]) -> Canonicalization:
    try:
        return Canonicalization.parse(tags.get("c", "simple/simple"))
    except MsgauthError as error:
        raise _syntax(str(error)) from error


def _auid_tag(tags: dict[str, str], domain: str) -> str:
    try:
        auid = decode_quoted(tags.get("i", f"@{domain}"))
        local, at, auid_domain = auid.rpartition("@")
        auid_domain = to_alabels(auid_domain)
    except MsgauthError as error:
        raise _syntax("i= is not an address") from error
    if not at or _CONTROL.search(local):
        raise _syntax("i= is not an address")
    if not is_at_or_below(auid_domain, domain):
        # RFC 6376 section 6.1.1
        raise RejectedError(DkimStatus.PERMERROR, "i= is not at or below d=")
    return f"{local}@{auid_domain}"
