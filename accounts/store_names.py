"""Names of the mail stores, for placing new mailboxes."""

from __future__ import annotations

from typing import NamedTuple


class StoreNames(NamedTuple):
    """The mail stores by their names: all, and those that new mailboxes may go to.

    `default` is the store of the mailboxes that name none.
    """

    known: tuple[str, ...]
    taking_new: tuple[str, ...]
    default: str = ""
