"""Operation for the state of the system."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from accounts.directory.daemon_states import DaemonState
from accounts.http.call import ApiReply, Call
from accounts.http.models.overview import OverviewOut
from accounts.http.operation import Operation, Reach
from accounts.http.principals import Role
from accounts.overview import disk_space, stored_facts
from accounts.store.errors import DatastoreError


async def gather(call: Call) -> dict[str, Any]:
    """Return the overview that a caller may see. For `prepare`: counting takes a while."""
    now = int(call.context.clock())
    sees_all = call.principal.role is Role.GLOBAL
    domains = None if sees_all else call.principal.domains
    administrator = call.administrator
    facts = await call.context.database.read(
        lambda c: stored_facts(c, now, administrator=administrator, sees_all=sees_all)
    )
    journal = call.context.journal
    mail = None
    if journal is not None and journal.days:
        # without the journal, the rest is as true as before
        with contextlib.suppress(DatastoreError):
            mail = await journal.counts.get(domains, now)
    disks = None
    if sees_all:
        files = {} if journal is None else journal.files
        disks = await asyncio.to_thread(disk_space, files, facts.size)
    daemons = None
    if facts.daemons is not None:
        daemons = [
            {
                "component": one.component,
                "instance": one.instance,
                "version": one.version,
                "started": one.started,
                "heard": one.heard,
                "is_well": one.is_well(now),
                "is_silent": one.is_silent(now),
                "problems": one.problems,
                "remarks": one.remarks,
                "queue": _queue(one, now),
            }
            for one in facts.daemons
        ]
    return {
        "at": now,
        "daemons": daemons,
        "mail": mail,
        "keys": facts.keys,
        "domains": facts.domains,
        "disks": disks,
        "journal_days": 0 if journal is None else journal.days,
    }


def _queue(state: DaemonState, now: int) -> dict[str, Any] | None:
    queue = state.queue
    if queue is None:
        return None
    return {
        "at": queue.at,
        **queue.mails,
        "oldest": queue.oldest or None,
        "is_old": state.has_old_mail(now),
        "is_partial": queue.is_partial,
        "destinations": [one._asdict() for one in queue.destinations],
    }


async def show(call: Call) -> ApiReply:
    """Return what was gathered."""
    return ApiReply(call.prepared)


OPERATIONS = [
    Operation(
        "show-overview",
        "GET",
        "/overview",
        "overview",
        Reach.LISTED,
        "State of the daemons, mail by outcome, and what needs attention",
        show,
        gives=OverviewOut,
        prepare=gather,
    ),
]
