"""Mailboxes, with their forwarding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

from sqlalchemy import Connection, Select, delete, insert, select, update

from accounts.address import AccountAddress
from accounts.directory import (
    aliases,
    domains,
    fields,
    homes,
    keeping,
    loops,
    names,
    placement,
    references,
    targets,
    web_sessions,
)
from accounts.directory.changes import change_row, differences, expect, told
from accounts.directory.domains import Domain
from accounts.directory.paging import PAGE, having, page, within
from accounts.store import schema
from accounts.store.errors import AlreadyThere, Invalid, NoSuchObject
from accounts.store.transaction import Write

_TABLE = schema.mailbox
_HIDDEN = ("domain_id", "kind", "locked_until")


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A mailbox. `password` is a hash; with None, nobody can log in with a mailbox password."""

    id: int
    address: str
    domain: str
    display_name: str
    password: str | None
    quota: int | None
    """In octets; None is no limit."""
    enabled: bool
    may_login: bool
    may_send: bool
    may_receive: bool
    forwards: tuple[str, ...]
    keep_copy: bool
    """True if forwarded mail is also kept."""
    store: str | None
    version: int
    created: int
    changed: int
    password_changed: int | None
    last_login: int | None
    home: str
    """The folder of its mail below the root of the mail store; see `accounts.directory.homes`."""


class MailboxFields(TypedDict, total=False):
    """The fields that `add` and `change` set."""

    display_name: str
    password: str | None
    quota: int | None
    enabled: bool
    may_login: bool
    may_send: bool
    may_receive: bool
    forwards: Sequence[str]
    keep_copy: bool
    store: str | None


_CHECKS: dict[str, fields.FieldCheck] = {
    "display_name": fields.display_name,
    "password": fields.optional(fields.hashed),
    "quota": fields.optional(fields.number),
    "enabled": fields.flag,
    "may_login": fields.flag,
    "may_send": fields.flag,
    "may_receive": fields.flag,
    "forwards": fields.targets,
    "keep_copy": fields.flag,
    "store": fields.optional(fields.word),
}


def get(connection: Connection, address: str | AccountAddress) -> Mailbox:
    """Return a mailbox; raises `NoSuchObject`."""
    found = fields.mailbox_address("address", address)
    row = connection.execute(_select().where(_TABLE.c.address == str(found))).one_or_none()
    if row is None:
        raise NoSuchObject(f"There is no mailbox {found}.")
    return _made(connection, [row])[0]


def find(
    connection: Connection,
    *,
    domain: str | None = None,
    text: str | None = None,
    after: str | None = None,
    limit: int = PAGE,
    administrator: int | None = None,
) -> list[Mailbox]:
    """Return mailboxes after the address `after` with `text` in address or name.

    `administrator`: only those in the domains of the administrator with this id.
    """
    statement = _select().where(
        *having(text, _TABLE.c.address, _TABLE.c.display_name),
        *within(administrator, _TABLE.c.domain_id),
    )
    if domain is not None:
        statement = statement.where(_TABLE.c.domain_id == domains.get(connection, domain).id)
    rows = connection.execute(page(statement, _TABLE.c.address, after, limit)).all()
    return _made(connection, rows)


def addresses(connection: Connection, after: str, limit: int) -> list[str]:
    """Return the addresses of all mailboxes after the address `after`, in order."""
    statement = select(_TABLE.c.address).where(_TABLE.c.address > after)
    return list(connection.scalars(statement.order_by(_TABLE.c.address).limit(limit)))


def add(
    write: Write,
    address: str | AccountAddress,
    /,
    *,
    home: str | None = None,
    **values: Unpack[MailboxFields],
) -> Mailbox:
    """Add a mailbox. Without a quota, it has the default of its domain; without a store, the one
    that `placement` chooses.

    `home`: the folder of mail that is there already, from an export; by default a new one. It may
    be that of a deleted mailbox of the same address, whose record then goes.
    """
    with write.attempt("mailbox.add", str(address)):
        made = _new_address(address)
        domain = _domain(write.connection, made)
        checked = _checked(write.connection, values)
        checked.setdefault("quota", domain.default_quota)
        _check_quota(domain, checked["quota"])
        folder = homes.new_home(made) if home is None else _take_home(write, made, home)
        names.take(write, made, "mailbox", domain)
        names.insist_on_room(write.connection, domain, _TABLE)
        if checked.get("store") is None:
            checked["store"] = placement.choose(write)
        else:
            placement.insist_on_known(write, checked["store"])
        has_password = checked.get("password") is not None
        row = write.connection.execute(
            insert(_TABLE)
            .values(
                domain_id=domain.id,
                address=str(made),
                **_columns(checked),
                home=folder,
                password_changed=write.now if has_password else None,
                created=write.now,
                changed=write.now,
            )
            .returning(_TABLE.c.id)
        ).scalar_one()
        _put_forwards(write, row, str(made), checked)
        write.audit("mailbox.add", str(made), **_open(checked))
        return get(write.connection, made)


def change(
    write: Write,
    address: str | AccountAddress,
    version: int | None,
    /,
    **values: Unpack[MailboxFields],
) -> Mailbox:
    """Change a mailbox."""
    with write.attempt("mailbox.change", str(address)):
        before = get(write.connection, address)
        expect(before.version, version)
        checked = differences(before, _checked(write.connection, values))
        if not checked:
            return before
        if "store" in checked and write.stores is not None:
            raise Invalid("store", "Its mail would stay behind: move it with `gatepost user move`.")
        if "quota" in checked:
            _check_quota(domains.get(write.connection, before.domain), checked["quota"])
        dated = {"password_changed": write.now} if "password" in checked else {}
        change_row(write, _TABLE, before.id, _columns(checked) | dated)
        _put_forwards(write, before.id, before.address, checked)
        if "password" in checked or False in (checked.get("enabled"), checked.get("may_login")):
            web_sessions.remove_of(write.connection, "mailbox_id", before.id)
        write.audit("mailbox.change", before.address, **told(before, checked))
        return get(write.connection, before.address)


def remove(write: Write, address: str | AccountAddress, version: int | None = None) -> None:
    """Remove a mailbox; its mail stays for a time, and `deleted_mailboxes.restore` brings it back.

    Aliases that lead to it, and rights to send as it, stay, too: it may be added again.
    """
    with write.attempt("mailbox.remove", str(address)):
        before = get(write.connection, address)
        expect(before.version, version)
        keeping.keep(write, _TABLE.c.id == before.id)
        names.give_back(write, before.address)
        # from now on, a wildcard or a catch-all may take its address
        loops.refuse(
            write.connection, "address", loops.without_name(write.connection, before.address)
        )
        write.audit("mailbox.remove", before.address, home=before.home)


def rename(
    write: Write,
    address: str | AccountAddress,
    new: str | AccountAddress,
    version: int | None = None,
    *,
    keep_alias: bool = False,
) -> Mailbox:
    """Give a mailbox another address, perhaps in another domain.

    Its mail stays in its home. Aliases, forwarding, catch-alls and rights follow to the new
    address. `keep_alias` adds an alias from the old address to the new one.
    """
    with write.attempt("mailbox.rename", str(address)):
        before = get(write.connection, address)
        expect(before.version, version)
        after = fields.mailbox_address("address", new)
        if str(after) == before.address:
            return before
        after = _new_address(after)
        domain = _domain(write.connection, after)
        if domain.name != before.domain:
            _check_quota(domain, before.quota)
            names.insist_on_room(write.connection, domain, _TABLE)
        names.rename(write, before.address, after, _TABLE, domain)
        references.rename(write, before.address, str(after))
        change_row(write, _TABLE, before.id, {})
        write.audit("mailbox.rename", before.address, to=str(after), keep_alias=keep_alias)
        if keep_alias:
            aliases.add(write, before.address, targets=[str(after)])
        left = loops.without_name(write.connection, before.address)
        loops.refuse(write.connection, "address", [*left, str(after)])
        return get(write.connection, after)


def note_login(connection: Connection, address: str, now: int) -> None:
    """Note the time of a login; for `Database.record`."""
    connection.execute(update(_TABLE).where(_TABLE.c.address == address).values(last_login=now))


def upgrade_password(connection: Connection, address: str, before: str, after: str) -> bool:
    """Replace the hash `before`, if it is still stored, with a better one of the same password.

    For `Database.record`, because nothing visible changes. Returns whether it was replaced.
    """
    statement = update(_TABLE).where(_TABLE.c.address == address, _TABLE.c.password == before)
    done = connection.execute(statement.values(password=fields.hashed("password", after)))
    return done.rowcount == 1


def id_of(connection: Connection, address: str | AccountAddress) -> int:
    """Return the id of a mailbox; raises `NoSuchObject`."""
    found = fields.mailbox_address("address", address)
    row = connection.scalar(select(_TABLE.c.id).where(_TABLE.c.address == str(found)))
    if row is None:
        raise NoSuchObject(f"There is no mailbox {found}.")
    return int(row)


def insist_on_place(connection: Connection, address: AccountAddress, quota: int | None) -> Domain:
    """Return the domain of a mailbox to add; raises `Invalid` if it cannot have it."""
    domain = _domain(connection, address)
    _check_quota(domain, quota)
    names.insist_on_room(connection, domain, _TABLE)
    return domain


def _new_address(address: str | AccountAddress) -> AccountAddress:
    """Return the address of a mailbox that is to be added; raises `Invalid`."""
    made = fields.mailbox_address("address", address)
    if "?" in made.local:
        raise Invalid("address", "Dovecot takes a question mark for any character.")
    return made


def _take_home(write: Write, address: AccountAddress, home: str) -> str:
    """Return a home that no other mailbox has; raises `Invalid` and `AlreadyThere`."""
    checked, kept = homes.home("home", home), schema.deleted_mailbox
    same = (kept.c.home == checked, kept.c.address == str(address), kept.c.claimed.is_(None))
    write.connection.execute(delete(kept).where(*same))
    for table in (_TABLE, kept):
        owner = write.connection.scalar(select(table.c.address).where(table.c.home == checked))
        if owner is not None:
            which = "the mailbox" if table is _TABLE else "the deleted mailbox"
            raise AlreadyThere(f"The folder {checked} has the mail of {which} {owner}.")
    return checked


def _select() -> Select[Any]:
    columns = [column for column in _TABLE.c if column.name not in _HIDDEN]
    return select(*columns, schema.domain.c.name.label("domain")).join_from(_TABLE, schema.domain)


def _made(connection: Connection, rows: Sequence[Any]) -> list[Mailbox]:
    forwards = targets.of_rows(connection, schema.forward, "mailbox_id", [row.id for row in rows])
    return [Mailbox(**row._asdict(), forwards=forwards.get(row.id, ())) for row in rows]


def _checked(connection: Connection, values: Any) -> dict[str, Any]:
    checked = fields.checked(values, _CHECKS)
    if "forwards" in checked:
        checked["forwards"] = targets.fold(connection, checked["forwards"])
    return checked


def _columns(values: dict[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in values.items() if field != "forwards"}


def _open(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values for the audit log."""
    return {
        field: list(value) if isinstance(value, tuple) else value
        for field, value in values.items()
        if field != "password"
    }


def _put_forwards(write: Write, row: int, address: str, values: dict[str, Any]) -> None:
    if "forwards" not in values:
        return
    if address in values["forwards"]:
        raise Invalid("forwards", "A mailbox cannot forward to itself: use keep_copy.")
    targets.put(write, schema.forward, "mailbox_id", row, values["forwards"])
    loops.refuse(write.connection, "forwards", [address])


def _domain(connection: Connection, address: AccountAddress) -> Domain:
    """Return the domain for a new mailbox; raises `Invalid` if it cannot have one."""
    domain = names.domain_of(connection, address)
    if domain.alias_of is not None:
        raise Invalid(
            "address",
            f"{domain.name} is an alias of {domain.alias_of}: the mailbox has its address there.",
        )
    if domain.is_relay:
        raise Invalid("address", f"The mailboxes of {domain.name} are on another host.")
    return domain


def _check_quota(domain: Domain, quota: int | None) -> None:
    if domain.max_quota is not None and (quota is None or quota > domain.max_quota):
        raise Invalid("quota", f"{domain.name} allows at most {domain.max_quota} octets.")
