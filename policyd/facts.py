"""Facts that one check finds out about a client and that a later check uses."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts about the client of one request, from the checks asked so far."""

    signals: tuple[str, ...] = ()
    """Why this client looks odd, one word each; selective greylisting reads them."""
    welcome: str = ""
    """Name of the DNS list of good senders that has the client; empty when none has."""

    def plus(self, more: Facts) -> Facts:
        """Return these facts and `more`, which a later check found."""
        if more is NO_FACTS:
            return self
        if self is NO_FACTS:
            return more
        return Facts(self.signals + more.signals, more.welcome or self.welcome)


NO_FACTS = Facts()
