"""Facts about a client that one check finds and a later check uses."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts about the client of one request, from the checks that have run so far."""

    signals: tuple[str, ...] = ()
    """Reasons why this client looks odd, one word each, for selective greylisting."""
    welcome: str = ""
    """Name of the DNS list of good senders that contains the client; empty if none does."""

    def plus(self, more: Facts) -> Facts:
        """Return these facts together with `more`, the facts from a later check."""
        if more is NO_FACTS:
            return self
        if self is NO_FACTS:
            return more
        return Facts(self.signals + more.signals, more.welcome or self.welcome)


NO_FACTS = Facts()
