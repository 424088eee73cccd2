"""Filters of users, as JSON, which `accounts.sieve` translates to Sieve (RFC 5228).

Only filters that can be translated are stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

from sqlalchemy import Connection, Select, delete, func, insert, select, update

from accounts.address import AccountAddress
from accounts.directory import fields, mailboxes
from accounts.directory.changes import change_row, differences, expect, told
from accounts.sieve import MAX_RULES, RuleError, compile_stored, parse_rule
from accounts.store import schema
from accounts.store.errors import AlreadyThere, Invalid, NoSuchObject
from accounts.store.transaction import Write

_TABLE = schema.sieve_rule


@dataclass(frozen=True, slots=True)
class SieveRule:
    """A rule. The rules of a mailbox run in the order of `position`, which begins at 0."""

    id: int
    mailbox: str
    position: int
    name: str
    enabled: bool
    rule: Any
    version: int


class SieveRuleFields(TypedDict, total=False):
    """The fields that `change` sets; `name` gives the rule another name."""

    name: str
    enabled: bool
    rule: Any


_CHECKS: dict[str, fields.FieldCheck] = {
    "name": fields.name,
    "enabled": fields.flag,
    "rule": fields.json_value,
}


def get(connection: Connection, mailbox: str | AccountAddress, name: str) -> SieveRule:
    """Return a rule; raises `NoSuchObject`."""
    owner = mailboxes.id_of(connection, mailbox)
    return _get(connection, owner, fields.name("name", name))


def find(connection: Connection, mailbox: str | AccountAddress) -> list[SieveRule]:
    """Return all rules of a mailbox in their order."""
    owner = mailboxes.id_of(connection, mailbox)
    statement = _select().where(_TABLE.c.mailbox_id == owner)
    rows = connection.execute(statement.order_by(_TABLE.c.position, _TABLE.c.id))
    return [SieveRule(**row._asdict()) for row in rows]


def add(
    write: Write, mailbox: str | AccountAddress, name: str, *, rule: Any, enabled: bool = True
) -> SieveRule:
    """Add a rule after the others.

    `rule` has the form of `accounts.sieve.MailRule.body`. Raises `Invalid` if it cannot be parsed,
    or does not fit the others.
    """
    with write.attempt("rule.add", mailbox):
        owner = mailboxes.get(write.connection, mailbox)
        values = fields.checked({"name": name, "rule": rule, "enabled": enabled}, _CHECKS)
        values = _understood(values)
        _insist_on_free(write.connection, owner.id, owner.address, values["name"])
        count = select(func.count()).where(_TABLE.c.mailbox_id == owner.id)
        position = write.connection.execute(count).scalar_one()
        if position >= MAX_RULES:
            raise Invalid("name", f"A mailbox has at most {MAX_RULES} rules.")
        write.connection.execute(
            insert(_TABLE).values(mailbox_id=owner.id, position=position, **values)
        )
        write.audit("rule.add", owner.address, name=values["name"], enabled=enabled)
        made = _get(write.connection, owner.id, values["name"])
        _insist_on_script(write.connection, made)
        return made


def change(
    write: Write,
    mailbox: str | AccountAddress,
    name: str,
    version: int | None,
    /,
    **values: Unpack[SieveRuleFields],
) -> SieveRule:
    """Change a rule; raises the errors of `add`. One that cannot be parsed may still be
    disabled."""
    with write.attempt("rule.change", mailbox):
        before = get(write.connection, mailbox, name)
        expect(before.version, version)
        owner = mailboxes.id_of(write.connection, before.mailbox)
        given = fields.checked(values, _CHECKS)
        if not given.keys().isdisjoint(("name", "rule")):
            there = {"name": before.name, "enabled": before.enabled, "rule": before.rule}
            read = _understood(there | given)
            given = {field: read[field] for field in given}
        checked = differences(before, given)
        if not checked:
            return before
        if "name" in checked:
            _insist_on_free(write.connection, owner, before.mailbox, checked["name"])
        change_row(write, _TABLE, before.id, checked, is_dated=False)
        write.audit("rule.change", before.mailbox, **{"name": before.name} | told(before, checked))
        made = _get(write.connection, owner, checked.get("name", before.name))
        _insist_on_script(write.connection, made)
        return made


def remove(
    write: Write, mailbox: str | AccountAddress, name: str, version: int | None = None
) -> None:
    """Remove a rule."""
    with write.attempt("rule.remove", mailbox):
        before = get(write.connection, mailbox, name)
        expect(before.version, version)
        write.connection.execute(delete(_TABLE).where(_TABLE.c.id == before.id))
        left = [rule.id for rule in find(write.connection, before.mailbox)]
        _number(write, left)
        write.audit("rule.remove", before.mailbox, name=before.name)


def order(write: Write, mailbox: str | AccountAddress, names: Sequence[str]) -> list[SieveRule]:
    """Reorder all rules of a mailbox; raises `Invalid` unless each is named exactly once."""
    with write.attempt("rule.order", mailbox):
        owner = mailboxes.get(write.connection, mailbox)
        before = {rule.name: rule for rule in find(write.connection, owner.address)}
        if not isinstance(names, list | tuple):
            raise Invalid("names", "It must be a list of names.")
        after = [fields.name("names", name) for name in names]
        if sorted(after) != sorted(before):
            raise Invalid("names", "It must have the name of each rule of the mailbox once.")
        if after != list(before):
            _number(write, [before[name].id for name in after])
            write.audit("rule.order", owner.address, names=after)
        return find(write.connection, owner.address)


def _understood(values: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a rule in stored form; raises `Invalid`."""
    body = values["rule"]
    if not isinstance(body, dict) or not body.keys().isdisjoint(("name", "enabled")):
        raise Invalid("rule", "It must have match, conditions and actions.")
    try:
        rule = parse_rule({**body, "name": values["name"], "enabled": values["enabled"]})
    except RuleError as error:
        field = "name" if error.field == "name" else f"rule.{error.field}".rstrip(".")
        raise Invalid(field, error.text) from None
    return {"name": rule.name, "enabled": rule.enabled, "rule": rule.body()}


def _insist_on_script(connection: Connection, made: SieveRule) -> None:
    """Raise `Invalid` if an enabled rule cannot become part of the script of all rules.

    An unreadable rule of another version is not a reason to refuse this one.
    """
    if not made.enabled:
        return
    for problem in compile_stored(find(connection, made.mailbox)).problems:
        if problem.rule == made.name:
            raise Invalid("rule", problem.text)


def _number(write: Write, rows: Sequence[int]) -> None:
    for position, row in enumerate(rows):
        write.connection.execute(update(_TABLE).where(_TABLE.c.id == row).values(position=position))


def _insist_on_free(connection: Connection, mailbox: int, address: str, name: str) -> None:
    taken = select(_TABLE.c.id).where(_TABLE.c.mailbox_id == mailbox, _TABLE.c.name == name)
    if connection.scalar(taken) is not None:
        raise AlreadyThere(f"{address} has a rule {name!r} already.")


def _get(connection: Connection, mailbox: int, name: str) -> SieveRule:
    statement = _select().where(_TABLE.c.mailbox_id == mailbox, _TABLE.c.name == name)
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise NoSuchObject(f"There is no rule {name!r} of this mailbox.")
    return SieveRule(**row._asdict())


def _select() -> Select[Any]:
    columns = [column for column in _TABLE.c if column.name != "mailbox_id"]
    return select(*columns, schema.mailbox.c.address.label("mailbox")).join_from(
        _TABLE, schema.mailbox
    )
