"""The header fields that the milter adds, and forged ones in our name."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from milters.actions import DeleteHeader, InsertHeader
from milters.policy import Disposition
from milters.virus import STATUS
from msgauth.authres import fields_to_remove
from msgauth.message import HeaderField

VERDICT = "X-Gatepost-Verdict"
"""The field that says ``tag`` or ``quarantine``, by which the mail store can file."""

MAX_DELETIONS = 500
"""Maximum fields removed from one message. Postfix searches for each from the top of the header, so
the time grows with the square: 19,000 of them keep it busy for 20 s. No honest message has any."""

_VERDICT_KEY = VERDICT.lower().encode()
_VIRUS_KEY = STATUS.lower().encode()


def insert(field: HeaderField) -> InsertHeader:
    """Insert `field` at the top; Postfix requires LF for the folds."""
    return InsertHeader(field.name.decode(), field.value.decode().replace("\r\n", "\n"))


def verdict(disposition: Disposition) -> InsertHeader:
    """Return the field `VERDICT`."""
    return InsertHeader(VERDICT, f" {disposition.action}; reason={disposition.reason}")


def deletions(
    fields: Sequence[HeaderField],
    own_ids: Collection[str],
    *,
    received_spf: bool,
    virus_status: bool = False,
) -> list[DeleteHeader]:
    """Remove fields that claim to be ours, the last of each name first.

    `virus_status` adds those with the result of a scan for viruses, whoever wrote them.

    This way no deletion shifts the count of a later one.
    """
    forged = set(fields_to_remove(fields, own_ids, received_spf=received_spf))
    forged.update(n for n, field in enumerate(fields) if field.key == _VERDICT_KEY)
    if virus_status:
        forged.update(n for n, field in enumerate(fields) if field.key == _VIRUS_KEY)
    if not forged:
        return []
    counts: dict[bytes, int] = {}
    found: list[DeleteHeader] = []
    for n, field in enumerate(fields):
        counts[field.key] = counts.get(field.key, 0) + 1
        if n in forged:
            found.append(DeleteHeader(field.name.decode(), counts[field.key]))
    found.reverse()
    return found


def count_forged(removed: Sequence[DeleteHeader]) -> int:
    """Return how many of these fields claim to be ours; any server writes X-Virus-Status."""
    return sum(one.name.rstrip(" \t").lower() != STATUS.lower() for one in removed)
