"""States of the daemons: the last report of each on each host, for a day.

They are written by `Database.record`, because they are no change of the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, delete, func, insert, select, update

from accounts.store import schema
from accounts.store.noted import clean
from gatepost.reports.queue_state import QueueState, QueueStateError, decode_queue, encode_queue
from gatepost.reports.report import StateReport
from gatepost.reports.sender import INTERVAL

MAX_STATES: Final = 200
"""Daemons that are remembered; those heard of first are forgotten."""
KEPT: Final = 86_400
"""Seconds for which a daemon is remembered that reports no more."""
OLD_QUEUE: Final = 4 * 3600
"""Seconds for which a mail may wait before somebody should look: another server's greylist, or its
restart, takes less."""
SILENT: Final = int(2.5 * INTERVAL)
"""Seconds without a report after which a daemon counts as silent."""

_TABLE = schema.daemon_state


@dataclass(frozen=True, slots=True)
class DaemonState:
    """The last report of a daemon; see `gatepost.reports.report.StateReport`.

    `heard` is when it came, in seconds since the epoch.
    """

    component: str
    instance: str
    version: str
    started: int
    heard: int
    problems: tuple[str, ...]
    remarks: tuple[str, ...]
    queue: QueueState | None = None

    def is_silent(self, now: int) -> bool:
        """Return whether reports are missing."""
        return now - self.heard > SILENT

    def has_old_mail(self, now: int) -> bool:
        """Return whether mail has waited for long in the queue of Postfix."""
        return self.queue is not None and 0 < self.queue.oldest < now - OLD_QUEUE

    def is_well(self, now: int) -> bool:
        """Return whether it reports, and reports no problem."""
        return not self.problems and not self.is_silent(now)


def note(connection: Connection, report: StateReport, now: int) -> None:
    """Keep a report in place of the last one, and forget old ones. For `Database.record`."""
    instance = clean(report.instance)
    here = (_TABLE.c.component == report.component, _TABLE.c.instance == instance)
    if report.is_over:
        # one that has replaced it on this host may have reported already
        ended = _TABLE.c.started <= report.started
        connection.execute(delete(_TABLE).where(*here, ended))
        return
    values = {
        "version": clean(report.version),
        "started": min(report.started, now),
        "heard": now,
        "problems": [clean(line) for line in report.problems],
        "remarks": [clean(line) for line in report.remarks],
        "queue": None if report.queue is None else encode_queue(report.queue),
    }
    if connection.execute(update(_TABLE).where(*here).values(values)).rowcount:
        return
    connection.execute(
        insert(_TABLE).values(component=report.component, instance=instance, **values)
    )
    connection.execute(delete(_TABLE).where(_TABLE.c.heard < now - KEPT))
    count = connection.execute(select(func.count()).select_from(_TABLE)).scalar_one()
    if count > MAX_STATES:
        oldest = connection.execute(
            select(_TABLE.c.component, _TABLE.c.instance)
            .order_by(_TABLE.c.heard, _TABLE.c.instance)
            .limit(count - MAX_STATES)
        ).all()
        for one in oldest:
            gone = (_TABLE.c.component == one.component, _TABLE.c.instance == one.instance)
            connection.execute(delete(_TABLE).where(*gone))


def find(connection: Connection, now: int) -> list[DaemonState]:
    """Return the daemons that were heard of within a day, by their names."""
    statement = select(_TABLE).where(_TABLE.c.heard >= now - KEPT)
    rows = connection.execute(statement.order_by(_TABLE.c.component, _TABLE.c.instance))
    return [
        DaemonState(
            **{
                **row._asdict(),
                "problems": tuple(row.problems),
                "remarks": tuple(row.remarks),
                "queue": _queue(row.queue),
            }
        )
        for row in rows
    ]


def _queue(found: Any) -> QueueState | None:
    try:
        return decode_queue(found)
    except QueueStateError:  # a later version has written it
        return None
