"""Selection of the header fields that a signature covers (RFC 6376 sections 5.4 and 5.4.2).

A signer lists names in h=, once for each field it covers. A name that is listed once more than
there are fields is *oversigned*: adding such a field later breaks the signature.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final

from msgauth.dkim.canonical import Canonical, canonical_field
from msgauth.errors import MsgauthError
from msgauth.message import HeaderField

MAX_COVERED: Final = 500
"""Maximum fields covered by a new signature, so that h= stays short: real mail has about 30."""

_FIELD_NAME = re.compile(r"[!-9;-~]{1,76}\Z")

# RFC 6376 section 5.4 advises against fields that relays add, change or remove; RFC 8617 section
# 4.1.2 forbids Authentication-Results and the ARC fields in an ARC-Message-Signature
_NEVER = frozenset(
    {
        "arc-authentication-results",
        "arc-message-signature",
        "arc-seal",
        "authentication-results",
        "bcc",
        "received",
        "resent-bcc",
        "return-path",
    }
)

_ONCE: Final = {
    name.lower().encode("ascii"): name
    for name in (
        # RFC 5322 section 3.6: at most once in a message
        "Date",
        "From",
        "Sender",
        "Reply-To",
        "To",
        "Cc",
        "Bcc",
        "Message-ID",
        "In-Reply-To",
        "References",
        "Subject",
        # RFC 2045 section 3, RFC 2183: at most once in the header of an entity
        "MIME-Version",
        "Content-Type",
        "Content-Transfer-Encoding",
        "Content-ID",
        "Content-Description",
        "Content-Disposition",
    )
}
"""The fields that a message may have only once, with their usual spelling, by key. Trace fields,
Resent-* (RFC 5322 section 3.6.6), Comments, Keywords and unknown fields may occur several times,
and relays and lists add some of them."""


class Header:
    """The header of one message, indexed for the names in h=.

    All signatures of the message share the same `Header`, so that each field is converted to
    relaxed form once.
    """

    __slots__ = ("_by_name", "_relaxed")

    def __init__(self, fields: Iterable[HeaderField]) -> None:
        self._by_name: dict[bytes, list[HeaderField]] = {}
        for header_field in fields:
            self._by_name.setdefault(header_field.key, []).append(header_field)
        self._relaxed: dict[int, bytes] = {}

    def named(self, key: bytes) -> list[HeaderField]:
        """Return the fields whose `HeaderField.key` is `key`, in the order of the message."""
        return self._by_name.get(key, [])

    def second_field(self, names: Collection[bytes]) -> str:
        """Return the name of a field that may occur only once and has been doubled.

        This is a field that the lower-case `names` of h= list, but less often than it occurs: one
        of the fields was not signed, and a mail program may show that one (RFC 6376 section 8.15).
        Empty if there is none. A field that `names` do not list was never protected, and one that
        they list as often as it occurs was sent this way. A second MIME-Version added by a relay is
        harmless if both are the same: there is only one version.
        """
        for key, name in _ONCE.items():
            same_name = self._by_name.get(key)
            if same_name is None or len(same_name) == 1:
                continue
            listed = sum(one == key for one in names)
            if not 0 < listed < len(same_name):
                continue
            if key != b"mime-version" or len({*map(self._relaxed_form, same_name)}) > 1:
                return name
        return ""

    def covered(self, names: Iterable[bytes], own: HeaderField) -> list[HeaderField]:
        """Return the fields that the lower-case `names` of h= select, in the order of h=.

        Fields of the same name are taken from the bottom of the header up (RFC 6376 section
        5.4.2); a name without a remaining field selects nothing. `own` is the signature field with
        this list: a signature never covers itself through h= (section 3.5).
        """
        taken: dict[bytes, int] = {}
        covered = []
        for name in names:
            same_name = self._by_name.get(name)
            if same_name is None:
                continue
            position = taken.get(name, len(same_name)) - 1
            if position >= 0 and same_name[position] is own:
                position -= 1
            if position >= 0:
                covered.append(same_name[position])
            taken[name] = max(position, 0)
        return covered

    def canonical(self, fields: Iterable[HeaderField], algorithm: Canonical) -> bytes:
        """Return `fields` of this header in canonical form, concatenated."""
        if algorithm is Canonical.SIMPLE:
            return b"".join([canonical_field(one, algorithm) for one in fields])
        return b"".join([self._relaxed_form(one) for one in fields])

    def _relaxed_form(self, one: HeaderField) -> bytes:
        form = self._relaxed.get(id(one))
        if form is None:
            form = self._relaxed[id(one)] = canonical_field(one, Canonical.RELAXED)
        return form


def require_signable(name: str) -> None:
    """Raise `MsgauthError` for an invalid field name, and for a field that must not be signed."""
    if not _FIELD_NAME.match(name):
        raise MsgauthError(f"not the name of a header field: {name[:40]!r}")
    if name.lower() in _NEVER:
        # RFC 6376 section 5.4; RFC 8617 section 4.1.2
        raise MsgauthError(f"{name} is changed on the way and must not be signed")


@dataclass(frozen=True, slots=True)
class HeaderPolicy:
    """The fields to sign: names in three groups, ignoring case.

    `always` is covered once more than it occurs, present or not; `present` is covered once more
    than it occurs, if it occurs; `plain` is covered as often as it occurs, so that more may be
    added in transit. Raises `MsgauthError` for an invalid field name, for a name in two groups, for
    one that must not be signed, and if From is not in `always`.
    """

    always: tuple[str, ...]
    present: tuple[str, ...]
    plain: tuple[str, ...]
    keys: frozenset[bytes] = field(init=False, repr=False, compare=False)
    """The names of all groups, in the form of `HeaderField.key`."""
    _rules: tuple[tuple[bytes, str, int, bool], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        names = [name.lower() for name in (*self.always, *self.present, *self.plain)]
        for name in names:
            require_signable(name)
        if len(set(names)) != len(names):
            raise MsgauthError("a header field is named twice")
        if "from" not in names[: len(self.always)]:
            # RFC 6376 section 5.4: From MUST be signed; section 8.15: so that none is added
            raise MsgauthError("From must be signed, and always once more than it occurs")
        rules = [(name.lower().encode("ascii"), name, 1, True) for name in self.always]
        rules += [(name.lower().encode("ascii"), name, 1, False) for name in self.present]
        rules += [(name.lower().encode("ascii"), name, 0, False) for name in self.plain]
        object.__setattr__(self, "_rules", tuple(rules))
        object.__setattr__(self, "keys", frozenset(key for key, *_ in rules))

    def select(self, header: Header) -> tuple[tuple[str, ...], list[HeaderField]]:
        """Return the names for h= and the fields they cover, in the order of h=.

        Raises `MsgauthError` if more than `MAX_COVERED` fields would be covered.
        """
        names: list[str] = []
        covered: list[HeaderField] = []
        for key, name, extra, always in self._rules:
            same_name = header.named(key)
            if same_name:
                covered += reversed(same_name)
                names += [name] * (len(same_name) + extra)
            elif always:
                names.append(name)
        if len(covered) > MAX_COVERED:
            raise MsgauthError(f"more than {MAX_COVERED} header fields would have to be signed")
        return tuple(names), covered

    @classmethod
    def parse(cls, text: str) -> HeaderPolicy:
        """Parse names separated by colons: ``(o)From`` is always oversigned, ``(x)Date`` if
        present.

        This is rspamd's notation. Raises `MsgauthError`.
        """
        groups: dict[str, list[str]] = {"(o)": [], "(x)": [], "": []}
        for item in filter(None, (item.strip() for item in text.split(":"))):
            mark = item[:3].lower() if item.startswith("(") else ""
            if mark not in groups:
                raise MsgauthError(f"unknown mark before a header field: {item[:40]!r}")
            groups[mark].append(item[len(mark) :].strip())
        return cls(tuple(groups["(o)"]), tuple(groups["(x)"]), tuple(groups[""]))

    def __str__(self) -> str:
        marked = [f"(o){name}" for name in self.always]
        marked += [f"(x){name}" for name in self.present]
        return ":".join((*marked, *self.plain))


DEFAULT_HEADERS: Final = HeaderPolicy(
    always=("From", "Reply-To", "Subject", "To", "Cc"),
    present=(
        "Sender",
        "Date",
        "Message-ID",
        "MIME-Version",
        "Content-Type",
        "Content-Transfer-Encoding",
        "In-Reply-To",
        "References",
        "Openpgp",
        "Autocrypt",
    ),
    plain=(
        "Resent-Date",
        "Resent-From",
        "Resent-Sender",
        "Resent-To",
        "Resent-Cc",
        "Resent-Message-ID",
        "List-Id",
        "List-Help",
        "List-Owner",
        "List-Unsubscribe",
        "List-Unsubscribe-Post",
        "List-Subscribe",
        "List-Post",
    ),
)
"""The default fields to sign: fields that a reader sees are oversigned, fields that mailing lists
add are not. Both fields of one-click unsubscription are covered, as RFC 8058 section 4 requires."""
