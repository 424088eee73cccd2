"""Tally of a queue: mails by queue, the oldest one, and the largest destinations."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Final

from gatepost.journal.record import clean
from gatepost.postfix_watch.queue_list import QueuedMail, QueueEvent
from gatepost.reports.queue_state import (
    MAX_DESTINATIONS,
    MAX_DOMAIN,
    MAX_REASON,
    QUEUES,
    QueueDestination,
    QueueState,
)

MAX_DOMAINS: Final = 5000
"""Domains that are counted: a few megabytes. Bounces of spam go to many, each with little mail."""


@dataclass(slots=True)
class _Destination:
    recipients: int
    oldest: int
    reason: str


class QueueTally:
    """Counts of a queue while it is read."""

    def __init__(self) -> None:
        self._mails = dict.fromkeys(QUEUES, 0)
        self._oldest = 0
        self._destinations: dict[str, _Destination] = {}
        self._mail: QueuedMail | None = None

    def add(self, event: QueueEvent) -> None:
        """Count a mail, or a recipient of the last one."""
        if isinstance(event, QueuedMail):
            # mail on hold waits for a person, and not for another server
            self._mail = None
            if event.queue in self._mails:
                self._mails[event.queue] += 1
                if event.queue != "hold":
                    self._mail = event
                    self._oldest = _older(self._oldest, event.arrived)
        elif self._mail is not None:
            self._count(event.address, event.reason, self._mail.arrived)

    def state(self, at: int, *, is_partial: bool) -> QueueState:
        """Return what was counted."""
        largest = heapq.nsmallest(
            MAX_DESTINATIONS,
            self._destinations.items(),
            key=lambda item: (-item[1].recipients, item[0]),
        )
        return QueueState(
            at,
            dict(self._mails),
            self._oldest,
            tuple(
                QueueDestination(domain, one.recipients, one.oldest, one.reason)
                for domain, one in largest
            ),
            is_partial,
        )

    def _count(self, address: str, reason: str, arrived: int) -> None:
        # an address without a domain is one of this host
        domain = clean(address.rpartition("@")[2].lower(), MAX_DOMAIN) if "@" in address else ""
        found = self._destinations.get(domain)
        if found is None:
            if len(self._destinations) >= MAX_DOMAINS:
                return
            found = self._destinations[domain] = _Destination(0, arrived, "")
        found.recipients += 1
        found.oldest = _older(found.oldest, arrived)
        if reason and not found.reason:
            found.reason = clean(reason, MAX_REASON)


def _older(one: int, other: int) -> int:
    """Return the earlier of two times; 0 is none."""
    return min(one, other) if one else other
