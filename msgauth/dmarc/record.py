"""DMARC policy records (RFC 9989 sections 4.7 and 4.8)."""

from __future__ import annotations

import enum
import functools
import re
from dataclasses import dataclass, field

MAX_RECORD = 4096
"""Maximum octets of a record. Real ones have some 500; a longer one is truncated, which may break
the last tag, and a broken tag is ignored."""

CACHED_RECORDS = 2048
"""Number of cached parsed records."""

MAX_URIS = 10
"""Maximum report addresses of one tag: each causes work for the sender of reports."""

# RFC 9989 section 4.8: dmarc-version comes first, "DMARC1" in exactly this case
_VERSION = re.compile(r"[vV][ \t]*=[ \t]*DMARC1[ \t]*(?:;|\Z)")
_VALUE = re.compile(r"[ -:<-~]*\Z")
# RFC 3986 appendix A, without the characters that section 4.8 wants encoded
_URI = re.compile(
    r"[a-z][a-z0-9+.-]*:(?:[a-z0-9._~:/?#\[\]@$&'()*+;=-]|%[0-9a-f]{2})+\Z", re.IGNORECASE
)
_OBSOLETE_SIZE = re.compile(r"![0-9]+[kmgt]?\Z", re.IGNORECASE)
_FAILURE_OPTIONS = frozenset("01ds")


class Policy(enum.StrEnum):
    """The domain owner's policy for mail that fails (RFC 9989 section 4.7, tag p)."""

    NONE = "none"
    """Nothing."""
    QUARANTINE = "quarantine"
    """Failing mail is suspicious."""
    REJECT = "reject"
    """Failing mail is forged."""

    @property
    def severity(self) -> int:
        """0 for none, 1 for quarantine, 2 for reject."""
        return _SEVERITY.index(self)

    def one_level_down(self) -> Policy:
        """Return the effective policy under test (RFC 9989 section 4.7, tag t)."""
        return _SEVERITY[max(self.severity - 1, 0)]


_SEVERITY = (Policy.NONE, Policy.QUARANTINE, Policy.REJECT)


@dataclass(frozen=True, slots=True)
class DmarcRecord:
    """A DMARC policy record; tags that are absent or broken have their defaults."""

    p: Policy = Policy.NONE
    sp: Policy | None = None
    np: Policy | None = None
    usable: bool = True
    """False: the policy tags are missing or broken and no report is wanted; DMARC does not apply
    (RFC 9989 section 4.10.1)."""
    strict_dkim: bool = False
    """adkim=s"""
    strict_spf: bool = False
    """aspf=s"""
    psd: str = "u"
    """y: a public suffix; n: an organizational domain; u: not said."""
    testing: bool = False
    """t=y"""
    rua: tuple[str, ...] = ()
    """The URIs for aggregate reports."""
    ruf: tuple[str, ...] = ()
    """The URIs for failure reports."""
    fo: frozenset[str] = field(default_factory=lambda: frozenset("0"))
    """When to send failure reports: of 0, 1, d, s."""


def is_record(text: str) -> bool:
    """Return whether a TXT record is a DMARC policy record: its first tag is the version."""
    return _VERSION.match(text) is not None


def parse(text: str) -> DmarcRecord:
    """Parse a TXT record for which `is_record` holds; never fails.

    Unknown tags are ignored, and broken ones get their defaults (RFC 9989 section 4.8). The first
    of a duplicate tag counts.
    """
    return _parse(text[:MAX_RECORD])


@functools.lru_cache(CACHED_RECORDS)
def _parse(text: str) -> DmarcRecord:
    tags: dict[str, str] = {}
    for spec in text.split(";")[1:]:
        name, equals, value = spec.partition("=")
        name, value = name.strip(" \t").lower(), value.strip(" \t")
        if equals and name.isascii() and name.isalpha() and _VALUE.match(value):
            tags.setdefault(name, value)
    rua, ruf = _uris(tags.get("rua", "")), _uris(tags.get("ruf", ""))
    p, sp, np = (_policy(tags.get(name)) for name in ("p", "sp", "np"))
    usable = True
    if p is None or (sp is None and "sp" in tags) or (np is None and "np" in tags):
        # RFC 9989 section 4.10.1: as if it were p=none, if a report is wanted
        p, sp, np, usable = Policy.NONE, None, None, bool(rua)
    return DmarcRecord(
        p,
        sp,
        np,
        usable,
        strict_dkim=tags.get("adkim", "").lower() == "s",
        strict_spf=tags.get("aspf", "").lower() == "s",
        psd=_one_of("ynu", tags.get("psd", "")) or "u",
        testing=tags.get("t", "").lower() == "y",
        rua=rua,
        ruf=ruf,
        fo=_failure_options(tags.get("fo", "")) if ruf else frozenset("0"),
    )


def _policy(value: str | None) -> Policy | None:
    try:
        return Policy((value or "").lower())
    except ValueError:
        return None


def _one_of(allowed: str, value: str) -> str:
    value = value.lower()
    return value if len(value) == 1 and value in allowed else ""


def _uris(value: str) -> tuple[str, ...]:
    uris = []
    for item in value.split(","):
        # RFC 9989 section 4.8: the obsolete size limit is ignored
        uri = _OBSOLETE_SIZE.sub("", item.strip(" \t"))
        if _URI.match(uri) and (not uri.lower().startswith("mailto:") or "@" in uri):
            uris.append(uri)
    return tuple(uris[:MAX_URIS])


def _failure_options(value: str) -> frozenset[str]:
    options = [option.strip(" \t").lower() for option in value.split(":")]
    chosen = frozenset(options)
    # RFC 9989 section 4.7: 0 and 1 exclude each other
    if chosen <= _FAILURE_OPTIONS and len(chosen) == len(options) and not chosen >= {"0", "1"}:
        return chosen
    return frozenset("0")
