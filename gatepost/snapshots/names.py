"""Names that an address may have in a snapshot, by the rules of `accounts.lookup`.

The record of a domain has the key ``domain:NAME``: `alias_of` names the target of an alias domain,
and `off` says that the domain is disabled. Addresses have the key ``name:ADDRESS``, in lower case
and NFC, with the domain in A-labels. ``delimiter`` has the characters that begin an extension.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any, NamedTuple

from gatepost.snapshots.form import SnapshotData, SnapshotError

MAX_LOCAL_PART = 64
"""Octets of a local part that an address of accounts may have (RFC 5321 section 4.5.3.1.1)."""

# RFC 5322 section 3.2.3, dot-atom
_DOT_ATOM = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*\Z", re.ASCII)


class LocalNames(NamedTuple):
    """Local parts that a record may have: the whole, then the part before the extension.

    There are none if no record can have it. `folded` is always the whole local part.
    """

    folded: str
    names: tuple[str, ...]


def read_local_part(local: str, delimiter: str) -> LocalNames:
    """Return the names of a local part without quotes."""
    folded = fold(local)
    if not _is_plain(local):
        return LocalNames(folded, ())
    names = (folded,) if _fits(folded) else ()
    place = _find_extension(local, folded, delimiter)
    if place and _fits(base := fold(local[:place])):
        names = (*names, base)
    return LocalNames(folded, names)


def fold(text: str) -> str:
    """Return a local part in the form that accounts stores."""
    if text.isascii():
        return text.lower()
    # lower case of a composed letter may be decomposed: U+0130 is "i" and a combining dot
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())


def domains_of(snapshot: SnapshotData, domain: str) -> tuple[str, ...] | None:
    """Return a domain of accounts, and the target of an alias domain.

    The result is empty if accounts does not have the domain, None if it is disabled.
    """
    value = snapshot.get(f"domain:{domain}")
    if not isinstance(value, dict):
        return ()
    if value.get("off"):
        return None
    other = value.get("alias_of")
    return (domain, other) if isinstance(other, str) else (domain,)


def delimiter_of(snapshot: SnapshotData) -> str:
    """Return the characters that begin an extension."""
    return str(snapshot.get("delimiter") or "")


def check_common(key: str, value: Any) -> bool:
    """Return whether this module reads the record; raises `SnapshotError` if it is malformed."""
    if key == "delimiter":
        is_right = isinstance(value, str)
    elif key.startswith("domain:"):
        is_right = isinstance(value, dict) and isinstance(value.get("alias_of"), str | None)
    else:
        return False
    if not is_right:
        raise SnapshotError(f"the record of {key[:80]!a} is malformed")
    return True


def _is_plain(local: str) -> bool:
    if local.isascii():
        return _DOT_ATOM.match(local) is not None
    if not local.isprintable():
        return False
    letters = "".join(char if char.isascii() else "a" for char in local)
    return _DOT_ATOM.match(letters) is not None


def _fits(local: str) -> bool:
    return len(local) <= MAX_LOCAL_PART and (
        local.isascii() or len(local.encode("utf-8", "surrogatepass")) <= MAX_LOCAL_PART
    )


def _find_extension(local: str, folded: str, delimiter: str) -> int:
    """Return where the extension begins, as Postfix's split_addr() finds it; 0 for none."""
    places = [place for char in delimiter if (place := local.find(char)) >= 0]
    if not places:
        return 0
    if "-" in delimiter and (folded.startswith("owner-") or folded.endswith("-request")):
        return 0
    place = min(places)
    return 0 if place == len(local) - 1 else place
