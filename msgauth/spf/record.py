"""Parser of SPF records into directives and modifiers (RFC 7208 sections 4.5, 5, 6, 12).

`is_record` tells whether a TXT record is meant to be one; `parse` then either returns it or raises
an error. A record is checked as a whole: an error after the matching directive counts too (RFC 7208
section 4.6).
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass

from msgauth.errors import MsgauthError
from msgauth.results import SpfStatus
from msgauth.spf.macro import MacroError, MacroString, parse_domain_spec, parse_macro_string

MAX_RECORD = 8192
"""Maximum octets of a record. It should stay below 450 (RFC 7208 section 3.4); real ones reach some
4,000; longer ones only burden the receiver."""

CACHED_RECORDS = 1024
"""Number of cached parsed records."""

MAX_CACHED = 1024
"""Maximum octets of a cached record: with `CACHED_RECORDS` it limits the memory."""

_QUALIFIERS = {
    "+": SpfStatus.PASS,
    "-": SpfStatus.FAIL,
    "~": SpfStatus.SOFTFAIL,
    "?": SpfStatus.NEUTRAL,
}

_NAME = r"[a-z][a-z0-9_.-]*"
_MODIFIER = re.compile(rf"({_NAME})=(.*)\Z", re.I | re.S)
_DIRECTIVE = re.compile(rf"([-+?~]?)({_NAME})([:/].*|)\Z", re.I | re.S)
# An optional ":" domain-spec, then dual-cidr-length, which a domain-spec cannot end in.
_WITH_CIDR = re.compile(r"(?::(.*?))?(?:/([0-9]{1,3}))?(?://([0-9]{1,3}))?\Z", re.S)
_IP4 = re.compile(r":([0-9.]{7,15})(?:/([0-9]{1,3}))?\Z")
_IP6 = re.compile(r":([0-9a-f:.]{2,45})(?:/([0-9]{1,3}))?\Z", re.I)


class SpfRecordError(MsgauthError):
    """An SPF record has a syntax error, which makes the result "permerror"."""


@dataclass(frozen=True, slots=True)
class Directive:
    """A mechanism and its result if it matches (RFC 7208 section 4.6.1)."""

    result: SpfStatus
    """The result of the qualifier; "pass" without one."""
    mechanism: str
    """all, include, a, mx, ptr, ip4, ip6 or exists."""
    text: str
    """The term as published, with its qualifier."""
    target: MacroString | None = None
    """The domain-spec; None means the domain being checked."""
    network: int = 0
    """Of ip4 and ip6: the network's address with the host bits zero."""
    mask: int = 0
    """Of ip4 and ip6: which bits of the client's address must equal `network`."""
    prefix4: int = 32
    """Of a and mx: how many leading bits of IPv4 addresses count."""
    prefix6: int = 128
    """Of a and mx: how many leading bits of IPv6 addresses count."""


@dataclass(frozen=True, slots=True)
class SpfRecord:
    """An SPF record without syntax errors."""

    directives: tuple[Directive, ...]
    redirect: MacroString | None = None
    exp: MacroString | None = None


def is_record(text: str) -> bool:
    """Return whether a TXT record is an SPF record, by its version (RFC 7208 section 4.5)."""
    # The version is compared ignoring case, like literals of ABNF.
    return text[:6].lower() == "v=spf1" and (len(text) == 6 or text[6] == " ")


def parse(text: str) -> SpfRecord:
    """Parse a TXT record for which `is_record` holds. Raises `SpfRecordError`."""
    if len(text) > MAX_RECORD:
        raise SpfRecordError(f"the record is longer than {MAX_RECORD} octets")
    return _parse_cached(text) if len(text) <= MAX_CACHED else _parse(text)


def _parse(text: str) -> SpfRecord:
    directives: list[Directive] = []
    modifiers: dict[str, MacroString] = {}
    for term in text[6:].split(" "):
        if not term:
            continue
        try:
            modifier = _MODIFIER.match(term)
            if modifier is None:
                directives.append(_parse_directive(term))
            else:
                _add_modifier(modifiers, modifier[1].lower(), modifier[2])
        except (MacroError, SpfRecordError) as error:
            raise SpfRecordError(f"{_shown(term)} {error}") from error
    return SpfRecord(tuple(directives), modifiers.get("redirect"), modifiers.get("exp"))


_parse_cached = functools.lru_cache(CACHED_RECORDS)(_parse)


def _shown(term: str) -> str:
    return ascii(term if len(term) <= 60 else term[:57] + "...")


def _add_modifier(modifiers: dict[str, MacroString], name: str, value: str) -> None:
    if name not in ("redirect", "exp"):
        parse_macro_string(value)  # RFC 7208 section 6: others are ignored, when well-formed
        return
    if name in modifiers:
        # RFC 7208 section 6: each at most once
        raise SpfRecordError("appears twice")
    modifiers[name] = parse_domain_spec(value)


def _parse_directive(term: str) -> Directive:
    match = _DIRECTIVE.match(term)
    if match is None:
        raise SpfRecordError("is neither a mechanism nor a modifier")
    mechanism = match[2].lower()
    make = _MECHANISMS.get(mechanism)
    if make is None:
        raise SpfRecordError("is not a mechanism")
    return make(_QUALIFIERS[match[1] or "+"], mechanism, term, match[3])


def _make_all(result: SpfStatus, mechanism: str, term: str, argument: str) -> Directive:
    if argument:
        raise SpfRecordError("takes no argument")
    return Directive(result, mechanism, term)


def _make_with_domain(result: SpfStatus, mechanism: str, term: str, argument: str) -> Directive:
    if not argument.startswith(":"):
        raise SpfRecordError("needs a domain")
    return Directive(result, mechanism, term, parse_domain_spec(argument[1:]))


def _make_ptr(result: SpfStatus, mechanism: str, term: str, argument: str) -> Directive:
    if argument:
        return _make_with_domain(result, mechanism, term, argument)
    return Directive(result, mechanism, term)


def _make_with_cidr(result: SpfStatus, mechanism: str, term: str, argument: str) -> Directive:
    match = _WITH_CIDR.match(argument)
    if match is None:
        raise SpfRecordError("has a broken prefix length")
    return Directive(
        result,
        mechanism,
        term,
        None if match[1] is None else parse_domain_spec(match[1]),
        prefix4=_prefix(match[2], 32),
        prefix6=_prefix(match[3], 128),
    )


def _make_ip(result: SpfStatus, mechanism: str, term: str, argument: str) -> Directive:
    bits, pattern = (32, _IP4) if mechanism == "ip4" else (128, _IP6)
    match = pattern.match(argument)
    if match is None:
        raise SpfRecordError("has no address of its kind")
    try:
        address = int(
            ipaddress.IPv4Address(match[1]) if bits == 32 else ipaddress.IPv6Address(match[1])
        )
    except ipaddress.AddressValueError as error:
        raise SpfRecordError("has no address of its kind") from error
    mask = (1 << bits) - (1 << (bits - _prefix(match[2], bits)))
    return Directive(result, mechanism, term, network=address & mask, mask=mask)


def _prefix(digits: str | None, bits: int) -> int:
    if digits is None:
        return bits
    # RFC 7208 section 5.6: no leading zeros
    if int(digits) > bits or (digits[0] == "0" and digits != "0"):
        raise SpfRecordError("has a broken prefix length")
    return int(digits)


_MECHANISMS: dict[str, Callable[[SpfStatus, str, str, str], Directive]] = {
    "all": _make_all,
    "include": _make_with_domain,
    "a": _make_with_cidr,
    "mx": _make_with_cidr,
    "ptr": _make_ptr,
    "ip4": _make_ip,
    "ip6": _make_ip,
    "exists": _make_with_domain,
}
