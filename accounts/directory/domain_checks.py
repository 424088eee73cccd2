"""Last comparisons of domains with DNS, which show what is known without asking again.

They are written by `Database.record`, because they are no change of the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, delete, func, insert, select

from accounts.directory.paging import within
from accounts.dnscheck import DomainReport, FindingLevel
from accounts.store import schema
from accounts.store.noted import clean

MAX_WRONG: Final = 20
"""Findings of a domain that are kept, the worst ones first."""
MAX_SENTENCE: Final = 400
"""Characters of a finding."""

_TABLE, _DOMAIN = schema.domain_check, schema.domain
_ORDER: Final = (FindingLevel.ERROR, FindingLevel.WARNING, FindingLevel.UNKNOWN)


@dataclass(frozen=True, slots=True)
class DomainCheck:
    """Result of a check of a domain at a time, in seconds since the epoch.

    `level` is that of the worst finding; `wrong` are the findings that are not right, each with its
    topic, name, type, level and a sentence.
    """

    domain: str
    at: int
    level: str
    wrong: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class CheckedDomains:
    """State of domains: those with errors, and how many there are of each kind."""

    wrong: tuple[DomainCheck, ...]
    with_errors: int
    with_advice: int
    right: int
    unchecked: int


def note(connection: Connection, report: DomainReport, now: int) -> None:
    """Keep the result of a check in place of the last one. For `Database.record`."""
    statement = select(_DOMAIN.c.id).where(_DOMAIN.c.name == report.domain)
    row = connection.execute(statement).scalar_one_or_none()
    if row is None:
        return  # it was removed meanwhile
    bad = sorted(
        (one for one in report.findings if one.level in _ORDER),
        key=lambda one: _ORDER.index(one.level),
    )
    wrong = [
        {
            "topic": one.topic,
            "name": clean(one.name),
            "type": one.type,
            "level": one.level.value,
            "text": clean(one.text[:MAX_SENTENCE]),
        }
        for one in bad[:MAX_WRONG]
    ]
    connection.execute(delete(_TABLE).where(_TABLE.c.domain_id == row))
    connection.execute(
        insert(_TABLE).values(domain_id=row, at=now, level=report.level.value, wrong=wrong)
    )


def find(connection: Connection, *, limit: int, administrator: int | None = None) -> CheckedDomains:
    """Return what is known about the domains of an administrator, or about all."""
    own = within(administrator, _DOMAIN.c.id)
    joined = _DOMAIN.join(_TABLE, _TABLE.c.domain_id == _DOMAIN.c.id, isouter=True)
    counted = select(_TABLE.c.level, func.count()).select_from(joined).where(*own)
    rows = connection.execute(counted.group_by(_TABLE.c.level)).all()
    counts: dict[str | None, int] = {row[0]: row[1] for row in rows}
    errors = (
        select(_DOMAIN.c.name, _TABLE.c.at, _TABLE.c.level, _TABLE.c.wrong)
        .select_from(joined)
        .where(*own, _TABLE.c.level == FindingLevel.ERROR.value)
        .order_by(_DOMAIN.c.name)
        .limit(limit)
    )
    return CheckedDomains(
        tuple(
            DomainCheck(name, at, level, tuple(wrong))
            for name, at, level, wrong in connection.execute(errors)
        ),
        counts.get(FindingLevel.ERROR.value, 0),
        counts.get(FindingLevel.WARNING.value, 0) + counts.get(FindingLevel.UNKNOWN.value, 0),
        counts.get(FindingLevel.OK.value, 0),
        counts.get(None, 0),
    )
