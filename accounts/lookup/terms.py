"""Terms of a look-up: the time, and the administrator's rules for addresses."""

from __future__ import annotations

from typing import NamedTuple

from accounts.lookup.srs import SenderRewriting

MAX_TARGETS = 1000
"""Most names that one address may lead to: Postfix stops there as well
(virtual_alias_expansion_limit)."""


class LookupTerms(NamedTuple):
    """Facts that a rule needs in addition to the rows.

    `now` is in seconds since the epoch; `delimiter` is Postfix's recipient_delimiter: each of its
    characters begins an extension; if it is empty, there are no extensions. `srs` makes bounce
    addresses for forwarded mail, or is None.
    """

    now: int
    delimiter: str = "+"
    max_targets: int = MAX_TARGETS
    srs: SenderRewriting | None = None
