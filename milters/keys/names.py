"""Names of signing keys: the signing domain (d=), the selector (s=), and the record name.

Both come from file names, tables and command lines and go into paths and DNS queries. A valid name
has no slash and no empty or hidden label, so no path leads out of the key folder.
"""

from __future__ import annotations

import re

from milters.keys.errors import KeysError
from msgauth.domain import MAX_NAME, DomainError, to_alabels

# RFC 6376 section 3.1: selector = sub-domain *( "." sub-domain ), each Let-dig [Ldh-str] (RFC 5321
# section 4.1.2). No RFC allows the underscore, but many zones have it; a key in use is not refused
# for it.
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_SELECTOR = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\Z")


class KeyNameError(KeysError):
    """A string is not valid as the domain or the selector of a key."""


def parse_domain(text: str) -> str:
    """Return the signing domain in A-labels, lower-case; raises `KeyNameError`.

    It must have at least two labels: nobody signs for a top-level domain.
    """
    try:
        domain = to_alabels(text.strip())
    except DomainError as error:
        raise KeyNameError(str(error)) from error
    if "." not in domain:
        raise KeyNameError(f"{domain!r} is not a signing domain: it has no dot")
    return domain


def parse_selector(text: str) -> str:
    """Return the selector in lower case, as DNS compares it (RFC 4343); raises `KeyNameError`."""
    selector = text.strip().lower()
    if len(selector) > MAX_NAME or not _SELECTOR.match(selector):
        raise KeyNameError(
            f"{text[:80]!a} is not a selector: use letters, digits and hyphens, in labels of at "
            "most 63, separated by dots"
        )
    return selector


def record_name(domain: str, selector: str) -> str:
    """Return the name of the key record in DNS (RFC 6376 section 3.6.2.1); raises
    `KeyNameError`."""
    name = f"{selector}._domainkey.{domain}"
    if len(name) > MAX_NAME:
        raise KeyNameError(f"{name[:80]}... is longer than {MAX_NAME} octets")
    return name
