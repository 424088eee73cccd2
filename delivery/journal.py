"""Record of the answer to a recipient for the journal of accounts."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeAlias

from delivery.protocols.envelope import address_of
from delivery.protocols.store_reply import StoreReply
from gatepost.journal.record import JournalRecord
from gatepost.journal.sender import JournalSender

RecipientNote: TypeAlias = Callable[[str, StoreReply, str, dict[str, str]], None]
"""Function that gets the path of a recipient, the reply, the reason id and the other facts."""

_LATER: Final = 500
"""Codes below this one let Postfix try again."""


def journal_note(journal: JournalSender, queue_id: str, sender: str, size: int) -> RecipientNote:
    """Return the function that writes about the recipients of a message."""

    def note(path: str, reply: StoreReply, reason: str, facts: dict[str, str]) -> None:
        """Write a record."""
        action = "deliver" if reply.is_success else "defer" if reply.code < _LATER else "reject"
        journal.add(
            JournalRecord(
                at=time.time(),
                daemon="delivery",
                action=action,
                reason=reason,
                queue_id=queue_id,
                sender=address_of(sender).text,
                size=size,
                recipients=(address_of(path).text,),
                details={
                    "reply": str(reply),
                    **{name: text for name, text in facts.items() if text},
                },
            )
        )

    return note
