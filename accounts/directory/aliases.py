"""Aliases: addresses that lead to others. An alias with a `*` takes all addresses that match it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

from sqlalchemy import Connection, Select, insert, select

from accounts.address import AccountAddress, fold_local_part
from accounts.directory import domains, fields, loops, names, references, targets
from accounts.directory.changes import change_row, differences, expect, told
from accounts.directory.paging import PAGE, having, page, within
from accounts.store import schema
from accounts.store.errors import Invalid, NoSuchObject
from accounts.store.transaction import Write

PERSONAL = ("named", "disposable")
"""Kinds of aliases that owners of mailboxes make for themselves."""

_TABLE = schema.alias


@dataclass(frozen=True, slots=True)
class Alias:
    """An alias. After `expires` (seconds since the epoch; None is never) it no longer exists for
    mail."""

    id: int
    address: str
    domain: str
    is_wildcard: bool
    targets: tuple[str, ...]
    enabled: bool
    expires: int | None
    members_may_send: bool
    """Whether its targets that are mailboxes may send as it."""
    description: str
    version: int
    created: int
    changed: int
    personal: str | None
    """Kind of an alias that the owner of a mailbox made; see `personal_aliases`."""
    is_locked: bool
    """True if an administrator has switched such an alias off; its owner cannot undo that."""


class AliasFields(TypedDict, total=False):
    """The fields that `add` and `change` set."""

    targets: Sequence[str]
    enabled: bool
    expires: int | None
    members_may_send: bool
    description: str
    personal: str | None
    is_locked: bool


def _targets(field: str, value: Any) -> tuple[str, ...]:
    if not (checked := fields.targets(field, value)):
        raise Invalid(field, "It must name at least one address.")
    return checked


def _personal(field: str, value: Any) -> str:
    return fields.choice(field, value, PERSONAL)


_CHECKS: dict[str, fields.FieldCheck] = {
    "targets": _targets,
    "enabled": fields.flag,
    "expires": fields.optional(fields.time),
    "members_may_send": fields.flag,
    "description": fields.text,
    "personal": fields.optional(_personal),
    "is_locked": fields.flag,
}


def get(connection: Connection, address: str | AccountAddress) -> Alias:
    """Return an alias; raises `NoSuchObject`."""
    found = fields.alias_address("address", address)
    row = connection.execute(_select().where(_TABLE.c.address == str(found))).one_or_none()
    if row is None:
        raise NoSuchObject(f"There is no alias {found}.")
    return _made(connection, [row])[0]


def find(
    connection: Connection,
    *,
    domain: str | None = None,
    text: str | None = None,
    target: str | None = None,
    after: str | None = None,
    limit: int = PAGE,
    administrator: int | None = None,
    personal: bool = False,
) -> list[Alias]:
    """Return aliases after the address `after` with `text` in address or description.

    `target`: only those that lead directly to this address. `administrator`: only those in the
    domains of the administrator with this id. `personal`: only those that owners made.
    """
    statement = _select().where(
        *having(text, _TABLE.c.address, _TABLE.c.description),
        *within(administrator, _TABLE.c.domain_id),
    )
    if personal:
        statement = statement.where(_TABLE.c.personal.is_not(None))
    if domain is not None:
        statement = statement.where(_TABLE.c.domain_id == domains.get(connection, domain).id)
    if target is not None:
        (sought,) = targets.fold(connection, [fields.target("target", target)])
        leading = select(schema.alias_target.c.alias_id).where(
            schema.alias_target.c.target == sought
        )
        statement = statement.where(_TABLE.c.id.in_(leading))
    rows = connection.execute(page(statement, _TABLE.c.address, after, limit)).all()
    return _made(connection, rows)


def add(write: Write, address: str | AccountAddress, /, **values: Unpack[AliasFields]) -> Alias:
    """Add an alias, with its targets."""
    with write.attempt("alias.add", str(address)):
        made = fields.alias_address("address", address)
        domain = names.domain_of(write.connection, made)
        checked = _checked(write.connection, {"targets": (), **values})
        names.take(write, made, "alias", domain)
        names.insist_on_room(write.connection, domain, _TABLE)
        row = write.connection.execute(
            insert(_TABLE)
            .values(
                domain_id=domain.id,
                address=str(made),
                is_wildcard="*" in made.local,
                **_columns(checked),
                created=write.now,
                changed=write.now,
            )
            .returning(_TABLE.c.id)
        ).scalar_one()
        _put_targets(write, row, str(made), checked)
        write.audit("alias.add", str(made), **checked)
        return get(write.connection, made)


def change(
    write: Write,
    address: str | AccountAddress,
    version: int | None,
    /,
    **values: Unpack[AliasFields],
) -> Alias:
    """Change an alias. Without `is_locked`, a change of `enabled` is one by an administrator."""
    with write.attempt("alias.change", str(address)):
        before = get(write.connection, address)
        expect(before.version, version)
        wanted = _checked(write.connection, values)
        if before.personal is not None and "enabled" in wanted:
            wanted.setdefault("is_locked", not wanted["enabled"])
        checked = differences(before, wanted)
        if not checked:
            return before
        change_row(write, _TABLE, before.id, _columns(checked))
        _put_targets(write, before.id, before.address, checked)
        write.audit("alias.change", before.address, **told(before, checked))
        return get(write.connection, before.address)


def change_targets(
    write: Write,
    address: str | AccountAddress,
    version: int | None,
    /,
    *,
    add_targets: Sequence[str] = (),
    remove_targets: Sequence[str] = (),
    **values: Unpack[AliasFields],
) -> Alias:
    """Change an alias, and some of its targets; raises `Invalid` if one to remove is missing."""
    with write.attempt("alias.change", str(address)):
        if (add_targets or remove_targets) and "targets" in values:
            raise Invalid(
                "targets", "It replaces all targets, so it excludes add_targets and remove_targets."
            )
        if add_targets or remove_targets:
            before = get(write.connection, address)
            more = fields.targets("add_targets", add_targets)
            values["targets"] = [*_without(before, remove_targets), *more]
        return change(write, address, version, **values)


def remove(write: Write, address: str | AccountAddress, version: int | None = None) -> None:
    """Remove an alias."""
    with write.attempt("alias.remove", str(address)):
        before = get(write.connection, address)
        expect(before.version, version)
        names.give_back(write, before.address)
        _refuse_loops_without(write.connection, before)
        write.audit("alias.remove", before.address)


def rename(
    write: Write,
    address: str | AccountAddress,
    new: str | AccountAddress,
    version: int | None = None,
) -> Alias:
    """Give an alias another address, and update all references to the old one."""
    with write.attempt("alias.rename", str(address)):
        before = get(write.connection, address)
        expect(before.version, version)
        after = fields.alias_address("address", new)
        if str(after) == before.address:
            return before
        domain = names.domain_of(write.connection, after)
        if domain.name != before.domain:
            names.insist_on_room(write.connection, domain, _TABLE)
        names.rename(write, before.address, after, _TABLE, domain)
        references.rename(write, before.address, str(after))
        change_row(write, _TABLE, before.id, {"is_wildcard": "*" in after.local})
        _refuse_loops_without(write.connection, before)
        loops.refuse(write.connection, "address", [str(after)])
        write.audit("alias.rename", before.address, to=str(after))
        return get(write.connection, after)


def _select() -> Select[Any]:
    columns = [column for column in _TABLE.c if column.name not in ("domain_id", "kind")]
    return select(*columns, schema.domain.c.name.label("domain")).join_from(_TABLE, schema.domain)


def _made(connection: Connection, rows: Sequence[Any]) -> list[Alias]:
    found = targets.of_rows(connection, schema.alias_target, "alias_id", [row.id for row in rows])
    return [Alias(**row._asdict(), targets=found.get(row.id, ())) for row in rows]


def _checked(connection: Connection, values: Any) -> dict[str, Any]:
    checked = fields.checked(values, _CHECKS)
    if "targets" in checked:
        checked["targets"] = targets.fold(connection, checked["targets"])
    return checked


def _without(before: Alias, others: Sequence[str]) -> list[str]:
    left = list(before.targets)
    for wanted in fields.targets("remove_targets", others):
        local, _, domain = wanted.rpartition("@")
        # a target in a domain of ours is stored in lower case
        found = next(
            (one for one in (wanted, f"{fold_local_part(local)}@{domain}") if one in left), None
        )
        if found is None:
            raise Invalid("remove_targets", f"{before.address} does not lead to {wanted}.")
        left.remove(found)
    return left


def _columns(values: dict[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in values.items() if field != "targets"}


def _put_targets(write: Write, row: int, address: str, values: dict[str, Any]) -> None:
    if "targets" in values:
        targets.put(write, schema.alias_target, "alias_id", row, values["targets"])
        loops.refuse(write.connection, "targets", [address])


def _refuse_loops_without(connection: Connection, alias: Alias) -> None:
    """Raise `Invalid` if mail goes in a circle without the name of this alias."""
    if alias.is_wildcard:
        starts = loops.without_wildcard(connection, alias.domain)
    else:
        starts = loops.without_name(connection, alias.address)
    loops.refuse(connection, "address", starts)
