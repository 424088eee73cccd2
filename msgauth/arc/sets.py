"""The ARC sets of a message, with checks of their structure before any DNS query.

A set is three header fields with the same instance number (RFC 8617 section 4.2):
ARC-Authentication-Results (AAR), ARC-Message-Signature (AMS) and ARC-Seal (AS).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from msgauth.dkim.canonical import Canonical, canonical_field
from msgauth.dkim.headers import Header
from msgauth.dkim.signature import (
    KEY_TYPES,
    RejectedError,
    algorithm_tag,
    base64_tag,
    check_record_name,
    domain_tag,
    read_tags,
    time_tag,
)
from msgauth.errors import MsgauthError
from msgauth.keys import KeyType
from msgauth.message import HeaderField
from msgauth.results import DkimStatus

MAX_SETS: Final = 50
"""RFC 8617 section 4.2.1: instance numbers go from 1 to 50."""

AAR: Final = b"ARC-Authentication-Results"
AMS: Final = b"ARC-Message-Signature"
AS: Final = b"ARC-Seal"

_CFWS = r"(?:[ \t\r\n]|\([^()]*\))*"
# RFC 8617 sections 3.9 and 4.1.1: instance [CFWS] ";" authres-payload
_AAR = re.compile(rf"{_CFWS}i{_CFWS}={_CFWS}([0-9]{{1,2}}){_CFWS};(.*)", re.DOTALL)
_POSITION = re.compile(r"[0-9]{1,2}\Z")


class ChainError(MsgauthError):
    """The chain is broken; the text is one sentence why.

    `highest` is the highest instance number found, or 0. `sealed` says that the newest seal itself
    has cv=fail, so that no further set may be added.
    """

    def __init__(self, reason: str, highest: int = 0, *, sealed: bool = False) -> None:
        super().__init__(reason)
        self.highest = highest
        self.sealed = sealed


@dataclass(frozen=True, slots=True)
class Seal:
    """An ARC-Seal (RFC 8617 section 4.1.3); names are in A-labels."""

    algorithm: str
    domain: str
    selector: str
    signature: bytes
    timestamp: int | None

    @property
    def key_type(self) -> KeyType:
        """The type of key that `algorithm` needs."""
        return KEY_TYPES[self.algorithm]


@dataclass(frozen=True, slots=True)
class ArcSet:
    """One set: its three fields, the tags of the two signatures, and the seal.

    `payload` is the text of the AAR after its instance: authserv-id and results.
    """

    instance: int
    aar: HeaderField
    ams: HeaderField
    seal_field: HeaderField
    payload: str
    ams_tags: dict[str, str]
    seal: Seal


@dataclass(frozen=True, slots=True)
class _Part:
    """One ARC field; `tags` are empty for an AAR, `payload` is for the others."""

    instance: int
    field: HeaderField
    tags: dict[str, str]
    payload: str


def collect_sets(header: Header) -> tuple[ArcSet, ...]:
    """Return the sets in the order of their instances, possibly none.

    This is steps 1 to 3 of RFC 8617 section 5.2. Raises `ChainError`.
    """
    fields = {name: header.named(name.lower()) for name in (AAR, AMS, AS)}
    if max(map(len, fields.values())) > MAX_SETS:
        raise ChainError(f"there are more than {MAX_SETS} sets", MAX_SETS)
    problem = ""
    parts: dict[bytes, list[_Part]] = {AAR: [], AMS: [], AS: []}
    for name, same_name in fields.items():
        for field in same_name:
            try:
                parts[name].append(_read_aar(field) if name == AAR else _read_signed(field))
            except RejectedError as error:
                problem = problem or f"{name.decode('ascii')}: {error}"
    highest = max((part.instance for same in parts.values() for part in same), default=0)
    newest = [part for part in parts[AS] if part.instance == highest]
    if len(newest) == 1 and newest[0].tags.get("cv") == "fail":
        raise ChainError("the newest seal says that the chain is broken", highest, sealed=True)
    if problem:
        raise ChainError(problem, highest)
    for same_kind in parts.values():
        same_kind.sort(key=lambda part: part.instance)
        if [part.instance for part in same_kind] != list(range(1, highest + 1)):
            # section 5.2 step 3 A and B: one of each kind, numbered from 1 without a gap
            raise ChainError("a set is incomplete or duplicated", highest)
    sets = []
    for aar, ams, seal in zip(parts[AAR], parts[AMS], parts[AS], strict=True):
        try:
            _check_cv(seal)
            read = _read_seal(seal.tags)
        except RejectedError as error:
            raise ChainError(f"set {seal.instance}: {error}", highest) from error
        sets.append(
            ArcSet(seal.instance, aar.field, ams.field, seal.field, aar.payload, ams.tags, read)
        )
    return tuple(sets)


def hashed_fields(fields: Iterable[HeaderField]) -> bytes:
    """Return the fields in the form that a seal covers: relaxed, whatever c= says (section
    4.1.3)."""
    return b"".join([canonical_field(field, Canonical.RELAXED) for field in fields])


def _read_aar(field: HeaderField) -> _Part:
    match = _AAR.match(field.text)
    if match is None:
        raise _broken("the instance is missing")
    return _Part(_checked_instance(match[1]), field, {}, match[2].strip(" \t"))


def _read_signed(field: HeaderField) -> _Part:
    tags = read_tags(field.value)
    return _Part(_checked_instance(tags.get("i", "")), field, tags, "")


def _checked_instance(text: str) -> int:
    if not _POSITION.match(text) or not 1 <= int(text) <= MAX_SETS:
        raise _broken("the instance is not from 1 to 50")
    return int(text)


def _check_cv(seal: _Part) -> None:
    # section 5.2 step 3 C: "none" in the first seal and "pass" in all others
    if seal.tags.get("cv") != ("none" if seal.instance == 1 else "pass"):
        raise _broken("cv= does not match the instance")


def _read_seal(tags: dict[str, str]) -> Seal:
    if "h" in tags:
        # section 4.1.3: "if found, MUST result in a cv status of fail"
        raise _broken("a seal must not have h=")
    seal = Seal(
        algorithm=algorithm_tag(tags),
        domain=domain_tag(tags, "d"),
        selector=domain_tag(tags, "s"),
        signature=base64_tag(tags, "b"),
        timestamp=time_tag(tags, "t"),
    )
    check_record_name(seal.selector, seal.domain)
    return seal


def _broken(reason: str) -> RejectedError:
    return RejectedError(DkimStatus.PERMERROR, reason)
