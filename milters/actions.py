"""What a session tells the MTA to do with a message.

Header fields are counted as the milter protocol counts them: occurrences of one name from 1, in the
message as it came in. `milters.session` orders the actions so that none shifts the count of a
later one: deletions from the last to the first, then insertions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from gatepost.reply import Reply


@dataclass(frozen=True, slots=True)
class InsertHeader:
    """Put a field on top of the message, above every field that is there.

    `value` has its leading space and its folds; lines end with LF, as Postfix wants them.
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
    """Let the message wait in the MTA's hold queue; `reason` is for the administrator."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer the end of the message with this reply; the message is not taken."""

    reply: Reply


Action: TypeAlias = InsertHeader | DeleteHeader | Quarantine | Refuse
