"""Administrators: `global` ones manage everything, others some domains.

The owner of a mailbox manages it without an entry here. `change` and `remove` refuse to disable or
remove the last enabled global administrator unless they are called with `last`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

from sqlalchemy import Connection, Select, delete, insert, select

from accounts.directory import domains, fields, web_sessions
from accounts.directory.changes import change_row, differences, expect, told
from accounts.directory.paging import PAGE, having, page
from accounts.store import schema
from accounts.store.errors import AlreadyThere, Invalid, NoSuchObject
from accounts.store.transaction import Write

ROLES = ("global", "domains")
MAX_DOMAINS = 10_000
"""Maximum number of domains of one administrator."""

_LOGIN = re.compile(r"[a-z0-9](?:[a-z0-9._+-]{0,62}[a-z0-9])?\Z")

_TABLE = schema.administrator
_DOMAINS = schema.administrator_domain


@dataclass(frozen=True, slots=True)
class Administrator:
    """An administrator. `domains` is empty unless the role is ``domains``."""

    id: int
    login: str
    password: str | None
    role: str
    domains: tuple[str, ...]
    enabled: bool
    version: int
    created: int
    changed: int


class AdministratorFields(TypedDict, total=False):
    """The fields that `add` and `change` set."""

    password: str | None
    role: str
    domains: Sequence[str]
    enabled: bool


def _login(field: str, value: Any) -> str:
    """Return a login in stored form: an address, or a word in lower case."""
    if isinstance(value, str) and "@" in value:
        return str(fields.mailbox_address(field, value))
    if not isinstance(value, str) or not _LOGIN.match(value.lower()):
        raise Invalid(
            field, "It must be an address, or up to 64 letters, digits, dots and hyphens."
        )
    return value.lower()


def _domains(field: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or len(value) > MAX_DOMAINS:
        raise Invalid(field, f"It must be a list of at most {MAX_DOMAINS} domains.")
    return tuple(sorted({fields.domain(field, one) for one in value}))


_CHECKS: dict[str, fields.FieldCheck] = {
    "password": fields.optional(fields.hashed),
    "role": lambda field, value: fields.choice(field, value, ROLES),
    "domains": _domains,
    "enabled": fields.flag,
}


def get(connection: Connection, login: str) -> Administrator:
    """Return an administrator; raises `NoSuchObject`."""
    found = _login("login", login)
    row = connection.execute(_select().where(_TABLE.c.login == found)).one_or_none()
    if row is None:
        raise NoSuchObject(f"There is no administrator {found}.")
    return _made(connection, [row])[0]


def find(
    connection: Connection, *, text: str | None = None, after: str | None = None, limit: int = PAGE
) -> list[Administrator]:
    """Return administrators after the login `after` whose login contains `text`."""
    statement = _select().where(*having(text, _TABLE.c.login))
    rows = connection.execute(page(statement, _TABLE.c.login, after, limit)).all()
    return _made(connection, rows)


def add(write: Write, login: str, /, **values: Unpack[AdministratorFields]) -> Administrator:
    """Add an administrator, of some domains unless another role is given."""
    with write.attempt("administrator.add", login):
        made = _login("login", login)
        checked = {"role": "domains"} | fields.checked(values, _CHECKS)
        taken = select(_TABLE.c.id).where(_TABLE.c.login == made)
        if write.connection.scalar(taken) is not None:
            raise AlreadyThere(f"There is already an administrator {made}.")
        _check_role(checked["role"], checked.get("domains", ()))
        row = write.connection.execute(
            insert(_TABLE)
            .values(login=made, **_columns(checked), created=write.now, changed=write.now)
            .returning(_TABLE.c.id)
        ).scalar_one()
        _put_domains(write, row, checked)
        told_of = {field: value for field, value in checked.items() if field != "password"}
        write.audit("administrator.add", made, **told_of)
        return get(write.connection, made)


def change(
    write: Write,
    login: str,
    version: int | None,
    /,
    *,
    last: bool = False,
    **values: Unpack[AdministratorFields],
) -> Administrator:
    """Change an administrator."""
    with write.attempt("administrator.change", login):
        before = get(write.connection, login)
        expect(before.version, version)
        given = fields.checked(values, _CHECKS)
        if given.get("role") == "global":
            given.setdefault("domains", ())
        checked = differences(before, given)
        if not checked:
            return before
        role = checked.get("role", before.role)
        _check_role(role, checked.get("domains", before.domains))
        if role != "global" or not checked.get("enabled", before.enabled):
            _insist_on_another(write.connection, before, last)
        change_row(write, _TABLE, before.id, _columns(checked))
        _put_domains(write, before.id, checked)
        if "password" in checked or checked.get("enabled") is False:
            web_sessions.remove_of(write.connection, "administrator_id", before.id)
        write.audit("administrator.change", before.login, **told(before, checked))
        return get(write.connection, before.login)


def remove(write: Write, login: str, version: int | None = None, *, last: bool = False) -> None:
    """Remove an administrator with the tokens that belong to them."""
    with write.attempt("administrator.remove", login):
        before = get(write.connection, login)
        expect(before.version, version)
        _insist_on_another(write.connection, before, last)
        write.connection.execute(delete(_TABLE).where(_TABLE.c.id == before.id))
        write.audit("administrator.remove", before.login)


def upgrade_password(connection: Connection, login: str, before: str, after: str) -> bool:
    """Replace a hash with a better one, like `mailboxes.upgrade_password`."""
    statement = _TABLE.update().where(_TABLE.c.login == login, _TABLE.c.password == before)
    done = connection.execute(statement.values(password=fields.hashed("password", after)))
    return done.rowcount == 1


def _select() -> Select[Any]:
    return select(*_TABLE.c)


def _made(connection: Connection, rows: Sequence[Any]) -> list[Administrator]:
    statement = (
        select(_DOMAINS.c.administrator_id, schema.domain.c.name)
        .join_from(_DOMAINS, schema.domain)
        .where(_DOMAINS.c.administrator_id.in_([row.id for row in rows]))
        .order_by(schema.domain.c.name)
    )
    found: dict[int, list[str]] = {}
    for row, name in connection.execute(statement) if rows else ():
        found.setdefault(row, []).append(name)
    return [Administrator(**row._asdict(), domains=tuple(found.get(row.id, ()))) for row in rows]


def _columns(values: dict[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in values.items() if field != "domains"}


def _check_role(role: str, named: Sequence[str]) -> None:
    if role == "global" and named:
        raise Invalid("domains", "A global administrator manages all domains: name none.")


def _insist_on_another(connection: Connection, before: Administrator, last: bool) -> None:
    """Raise `Invalid` if this is the only enabled global administrator."""
    if last or before.role != "global" or not before.enabled:
        return
    others = select(_TABLE.c.id).where(
        _TABLE.c.role == "global", _TABLE.c.enabled, _TABLE.c.id != before.id
    )
    if connection.execute(others.limit(1)).first() is None:
        raise Invalid("login", f"{before.login} is the last global administrator who is enabled.")


def _put_domains(write: Write, row: int, values: dict[str, Any]) -> None:
    if "domains" not in values:
        return
    write.connection.execute(delete(_DOMAINS).where(_DOMAINS.c.administrator_id == row))
    for name in values["domains"]:
        try:
            domain = domains.get(write.connection, name).id
        except NoSuchObject as error:
            raise Invalid("domains", str(error)) from None
        write.connection.execute(insert(_DOMAINS).values(administrator_id=row, domain_id=domain))
