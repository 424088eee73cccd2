"""The actions that a session asks of the MTA for a message.

Header fields are counted as in the milter protocol: occurrences of one name from 1, in the message
as it arrived. `milters.session` orders the actions so that none shifts the count of a later one:
deletions from the last to the first, then insertions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from gatepost.reply import Reply


@dataclass(frozen=True, slots=True)
class InsertHeader:
    """Insert a field at the top of the message, above all existing fields.

    `value` includes its leading space and its folds; lines end with LF, as Postfix requires.
    """

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class DeleteHeader:
    """Remove the field that is the `occurrence`-th of its name."""

    name: str
    occurrence: int


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Put the message into the MTA's hold queue; `reason` is for the administrator."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer the end of the message with this reply; the message is not accepted."""

    reply: Reply


MessageAction: TypeAlias = InsertHeader | DeleteHeader | Quarantine | Refuse
