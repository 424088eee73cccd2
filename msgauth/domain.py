"""Domain names in the form for comparison: A-labels, lower-case, no final dot.

Every domain that comes from outside (a header field, the SMTP envelope, a DNS record) goes through
`to_alabels` once; the result is safe in a DNS question, in a header field and in a comparison with
``==``. Names are compared ignoring case (RFC 4343) and in their A-label form (RFC 5890 section
2.3.2.4), which is the form in DNS.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

import idna

from msgauth.errors import MsgauthError

MAX_NAME = 253
"""Maximum octets of a domain name in text, without the final dot (RFC 1035 section 2.3.4)."""

MAX_LABEL = 63
"""Maximum octets of a label (RFC 1035 section 2.3.4)."""

CACHED_NAMES = 4096
"""Number of names cached in A-label form: a message has about ten, most of them known."""

# Letters, digits, hyphens (RFC 1123 section 2.1), and the underscore that service names such as
# _dmarc begin with (RFC 8552) and that some hosts have inside.
_LABEL = r"[a-z0-9_-]{1,63}"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\Z")


class DomainError(MsgauthError):
    """A string is not a valid domain name."""


@functools.lru_cache(CACHED_NAMES)
def to_alabels(name: str) -> str:
    """Return `name` in A-labels and lower-case, without the final dot.

    U-labels become A-labels by IDNA2008 (RFC 5891), after the mapping that mail programs show
    names with (UTS #46, non-transitional): what a reader takes for a dot or a letter is one. An
    A-label that arrives as such is taken as it is, so that names registered by other rules, such
    as emoji, stay usable.

    Raises `DomainError` if an octet or code point is not allowed in a host name, a label is empty
    or longer than 63 octets, or the whole name is longer than 253.
    """
    if len(name) > 4 * MAX_NAME:  # bounds the work below; no valid name shrinks that much
        raise DomainError("domain name is too long")
    ascii_name = name.lower() if name.isascii() else _convert(name)
    ascii_name = ascii_name.removesuffix(".")
    if len(ascii_name) > MAX_NAME:
        raise DomainError("domain name is too long")
    if not _NAME.match(ascii_name):
        raise DomainError(f"not a domain name: {_shown(name)}")
    return ascii_name


def _convert(name: str) -> str:
    try:
        labels = idna.uts46_remap(name, std3_rules=False, transitional=False).split(".")
        if _least_length(labels) <= MAX_NAME:
            labels = [
                label if label.isascii() else idna.alabel(label).decode("ascii") for label in labels
            ]
    except (idna.IDNAError, UnicodeError) as error:
        raise DomainError(f"not an internationalized domain name: {_shown(name)}") from error
    return ".".join(labels).lower()


def _least_length(labels: list[str]) -> int:
    """Return the minimum length of these U-labels in A-labels, without the final dot.

    An A-label has ``xn--`` and one octet or more for each character; converting one takes a tenth
    of a millisecond, which is too much for hundreds of them.
    """
    lengths = [len(label) + (0 if label.isascii() else 4) for label in labels if label]
    return sum(lengths) + len(lengths) - 1


def _shown(name: str) -> str:
    return ascii(name if len(name) <= 60 else name[:57] + "...")


def count_labels(name: str) -> int:
    """Return the number of labels of `name`, which is in the form of `to_alabels`."""
    return name.count(".") + 1


def ancestors(name: str) -> Iterator[str]:
    """Yield `name`, then each name above it down to the top-level domain, shortest last."""
    while True:
        yield name
        _, dot, name = name.partition(".")
        if not dot:
            return


def last_labels(name: str, count: int) -> str:
    """Return the rightmost `count` labels of `name`, or all of them."""
    return ".".join(name.rsplit(".", count)[-count:])


def is_at_or_below(name: str, ancestor: str) -> bool:
    """Return whether `name` is `ancestor` or a subdomain of it; both in the form of
    `to_alabels`."""
    return name == ancestor or name.endswith("." + ancestor)
