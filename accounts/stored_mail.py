"""Mail in a mailbox, as its server counts it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StoredMail:
    """Octets and messages in a mailbox; None is unknown."""

    octets: int | None
    messages: int | None
