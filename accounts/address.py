"""Addresses and domains in the form in which this package stores and compares them.

Each has one spelling: a domain is in A-labels and lower case, a local part in NFC and lower case.
All input from people, files and protocols passes through a function of this module once; after
that, addresses are compared with ``==``.

RFC 5321 section 2.4 leaves the case of a local part to the host that owns it. Here case never
matters.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import NamedTuple

from msgauth.domain import DomainError, to_alabels

MAX_LOCAL_PART = 64
"""Longest local part, in octets of UTF-8 (RFC 5321 section 4.5.3.1.1)."""

MAX_ADDRESS = 254
"""Longest address, in octets of UTF-8: a path of 256 without its brackets (RFC 5321 section
4.5.3.1.3)."""

CACHED_DOMAINS = 16384
"""Parsed domains that are cached; each takes about 200 octets."""

# RFC 5322 section 3.2.3, atext. "/" could leave a folder, and "*" is the wildcard.
_ATEXT = r"a-z0-9!#$%&'+=?^_`{|}~\-"
_ASCII_LOCAL = re.compile(rf"[{_ATEXT}]+(?:\.[{_ATEXT}]+)*\Z")
_ASCII_PATTERN = re.compile(rf"[{_ATEXT}*]+(?:\.[{_ATEXT}*]+)*\Z")
_ASCII_TARGET = re.compile(rf"[{_ATEXT}/*]+(?:\.[{_ATEXT}/*]+)*\Z", re.IGNORECASE)
# RFC 5321 section 4.1.2, Quoted-string, and RFC 6531 section 3.3 for other characters than ASCII
_QUOTED = re.compile(r'"(?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])*"\Z')
# RFC 5321 section 4.1.2, sub-domain: no hyphen at either end of a label
_HOST = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*"
    r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z"
)


class AccountAddressError(ValueError):
    """The text is not an address or a domain; the message is one sentence that says why."""


class AccountAddress(NamedTuple):
    """A local address or a target of forwarding, in the form that this module describes.

    `str()` gives ``local@domain``.
    """

    local: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"


@functools.lru_cache(CACHED_DOMAINS)
def parse_domain(text: str) -> str:
    """Return the domain in A-labels, lower case, without the final dot.

    Raises `AccountAddressError` for text that is not a host name (RFC 5321 section 4.1.2), and for
    an IPv4 address.
    """
    try:
        name = to_alabels(text)
    except DomainError:
        raise AccountAddressError(f"{_shown(text)} is not a domain name.") from None
    if not _HOST.match(name):
        raise AccountAddressError(
            f"{_shown(text)} is not a mail domain: a label consists of letters, digits and "
            "hyphens, and does not begin or end with a hyphen."
        )
    if name.rpartition(".")[2].isdigit():
        raise AccountAddressError(
            f"{_shown(text)} is not a domain name: its last label is a number."
        )
    return name


def parse_mailbox_address(text: str) -> AccountAddress:
    """Return the address of a mailbox, or of an alias without a wildcard.

    The local part is a dot-atom (RFC 5322 section 3.2.3), also one of RFC 6531 with letters that
    are not ASCII, of 1 to `MAX_LOCAL_PART` octets; the whole has at most `MAX_ADDRESS` octets.
    Quotes, spaces, controls, ``/``, ``*`` and a hyphen at the start are not allowed: the name
    becomes part of paths, of configurations and of Postfix's tables.

    Raises `AccountAddressError`.
    """
    return _parse_own(text, _ASCII_LOCAL)


def parse_alias_address(text: str) -> AccountAddress:
    """Return the address of an alias: like that of a mailbox, but ``*`` stands for any characters.

    Raises `AccountAddressError`.
    """
    return _parse_own(text, _ASCII_PATTERN)


def parse_target(text: str) -> AccountAddress:
    """Return an address that mail is forwarded to: any that SMTP can carry.

    A local part may be quoted, and keeps its case, because it belongs to another host. Domains may
    have an underscore. An address literal (``user@[192.0.2.1]``) is not allowed.

    Raises `AccountAddressError`.
    """
    local, domain_text = _split(text)
    try:
        domain = to_alabels(domain_text)
    except DomainError:
        raise AccountAddressError(f"{_shown(domain_text)} is not a domain name.") from None
    local = unicodedata.normalize("NFC", local)
    _check_length(local, domain, text)
    if not local.isprintable():
        raise AccountAddressError(f"{_shown(text)} has a character that cannot be printed.")
    if _QUOTED.match(local):
        return AccountAddress(local, domain)
    if not _ASCII_TARGET.match(_with_letters(local)):
        raise AccountAddressError(_bad_local_part(text))
    if local.startswith("-"):
        raise AccountAddressError(f"{_shown(text)} begins with a hyphen.")
    return AccountAddress(local, domain)


def fold_local_part(text: str) -> str:
    """Return a local part in the form that is stored: NFC and lower case; checks nothing."""
    if text.isascii():
        return text.lower()
    # lower case of a composed letter may be decomposed: U+0130 is "i" and a combining dot
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())


def _parse_own(text: str, allowed: re.Pattern[str]) -> AccountAddress:
    local_text, domain_text = _split(text)
    domain = parse_domain(domain_text)
    local = fold_local_part(local_text)
    _check_length(local, domain, text)
    if not local.isascii():
        if not local.isprintable():
            raise AccountAddressError(f"{_shown(text)} has a character that cannot be printed.")
        # RFC 8265 section 3.3: two spellings that look the same must not be two names
        if unicodedata.normalize("NFKC", local) != local:
            raise AccountAddressError(
                f"{_shown(text)} has a character that is a variant of another one."
            )
    if not allowed.match(_with_letters(local)):
        raise AccountAddressError(_bad_local_part(text))
    if local.startswith("-"):
        raise AccountAddressError(f"{_shown(text)} begins with a hyphen.")
    return AccountAddress(local, domain)


def _split(text: str) -> tuple[str, str]:
    if len(text) > 4 * MAX_ADDRESS:  # bounds the work below; no valid address shrinks that much
        raise AccountAddressError(f"The address is longer than {MAX_ADDRESS} octets.")
    local, at, domain = text.rpartition("@")
    if not at:
        raise AccountAddressError(f"{_shown(text)} is not an address: it has no @.")
    if not local:
        raise AccountAddressError(f"{_shown(text)} has nothing before the @.")
    return local, domain


def _check_length(local: str, domain: str, text: str) -> None:
    octets = len(local) if local.isascii() else len(local.encode("utf-8", "surrogatepass"))
    if octets > MAX_LOCAL_PART:
        raise AccountAddressError(
            f"{_shown(text)} has more than {MAX_LOCAL_PART} octets before the @."
        )
    if octets + 1 + len(domain) > MAX_ADDRESS:
        raise AccountAddressError(f"{_shown(text)} is longer than {MAX_ADDRESS} octets.")


def _with_letters(local: str) -> str:
    """Put an ASCII letter in place of each character that RFC 6531 section 3.3 adds to atext."""
    if local.isascii():
        return local
    return "".join(char if char.isascii() else "a" for char in local)


def _bad_local_part(text: str) -> str:
    return (
        f"{_shown(text)} is not an address that can be used here: the part before the @ consists "
        f"of letters, digits and !#$%&'+-=?^_`{{|}}~, with single dots between them."
    )


def _shown(text: str) -> str:
    return ascii(text if len(text) <= 60 else text[:57] + "...")
