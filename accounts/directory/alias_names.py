"""Names of aliases that owners of mailboxes make for themselves: patterns, and names that nobody
may take."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from typing import Any

from accounts.store.errors import Invalid
from gatepost.wildcard import matches

MAX_PERSONAL = 500
"""Most aliases of one kind that a domain may allow the owner of a mailbox."""
MAX_PATTERN = 64
"""Characters of a pattern."""
OWNER = "{name}"
"""The part of a pattern that stands for the local part of the mailbox."""

_PATTERN = re.compile(r"[a-z0-9._*-]+\Z")
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?\Z")
_SEPARATOR = re.compile(r"[._-]")

RESERVED = frozenset(
    (
        # RFC 2142 sections 3, 4 and 5
        *("info", "marketing", "sales", "support", "abuse", "noc", "security"),
        *("postmaster", "hostmaster", "usenet", "news", "webmaster", "www", "uucp", "ftp"),
        # authorities give certificates to who reads these (Baseline Requirements 3.2.2.4.4)
        *("admin", "administrator", "ssladmin", "ssladministrator", "sslwebmaster", "sysadmin"),
        # senders that people believe, and the accounts of programs
        *("root", "mail", "mailerdaemon", "noreply", "donotreply", "nobody", "bounce", "bounces"),
        *("daemon", "it", "helpdesk", "hr", "billing", "accounting", "ceo", "cfo", "legal"),
        *("privacy", "contact", "office", "team", "all", "everyone", "staff", "system", "service"),
        # reports about mail, and addresses that forwarding rewrites
        *("dmarc", "tlsrpt", "tlsreports", "mtasts", "autoconfig", "autodiscover", "srs0", "srs1"),
    )
)
"""Names that no owner of a mailbox may take, without separators."""
_LIST = re.compile(r"(?:owner-.*|.*-(?:request|owner|bounces|admin))\Z")
"""Names of people who look after a list (RFC 2142 section 6)."""

_CONSONANTS = "bdfgklmnprstvz"
_VOWELS = "aeiou"


def read_pattern(text: str) -> str:
    """Return a pattern of names; raises `ValueError`.

    It consists of letters, digits and ``.``, ``_`` and ``-``, and of ``*``, which stands for any of
    these. ``{name}`` stands for the local part of the mailbox.
    """
    made = text.strip().lower()
    if len(made) > MAX_PATTERN or not _PATTERN.match(made.replace(OWNER, "x")) or "*" not in made:
        raise ValueError(
            "a pattern has a *, and otherwise letters, digits, dots, hyphens and {name}, such as "
            "{name}-*"
        )
    return made


def pattern(field: str, value: Any) -> str:
    """Return a pattern for a field; raises `Invalid`."""
    if not isinstance(value, str):
        raise Invalid(field, "It must be text.")
    try:
        return read_pattern(value)
    except ValueError as error:
        sentence = str(error)
        raise Invalid(field, f"{sentence[:1].upper()}{sentence[1:]}.") from None


def pattern_of(pattern: str | None, owner: str) -> str | None:
    """Return the pattern of the names that the owner of a mailbox may choose.

    `owner` is the local part of the mailbox.
    """
    return None if pattern is None else pattern.replace(OWNER, owner)


def insist_on_choice(name: str, allowed: str | None) -> None:
    """Raise `Invalid` for a name that no owner may choose, or that the pattern does not allow."""
    if not _NAME.match(name):
        raise Invalid(
            "name",
            "It consists of letters, digits, dots, hyphens and underscores, and begins and ends "
            "with a letter or digit.",
        )
    if is_reserved(name):
        raise Invalid("name", "This name is reserved.")
    if allowed is not None and not matches(allowed, name):
        raise Invalid("name", f"The domain allows names such as {allowed}.")


def is_reserved(name: str) -> bool:
    """Return whether a name, or a part before a separator, belongs to a role or a program."""
    whole = _SEPARATOR.sub("", name)
    return (
        whole in RESERVED
        or _LIST.match(name) is not None
        or any(_SEPARATOR.sub("", one) in RESERVED for one in beginnings(name))
    )


def beginnings(name: str) -> Iterator[str]:
    """Yield the parts of a name before each separator.

    If Postfix has that separator as its recipient delimiter, the mail belongs to the part; and
    people take the name for one of the same person.
    """
    for found in _SEPARATOR.finditer(name):
        yield name[: found.start()]


def draw() -> str:
    """Return a name by chance that can be read aloud, such as ``tavo.kelu.riso42``.

    It has 43 bits of chance: nobody finds one by trying, at the speed of SMTP.
    """
    parts = ["".join(_syllable() + _syllable()) for _ in range(3)]
    return f"{'.'.join(parts)}{secrets.randbelow(90) + 10}"


def _syllable() -> str:
    return secrets.choice(_CONSONANTS) + secrets.choice(_VOWELS)
