"""Terms of a look-up: the time, and what the administrator decided about addresses."""

from __future__ import annotations

from typing import NamedTuple

from accounts.lookup.srs import SenderRewriting

MAX_TARGETS = 1000
"""Most names that one address may lead to: Postfix stops there as well
(virtual_alias_expansion_limit)."""


class LookupTerms(NamedTuple):
    """Facts that a rule needs beside the rows.

    `now` is in seconds since the epoch; `delimiter` is Postfix's recipient_delimiter: each of its
    characters begins an extension, and without any there are none. `srs` makes bounce addresses for
    forwarded mail; None for none.
    """

    now: int
    delimiter: str = "+"
    max_targets: int = MAX_TARGETS
    srs: SenderRewriting | None = None
