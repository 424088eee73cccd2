"""Aliases that the owner of a mailbox makes: disposable ones with a random name, and named ones.

Such an alias is in the domain of the mailbox, leads to the mailbox alone, and the mailbox may send
as it. An alias that an administrator has given another target is no longer the owner's. One that an
administrator has switched off stays so until an administrator switches it on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict, Unpack

from sqlalchemy import Connection, func, or_, select

from accounts.address import AccountAddress, fold_local_part
from accounts.directory import alias_names, aliases, domains, fields, mailboxes
from accounts.directory.aliases import Alias
from accounts.directory.domains import Domain
from accounts.directory.mailboxes import Mailbox
from accounts.store import schema
from accounts.store.errors import AlreadyThere, Invalid, NoSuchObject
from accounts.store.transaction import Write
from gatepost.wildcard import matches

DRAWS = 20
"""Times that another name is drawn if one is taken."""
LOCKED = "An administrator has switched this address off."

_ALIAS, _TARGET = schema.alias, schema.alias_target


@dataclass(frozen=True, slots=True)
class PersonalAlias:
    """An own alias of a mailbox. `kind` is one of `aliases.PERSONAL`.

    After `expires` (seconds since the epoch; None is never) it receives no mail. `is_locked`: an
    administrator has switched it off.
    """

    id: int
    mailbox: str
    address: str
    kind: str
    enabled: bool
    expires: int | None
    description: str
    version: int
    created: int
    changed: int
    is_locked: bool


@dataclass(frozen=True, slots=True)
class AliasAllowance:
    """Own aliases that a mailbox has of each kind, and may have.

    `named_pattern` is the pattern for names of this mailbox; None allows any.
    """

    domain: str
    disposable: int
    disposable_most: int
    named: int
    named_most: int
    named_pattern: str | None


class PersonalAliasFields(TypedDict, total=False):
    """The fields that `change` sets."""

    enabled: bool
    description: str
    expires: int | None


def find(connection: Connection, mailbox: str | AccountAddress) -> list[PersonalAlias]:
    """Return the own aliases of a mailbox by address; raises `NoSuchObject`."""
    owner = mailboxes.get(connection, mailbox)
    found: list[PersonalAlias] = []
    last = None
    while True:
        part = aliases.find(connection, target=owner.address, after=last, personal=True)
        found += [_made(one) for one in part if one.targets == (owner.address,)]
        if not part:
            return found
        last = part[-1].address


def get(
    connection: Connection, mailbox: str | AccountAddress, address: str | AccountAddress
) -> PersonalAlias:
    """Return an own alias of a mailbox; raises `NoSuchObject`, also if it is not theirs."""
    owner = mailboxes.get(connection, mailbox)
    named = fields.mailbox_address("alias", address)
    try:
        found = aliases.get(connection, named)
    except NoSuchObject:
        found = None
    if found is None or found.personal is None or found.targets != (owner.address,):
        raise NoSuchObject(f"{owner.address} has no own alias {named}.")
    return _made(found)


def allowance(connection: Connection, mailbox: str | AccountAddress) -> AliasAllowance:
    """Return what a mailbox has and may have; raises `NoSuchObject`."""
    owner = mailboxes.get(connection, mailbox)
    domain = domains.get(connection, owner.domain)
    return AliasAllowance(
        domain.name,
        _count(connection, owner, "disposable"),
        domain.disposable_aliases,
        _count(connection, owner, "named"),
        domain.named_aliases,
        alias_names.pattern_of(domain.named_alias_pattern, _local(owner.address)),
    )


def add(
    write: Write,
    mailbox: str | AccountAddress,
    name: str | None = None,
    *,
    description: str = "",
    expires: int | None = None,
) -> PersonalAlias:
    """Add an own alias with a name, or a disposable one with a random name.

    Raises `NoSuchObject`, `Invalid` for a name that is not allowed or if the mailbox has as many as
    it may have, and `AlreadyThere` for an address that belongs to somebody, or once did.
    """
    with write.attempt("personal-alias.add", mailbox):
        owner = mailboxes.get(write.connection, mailbox)
        domain = domains.get(write.connection, owner.domain)
        kind = "disposable" if name is None else "named"
        most = domain.disposable_aliases if name is None else domain.named_aliases
        if _count(write.connection, owner, kind) >= most:
            raise Invalid("name", f"The domain allows {most} {kind} aliases of each mailbox.")
        _check_end(write, expires)
        if name is None:
            address = _drawn(write.connection, owner, domain)
        else:
            address = _chosen(write.connection, owner, domain, name)
        aliases.add(
            write,
            address,
            targets=[owner.address],
            members_may_send=True,
            description=description,
            expires=expires,
            personal=kind,
        )
        write.audit("personal-alias.add", owner.address, alias=address)
        return get(write.connection, owner.address, address)


def change(
    write: Write,
    mailbox: str | AccountAddress,
    address: str | AccountAddress,
    version: int | None,
    /,
    *,
    by_owner: bool = False,
    **values: Unpack[PersonalAliasFields],
) -> PersonalAlias:
    """Change an own alias; raises `Invalid` for an owner who switches on a locked one."""
    with write.attempt("personal-alias.change", mailbox):
        before = get(write.connection, mailbox, address)
        if by_owner and before.is_locked and values.get("enabled"):
            raise Invalid("enabled", LOCKED)
        if "expires" in values and values["expires"] != before.expires:
            _check_end(write, values["expires"])
        if by_owner:
            made = aliases.change(
                write, before.address, version, **values, is_locked=before.is_locked
            )
        else:
            made = aliases.change(write, before.address, version, **values)
        if made.version != before.version:
            write.audit("personal-alias.change", before.mailbox, alias=before.address)
        return _made(made)


def remove(
    write: Write,
    mailbox: str | AccountAddress,
    address: str | AccountAddress,
    version: int | None = None,
    *,
    by_owner: bool = False,
) -> None:
    """Remove an own alias; its address is free for others.

    Raises `Invalid` for an owner who removes a locked one, whose name they could take again.
    """
    with write.attempt("personal-alias.remove", mailbox):
        before = get(write.connection, mailbox, address)
        if by_owner and before.is_locked:
            raise Invalid("address", LOCKED)
        aliases.remove(write, before.address, version)
        write.audit("personal-alias.remove", before.mailbox, alias=before.address)


def _made(found: Alias) -> PersonalAlias:
    return PersonalAlias(
        found.id,
        found.targets[0],
        found.address,
        found.personal or "",
        found.enabled,
        found.expires,
        found.description,
        found.version,
        found.created,
        found.changed,
        found.is_locked,
    )


def _count(connection: Connection, owner: Mailbox, kind: str) -> int:
    """Return how many own aliases lead to a mailbox, also together with others."""
    statement = (
        select(func.count())
        .select_from(_TARGET)
        .join(_ALIAS, _ALIAS.c.id == _TARGET.c.alias_id)
        .where(_TARGET.c.target == owner.address, _ALIAS.c.personal == kind)
    )
    return int(connection.execute(statement).scalar_one())


def _check_end(write: Write, expires: int | None) -> None:
    end = fields.optional(fields.time)("expires", expires)
    if end is not None and end <= write.now:
        raise Invalid("expires", "It must be in the future.")


def _local(address: str) -> str:
    return address.rpartition("@")[0]


def _drawn(connection: Connection, owner: Mailbox, domain: Domain) -> str:
    for _ in range(DRAWS):
        local = alias_names.draw()
        if _is_free(connection, owner, domain, local):
            return f"{local}@{domain.name}"
    raise AlreadyThere(f"No name is free in {domain.name}.")


def _chosen(connection: Connection, owner: Mailbox, domain: Domain, name: str) -> str:
    local = fold_local_part(fields.name("name", name))
    alias_names.insist_on_choice(
        local, alias_names.pattern_of(domain.named_alias_pattern, _local(owner.address))
    )
    address = fields.mailbox_address("name", f"{local}@{domain.name}")
    if not _is_free(connection, owner, domain, address.local):
        raise AlreadyThere(f"{address} is taken.")
    return str(address)


def _is_free(connection: Connection, owner: Mailbox, domain: Domain, local: str) -> bool:
    """Return whether nobody has an address, or counts on it, in the domain and its alias domains.

    Mail that goes to somebody else today must not go to the owner tomorrow.
    """
    places = [domain.name, *domains.aliases_of(connection, domain.name)]
    if _is_known(connection, [f"{local}@{place}" for place in places]):
        return False
    for part in alias_names.beginnings(local):
        if _is_of_other(connection, owner, [f"{part}@{place}" for place in places]):
            return False
    # a pattern of only * is a catch-all, which takes what nobody has
    wildcards = select(_ALIAS.c.address).where(
        _ALIAS.c.domain_id == domain.id, _ALIAS.c.is_wildcard
    )
    patterns = (_local(one) for one in connection.scalars(wildcards))
    return not any(one.strip("*") and matches(one, local) for one in patterns)


def _is_known(connection: Connection, addresses: list[str]) -> bool:
    """Return whether an address is taken, was taken, or is named anywhere."""
    columns = (
        schema.name.c.address,
        schema.deleted_mailbox.c.address,
        schema.alias_target.c.target,
        schema.forward.c.target,
        schema.sender_right.c.sender,
        schema.domain.c.catch_all,
    )
    return any(
        connection.scalar(select(column).where(column.in_(addresses)).limit(1)) is not None
        for column in columns
    )


def _is_of_other(connection: Connection, owner: Mailbox, addresses: list[str]) -> bool:
    """Return whether one of the addresses is that of somebody else."""
    own = select(_TARGET.c.alias_id).where(_TARGET.c.target == owner.address)
    is_own = or_(
        schema.name.c.address == owner.address,
        schema.name.c.address.in_(
            select(_ALIAS.c.address).where(_ALIAS.c.personal.is_not(None), _ALIAS.c.id.in_(own))
        ),
    )
    taken = select(schema.name.c.address).where(schema.name.c.address.in_(addresses), ~is_own)
    return connection.scalar(taken.limit(1)) is not None
