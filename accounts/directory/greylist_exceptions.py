"""Exceptions from the greylist: clients and senders whose mail is not delayed.

An exception is for the recipients in one domain, or for all. The policy server gets them in the
snapshot `greylist`.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Select, delete, func, insert, select

from accounts.directory import domains, fields
from accounts.directory.paging import PAGE, page, within
from accounts.store import schema
from accounts.store.errors import AlreadyThere, Invalid, NoSuchObject
from accounts.store.noted import clean
from accounts.store.transaction import Write

KINDS = ("client", "sender")
MAX_EXCEPTIONS: Final = 2000
"""Exceptions of one datastore: the policy server has them in memory."""
WIDEST: Final = {4: 16, 6: 32}
"""The shortest prefix of a network: a wider one would be most of the Internet."""

_TABLE, _DOMAIN = schema.greylist_exception, schema.domain


@dataclass(frozen=True, slots=True)
class GreylistException:
    """An exception. `pattern` is an address, a network or a host name of a client; or the address
    of a sender, or ``@`` and its domain. `domain` is that of the recipients, None for all."""

    id: int
    kind: str
    pattern: str
    domain: str | None
    note: str
    added_by: str
    created: int


def find(
    connection: Connection,
    *,
    after: int | None = None,
    limit: int = PAGE,
    administrator: int | None = None,
) -> list[GreylistException]:
    """Return the exceptions after a number; those of an administrator's domains, or all."""
    statement = _select().where(*within(administrator, _TABLE.c.domain_id))
    rows = connection.execute(page(statement, _TABLE.c.id, after, limit))
    return [GreylistException(**row._asdict()) for row in rows]


def add(
    write: Write, kind: str, pattern: str, *, domain: str | None = None, note: str = ""
) -> GreylistException:
    """Add an exception for the recipients in a domain, or for all."""
    with write.attempt("greylist-exception.add", pattern):
        connection = write.connection
        made = _pattern(fields.choice("kind", kind, KINDS), pattern)
        text = fields.text("note", note)
        owner = None if domain is None else domains.get(connection, domain)
        number = None if owner is None else owner.id
        same = select(_TABLE.c.id).where(
            _TABLE.c.kind == kind,
            _TABLE.c.pattern == made,
            _TABLE.c.domain_id.is_not_distinct_from(number),
        )
        if connection.execute(same).first() is not None:
            raise AlreadyThere(f"There is already an exception for {made}.")
        count = select(func.count()).select_from(_TABLE)
        if connection.execute(count).scalar_one() >= MAX_EXCEPTIONS:
            raise Invalid("pattern", f"There are already {MAX_EXCEPTIONS} exceptions.")
        connection.execute(
            insert(_TABLE).values(
                kind=kind,
                pattern=made,
                domain_id=number,
                note=text,
                added_by=clean(write.actor.name),
                created=write.now,
            )
        )
        row = connection.execute(_select().where(_TABLE.c.id == same.scalar_subquery())).one()
        found = GreylistException(**row._asdict())
        details = {"kind": kind, "note": text, "to": found.domain or "all"}
        write.audit("greylist-exception.add", made, **details)
        return found


def remove(write: Write, number: int, *, domain: str | None = None) -> None:
    """Remove an exception, which has to be of a domain if one is given."""
    with write.attempt("greylist-exception.remove", str(number)):
        connection = write.connection
        checked = fields.number("id", number)
        statement = _select().where(_TABLE.c.id == checked)
        if domain is not None:
            statement = statement.where(_DOMAIN.c.name == fields.domain("domain", domain))
        row = connection.execute(statement).one_or_none()
        if row is None:
            raise NoSuchObject("There is no such exception.")
        connection.execute(delete(_TABLE).where(_TABLE.c.id == checked))
        details = {"kind": row.kind, "to": row.domain or "all"}
        write.audit("greylist-exception.remove", row.pattern, **details)


def _select() -> Select[Any]:
    return select(
        _TABLE.c.id,
        _TABLE.c.kind,
        _TABLE.c.pattern,
        _DOMAIN.c.name.label("domain"),
        _TABLE.c.note,
        _TABLE.c.added_by,
        _TABLE.c.created,
    ).join_from(_TABLE, _DOMAIN, _DOMAIN.c.id == _TABLE.c.domain_id, isouter=True)


def _pattern(kind: str, pattern: Any) -> str:
    text = fields.text("pattern", pattern, 320)
    if kind == "sender":
        if text.startswith("@"):
            return f"@{fields.domain('pattern', text[1:])}"
        # it belongs to another host, and is compared without regard to case
        return fields.target("pattern", text).lower()
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        if "/" in text or ":" in text or text.replace(".", "").isdecimal():
            raise Invalid("pattern", "It is not an address, a network or a host name.") from None
        return fields.domain("pattern", text)
    if network.prefixlen < WIDEST[network.version]:
        raise Invalid("pattern", f"The network is wider than /{WIDEST[network.version]}.")
    single = network.prefixlen == network.max_prefixlen
    return str(network.network_address) if single else str(network)
