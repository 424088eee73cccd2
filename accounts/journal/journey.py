"""Journeys of mail to its recipients, joined from the decisions of the daemons.

The policy server decides about attempts, before there is a queue id. The milter and the delivery
have the queue id in common. An attempt belongs to the next mail from the same sender to the same
recipient that comes from the same network; a delayed one (greylisting) from any network.
"""

from __future__ import annotations

import ipaddress
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from accounts.journal.row import JournalRow

ATTEMPTS: Final = 86_400.0
"""Seconds before a mail in which attempts belong to it, and between two attempts at the same."""
SLACK: Final = 5.0
"""Seconds by which the clocks of two daemons may differ."""
_REUSED: Final = 3600.0
"""Seconds after which a short queue id with another Message-ID is that of another mail."""


class MailJourney(NamedTuple):
    """The decisions about a mail to one recipient, in the order of time."""

    recipient: str
    """The address that the sender used, if it is known."""
    attempts: tuple[JournalRow, ...]
    """Answers of the policy server."""
    accepted: tuple[JournalRow, ...]
    """Decisions of the milter: usually one."""
    deliveries: tuple[JournalRow, ...]
    """Records of delivery and of Postfix about it."""

    @property
    def rows(self) -> list[JournalRow]:
        """Return all decisions."""
        rows = [*self.attempts, *self.accepted, *self.deliveries]
        return sorted(rows, key=lambda row: (row.at, row.id))


def join(rows: Iterable[JournalRow]) -> list[MailJourney]:
    """Return the journeys in these rows, the latest ones first."""
    attempts: list[JournalRow] = []
    mails: defaultdict[tuple[str, int], list[JournalRow]] = defaultdict(list)
    uses: dict[str, tuple[int, str, float]] = {}
    for row in sorted(rows, key=lambda row: (row.at, row.id)):
        if row.daemon == "policyd":
            attempts.append(row)
        elif not row.queue_id:
            mails["", row.id].append(row)
        else:
            use, message_id, at = uses.get(row.queue_id, (0, row.message_id, row.at))
            is_other = row.message_id and message_id and row.message_id != message_id
            if is_other and row.at > at + _REUSED:
                use += 1
            uses[row.queue_id] = use, row.message_id or message_id, row.at
            mails[row.queue_id, use].append(row)
    lanes = [lane for found in mails.values() for lane in _lanes(found)]
    journeys = _with_attempts(lanes, attempts)
    return sorted(journeys, key=lambda one: -one.rows[-1].at)


def _lanes(rows: Sequence[JournalRow]) -> list[MailJourney]:
    """Return a journey for each recipient of one mail.

    Postfix delivers to the address that an alias leads to, and its log names both. Without it, if
    just one recipient has no delivery, the deliveries to other addresses are its own; otherwise
    each is a journey of its own.
    """
    accepted: defaultdict[str, list[JournalRow]] = defaultdict(list)
    deliveries: defaultdict[str, list[JournalRow]] = defaultdict(list)
    # Postfix's rows are about the address that was accepted
    origins = {
        final: row.base
        for row in rows
        if row.daemon == "postfix" and (final := row.details.get("final"))
    }
    for row in rows:
        if row.daemon == "milters":
            accepted[row.base].append(row)
        else:
            is_delivery = row.daemon == "delivery"
            base = origins.get(row.base, row.base) if is_delivery else row.base
            deliveries[base].append(row)
    others = [base for base in deliveries if base not in accepted]
    waiting = [base for base in accepted if base not in deliveries]
    is_listed = all(row.total <= len(accepted) for row in rows)
    if others and len(waiting) == 1 and is_listed:
        for base in others:
            deliveries[waiting[0]] += deliveries.pop(base)
        others = []
    journeys = [
        MailJourney(found[-1].recipient, (), tuple(found), tuple(deliveries.get(base, ())))
        for base, found in accepted.items()
    ]
    for base in others:
        found = deliveries[base]
        journeys.append(MailJourney(found[-1].recipient, (), (), tuple(found)))
    return journeys


class _PairMails:
    """Mails from one sender to one recipient, by the numbers of their lanes.

    They are added in the order of time, so that a search looks at few of many.
    """

    def __init__(self) -> None:
        self._times: list[float] = []
        self._mails: list[tuple[str, int]] = []
        self._queued: dict[str, int] = {}

    def add(self, mail: JournalRow, number: int) -> None:
        """Add a mail."""
        self._times.append(mail.at)
        self._mails.append((network_of(mail.client), number))
        if mail.queue_id:
            self._queued.setdefault(mail.queue_id, number)

    def next_of(self, row: JournalRow) -> int | None:
        """Return the mail that an attempt belongs to."""
        if row.queue_id in self._queued:
            return self._queued[row.queue_id]
        first = bisect_left(self._times, row.at - SLACK)
        end = bisect_right(self._times, row.at + ATTEMPTS)
        is_delayed, network = row.reason.startswith("greylist-"), network_of(row.client)
        for place in range(first, end):
            seen, number = self._mails[place]
            if is_delayed or seen == network:
                return number
        return None


def _with_attempts(
    lanes: Sequence[MailJourney], attempts: Sequence[JournalRow]
) -> list[MailJourney]:
    """Return the journeys with the attempts that belong to them, and those of other attempts."""
    by_pair: defaultdict[tuple[str, str], _PairMails] = defaultdict(_PairMails)
    accepted = [(lane.accepted[0], number) for number, lane in enumerate(lanes) if lane.accepted]
    for mail, number in sorted(accepted, key=lambda one: one[0].at):
        by_pair[mail.base, mail.sender_base].add(mail, number)
    taken: defaultdict[int, list[JournalRow]] = defaultdict(list)
    left: list[JournalRow] = []
    for row in attempts:
        if (place := by_pair[row.base, row.sender_base].next_of(row)) is None:
            left.append(row)
        else:
            taken[place].append(row)
    owners: defaultdict[str, set[int]] = defaultdict(set)
    for place, rows in taken.items():
        for row in rows:
            owners[row.instance].add(place)
    others = []
    for row in left:
        # without a recipient, it is about the whole message
        places = owners[row.instance] if row.instance and not row.base else set()
        for place in places:
            taken[place].append(row)
        if not places:
            others.append(row)
    joined = [
        lane._replace(attempts=tuple(sorted(taken[number], key=lambda row: (row.at, row.id))))
        for number, lane in enumerate(lanes)
    ]
    return [*joined, *_unfinished(others)]


def _unfinished(rows: Sequence[JournalRow]) -> list[MailJourney]:
    """Return the attempts that no mail has followed, those of one client together."""
    journeys: list[MailJourney] = []
    open_ones: dict[tuple[str, str, str], list[JournalRow]] = {}
    bases: defaultdict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row.instance and row.base:
            bases[row.instance].add(row.base)
    for row in rows:
        # without a recipient, it is about all recipients of the message
        for base in [row.base] if row.base else sorted(bases[row.instance]) or [row.instance]:
            key = base, row.sender_base, network_of(row.client)
            group = open_ones.get(key)
            if group is not None and row.at - group[-1].at > ATTEMPTS:
                journeys.append(MailJourney(_recipient(group), tuple(group), (), ()))
                group = None
            if group is None:
                open_ones[key] = [row]
            else:
                group.append(row)
    return journeys + [
        MailJourney(_recipient(group), tuple(group), (), ()) for group in open_ones.values()
    ]


def _recipient(rows: Sequence[JournalRow]) -> str:
    return next((row.recipient for row in reversed(rows) if row.recipient), "")


@lru_cache(maxsize=8192)
def network_of(client: str) -> str:
    """Return the /24 or /64 of an address, as greylisting does; another text as it is."""
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return client
    bits = 24 if address.version == 4 else 64
    return str(ipaddress.ip_network((address, bits), strict=False))
