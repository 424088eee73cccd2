"""Domains that receive mail, and alias domains, whose addresses are those of another domain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

from sqlalchemy import Connection, Select, delete, func, insert, select

from accounts.directory import alias_names, fields, keeping, loops, targets
from accounts.directory.changes import change_row, differences, expect, told
from accounts.directory.paging import PAGE, having, page, within
from accounts.store import schema
from accounts.store.errors import AlreadyThere, Invalid, NoSuchObject
from accounts.store.transaction import Write

_TABLE = schema.domain
_TARGET = schema.domain.alias("target")


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain. `alias_of` is the name of another one. A limit of None is no limit."""

    id: int
    name: str
    description: str
    alias_of: str | None
    catch_all: str | None
    enabled: bool
    max_mailboxes: int | None
    max_aliases: int | None
    max_quota: int | None
    """Largest quota of a mailbox, in octets."""
    default_quota: int | None
    """Default quota of a mailbox, in octets."""
    transport: str | None
    is_relay: bool
    """True if the mailboxes of the domain are on another host, which `transport` reaches."""
    version: int
    created: int
    changed: int
    disposable_aliases: int
    """Aliases with a random name that the owner of a mailbox may have."""
    named_aliases: int
    """Aliases with a chosen name that the owner of a mailbox may have."""
    named_alias_pattern: str | None
    """Pattern of these names, as `accounts.directory.alias_names` reads it; None allows any."""


class DomainFields(TypedDict, total=False):
    """The fields that `add` and `change` set."""

    description: str
    alias_of: str | None
    catch_all: str | None
    enabled: bool
    max_mailboxes: int | None
    max_aliases: int | None
    max_quota: int | None
    default_quota: int | None
    transport: str | None
    is_relay: bool
    disposable_aliases: int
    named_aliases: int
    named_alias_pattern: str | None


def _personal(field: str, value: Any) -> int:
    return fields.number(field, value, 0, alias_names.MAX_PERSONAL)


_CHECKS: dict[str, fields.FieldCheck] = {
    "description": fields.text,
    "alias_of": fields.optional(fields.domain),
    "catch_all": fields.optional(fields.target),
    "enabled": fields.flag,
    "max_mailboxes": fields.optional(fields.number),
    "max_aliases": fields.optional(fields.number),
    "max_quota": fields.optional(fields.number),
    "default_quota": fields.optional(fields.number),
    "transport": fields.optional(fields.transport),
    "is_relay": fields.flag,
    "disposable_aliases": _personal,
    "named_aliases": _personal,
    "named_alias_pattern": fields.optional(alias_names.pattern),
}


def get(connection: Connection, name: str) -> Domain:
    """Return a domain; raises `NoSuchObject`."""
    found = fields.domain("name", name)
    row = connection.execute(_select().where(_TABLE.c.name == found)).one_or_none()
    if row is None:
        raise NoSuchObject(f"There is no domain {found}.")
    return Domain(**row._asdict())


def find(
    connection: Connection,
    *,
    text: str | None = None,
    after: str | None = None,
    limit: int = PAGE,
    administrator: int | None = None,
) -> list[Domain]:
    """Return the domains after the name `after` with `text` in name or description.

    `administrator`: only the domains of the administrator with this id.
    """
    statement = _select().where(
        *having(text, _TABLE.c.name, _TABLE.c.description),
        *within(administrator, _TABLE.c.id),
    )
    rows = connection.execute(page(statement, _TABLE.c.name, after, limit))
    return [Domain(**row._asdict()) for row in rows]


def aliases_of(connection: Connection, name: str) -> list[str]:
    """Return the names of the domains that are aliases of a domain."""
    statement = _select().where(_TARGET.c.name == name).order_by(_TABLE.c.name)
    return [row.name for row in connection.execute(statement)]


def add(write: Write, name: str, /, **values: Unpack[DomainFields]) -> Domain:
    """Add a domain."""
    with write.attempt("domain.add", name):
        made = fields.domain("name", name)
        checked = _checked(write.connection, values)
        if write.connection.scalar(select(_TABLE.c.id).where(_TABLE.c.name == made)) is not None:
            raise AlreadyThere(f"There is already a domain {made}.")
        _check_rules(write.connection, made, None, checked)
        write.connection.execute(
            insert(_TABLE).values(
                name=made,
                **_stored(write.connection, checked),
                created=write.now,
                changed=write.now,
            )
        )
        _refuse_loops(write.connection, made, checked)
        write.audit("domain.add", made, **checked)
        return get(write.connection, made)


def change(
    write: Write, name: str, version: int | None, /, **values: Unpack[DomainFields]
) -> Domain:
    """Change a domain. A lower limit applies to later additions and changes."""
    with write.attempt("domain.change", name):
        before = get(write.connection, name)
        expect(before.version, version)
        checked = differences(before, _checked(write.connection, values))
        if not checked:
            return before
        _check_rules(write.connection, before.name, before, checked)
        change_row(write, _TABLE, before.id, _stored(write.connection, checked))
        _refuse_loops(write.connection, before.name, checked)
        write.audit("domain.change", before.name, **told(before, checked))
        return get(write.connection, before.name)


def remove(write: Write, name: str, version: int | None = None) -> None:
    """Remove a domain with its mailboxes, aliases and keys; mail stays as for a mailbox.

    Raises `Invalid` if other domains are aliases of it.
    """
    with write.attempt("domain.remove", name):
        before = get(write.connection, name)
        expect(before.version, version)
        if others := _aliases_of(write.connection, before.id):
            raise Invalid("name", f"{', '.join(others)} would be an alias of nothing.")
        counted = {
            "mailboxes": count(write.connection, schema.mailbox, before.id),
            "aliases": count(write.connection, schema.alias, before.id),
        }
        keeping.keep(write, schema.mailbox.c.domain_id == before.id)
        # first the names: their mailboxes and aliases refer to them, and go with them
        write.connection.execute(delete(schema.name).where(schema.name.c.domain_id == before.id))
        write.connection.execute(delete(_TABLE).where(_TABLE.c.id == before.id))
        write.audit("domain.remove", before.name, **counted)


def count(connection: Connection, table: Any, domain: int) -> int:
    """Return how many rows of a table belong to a domain."""
    statement = select(func.count()).select_from(table).where(table.c.domain_id == domain)
    return int(connection.execute(statement).scalar_one())


def _select() -> Select[Any]:
    columns = [
        _TARGET.c.name.label("alias_of") if column.name == "alias_of" else column
        for column in _TABLE.c
    ]
    return select(*columns).select_from(
        _TABLE.outerjoin(_TARGET, _TARGET.c.id == _TABLE.c.alias_of)
    )


def _checked(connection: Connection, values: Any) -> dict[str, Any]:
    checked = fields.checked(values, _CHECKS)
    if checked.get("catch_all") is not None:
        (checked["catch_all"],) = targets.fold(connection, [checked["catch_all"]])
    return checked


def _stored(connection: Connection, values: dict[str, Any]) -> dict[str, Any]:
    """Return the values in the form of the table, with an id for the name of the other domain."""
    if values.get("alias_of") is None:
        return values
    return values | {"alias_of": get(connection, values["alias_of"]).id}


def _aliases_of(connection: Connection, domain: int, most: int = 3) -> list[str]:
    statement = select(_TABLE.c.name).where(_TABLE.c.alias_of == domain)
    return list(connection.scalars(statement.order_by(_TABLE.c.name).limit(most)))


def _check_rules(
    connection: Connection, name: str, before: Domain | None, values: dict[str, Any]
) -> None:
    """Raise `Invalid` for values that do not go together."""

    def after(field: str) -> Any:
        return values.get(field, getattr(before, field) if before else None)

    if after("alias_of") is not None:
        _check_alias(connection, name, before, values)
        if after("is_relay"):
            raise Invalid("is_relay", "An alias domain has its mailboxes where its target does.")
    if after("is_relay") and before and count(connection, schema.mailbox, before.id):
        raise Invalid("is_relay", "The domain has mailboxes here: remove them first.")
    highest, default = after("max_quota"), after("default_quota")
    if highest is not None and default is not None and default > highest:
        raise Invalid("default_quota", f"It is above max_quota, which is {highest}.")


def _check_alias(
    connection: Connection, name: str, before: Domain | None, values: dict[str, Any]
) -> None:
    if values.get("alias_of") is None:
        return
    if values["alias_of"] == name:
        raise Invalid("alias_of", "A domain cannot be an alias of itself.")
    try:
        target = get(connection, values["alias_of"])
    except NoSuchObject as error:
        raise Invalid("alias_of", str(error)) from None
    if target.alias_of is not None:
        raise Invalid("alias_of", f"{target.name} is an alias of {target.alias_of} itself.")
    if before is None:
        return
    if others := _aliases_of(connection, before.id):
        raise Invalid("alias_of", f"{', '.join(others)} is an alias of this domain.")
    if count(connection, schema.mailbox, before.id):
        raise Invalid("alias_of", "The domain has mailboxes: remove them first.")


def _refuse_loops(connection: Connection, name: str, values: dict[str, Any]) -> None:
    for field in ("alias_of", "catch_all", "is_relay"):
        if field in values:
            is_moved = field == "alias_of"
            loops.refuse(connection, field, loops.of_domain(connection, name, is_moved=is_moved))
